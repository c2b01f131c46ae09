"""Broken copies of the package's functions: some text of one is exchanged, and the result takes its place."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest

from accelsim.numerics import jit

KEPT = "accelsim.numerics.jit"  # what is compiled stays compiled: a broken kernel is another function


@dataclass(frozen=True)
class Mutant:
    """A fault, and the check of the suite that finds it.

    Attributes:
        fault: in a few words.
        where: module below `accelsim.numerics` and the name in it, such as `fast.float:FloatCodec._up`.
        old, new: text of the function, once in it, and what takes its place.
        check: a test.
        arguments: of the test, such as pytest gives it.
        compiled: whether the check runs with numba.
    """

    fault: str
    where: str
    old: str
    new: str
    check: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    compiled: bool = False

    @property
    def in_reference(self) -> bool:
        """Whether it is the reference that is broken."""
        return self.where.startswith("reference")

    def place(self) -> tuple[Any, str]:
        """The module or class, and the name in it."""
        module, _, path = self.where.partition(":")
        *owners, name = path.split(".")
        owner: Any = import_module(f"accelsim.numerics.{module}")
        for part in owners:
            owner = getattr(owner, part)
        return owner, name

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the broken function in its place."""
        owner, name = self.place()
        function = plain(inspect.getattr_static(owner, name))
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, (
            f"{self.where} has {self.old!r} {source.count(self.old)} times: mend the mutant"
        )
        made = _function(source.replace(self.old, self.new), function, owner)
        if isinstance(made, cached_property):
            made.__set_name__(owner, name)
        for module in list(sys.modules.values()):  # where it was imported by name
            if module.__name__.startswith(("accelsim.", "tests.")) and vars(module).get(name) is function:
                monkeypatch.setattr(module, name, made)
        monkeypatch.setattr(owner, name, made)


def plain(found: Any) -> FunctionType:
    """The function below properties and caches."""
    for wrapper in ("func", "fget", "__wrapped__"):
        found = getattr(found, wrapper, found)
    assert isinstance(found, FunctionType)
    return found


def _function(source: str, function: FunctionType, owner: Any) -> Any:
    """What the source of a function or method makes in the module of the original."""
    text = f"def make(__class__):\n{textwrap.indent(source, '    ')}\n    return {function.__name__}\n"
    space: dict[str, Any] = {}
    code = compile(text, "<mutant>", "exec", flags=annotations.compiler_flag)
    exec(code, function.__globals__, space)
    return space["make"](owner)


def forget(tests: bool, held: Sequence[Any]) -> None:
    """Empty the caches of the package, those that are given, and all of the tests after a broken reference."""
    for function in held:
        function.cache_clear()
    for name, module in list(sys.modules.items()):
        if name.startswith(("accelsim.numerics", "tests.") if tests else "accelsim.numerics") and name != KEPT:
            for value in list(vars(module).values()):
                if value is not jit.compiled and hasattr(value, "cache_clear"):
                    value.cache_clear()


def runs_by_default(test: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """Whether `make test` calls a test with these arguments."""
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "long":
            return False
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
            if tuple(arguments[name] for name in names) not in [_plain(value, len(names)) for value in values]:
                return False
    return True


def _plain(value: Any, count: int) -> tuple[Any, ...]:
    if hasattr(value, "marks"):
        return () if value.marks else tuple(value.values)
    return tuple(value) if count > 1 else (value,)
