"""Compiled kernels: numba on first use, none at all with ACCELSIM_NUMBA=0.

A kernel and the helpers that it calls stand in one source file or in files of kernels (`*_kernels.py`) of one folder.
Helpers are plain functions, too, and are compiled with the kernel. numba's cache watches only a kernel's own file, so
that a digest of the files of kernels beside it stands in the cache as well.
Where no cache can be read or written, kernels are compiled anew in each process, and a warning says so once.
"""

from __future__ import annotations

import dis
import hashlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Hashable
from functools import cache, lru_cache
from inspect import isfunction
from pathlib import Path
from pickle import UnpicklingError
from types import FunctionType
from typing import Any, Final

_log: Final = logging.getLogger(__name__)

_PATIENCE: Final = 100
"""Calls for equal rules that are not worth numba's start."""
_BROKEN: Final = (OSError, EOFError, UnpicklingError, ValueError)
"""What reading or writing a cache may raise: no space, no permission, a file that was cut off."""


def enabled() -> bool:
    """Whether kernels are compiled; ACCELSIM_NUMBA=0 leaves everything to numpy, with the same results."""
    return os.environ.get("ACCELSIM_NUMBA", "1") != "0"


def worthwhile(rules: Hashable, asked: bool | None = None) -> bool:
    """Whether to go by the compiled functions, which numba's own start of a second delays.

    Args:
        rules: what the work is for; calls with equal rules are counted together.
        asked: True or False decide; None leaves it to the number of calls so far.
    """
    if asked is not None:
        return asked and enabled()
    calls = _calls(rules)
    calls[0] += 1
    return calls[0] > _PATIENCE and enabled()


@lru_cache(maxsize=32)
def _calls(rules: Hashable) -> list[int]:
    return [0]


@cache
def compiled(function: Callable[..., Any], *, allocates: bool = True) -> Callable[..., Any]:
    """The compiled form of a function; the first call of each signature compiles, or reads the cache.

    Args:
        function: a plain function of a file of kernels.
        allocates: whether it makes arrays. One that does not, and works only on those of its caller, is spared the
            counting of references, which costs more than the work where a kernel has many arrays.

    The first compilation of a process is logged as information, with what it takes; a terminal shows that line if
    nobody has set up logging.
    """
    import numba  # half a second: not before the first kernel runs

    _watch()
    linked = _linked(function)
    options: dict[str, Any] = {"nogil": True, "_nrt": allocates}
    try:
        made = numba.njit(linked, cache=True, **options)
        index = made._cache._cache_file
        index._source_stamp = (index._source_stamp, _sources(Path(function.__code__.co_filename).parent))
        made._cache = _Forgiving(made._cache)
    except RuntimeError:  # numba found no place that it may write to
        _warn_uncached()
        made = numba.njit(linked, **options)
    return made  # type: ignore[no-any-return]


@cache
def _sources(folder: Path) -> str:
    """A digest of what a kernel's own file, which numba watches, may not show: kernels beside it, and this module."""
    files = [Path(__file__), *sorted(folder.glob("*_kernels.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


def _linked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with compiled forms of the functions that it calls, of its module and of kernels beside it."""
    assert isinstance(function, FunctionType)
    known = function.__globals__
    called = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    own = {name: known[name] for name in called if isfunction(known.get(name))}
    helpers = {name: _helper(other) for name, other in own.items() if _beside(other, function)}
    if not helpers:
        return function
    made = FunctionType(function.__code__, known | helpers, function.__name__, function.__defaults__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def _beside(other: FunctionType, function: FunctionType) -> bool:
    """Whether a function is of the same file, or of another file of kernels of the folder."""
    (folder, _, file), (own, _, _) = other.__module__.rpartition("."), function.__module__.rpartition(".")
    return other.__module__ == function.__module__ or (folder == own and file.endswith("_kernels"))


@cache
def _helper(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    made: Callable[..., Any] = numba.njit(_linked(function), inline="always")
    return made


class _Forgiving:
    """A cache of numba that may fail: then the kernel is compiled, and not kept."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """What is kept for a signature, or None."""
        try:
            return self._kept.load_overload(signature, target)
        except _BROKEN as error:
            _warn_uncached(str(error))
            return None

    def save_overload(self, signature: Any, made: Any) -> None:
        """Keep what was compiled."""
        try:
            self._kept.save_overload(signature, made)
        except _BROKEN as error:
            _warn_uncached(str(error))


_warned: list[str] = []


def _warn_uncached(why: str = "no folder may be written to") -> None:
    if _warned:
        return
    _warned.append(why)
    message = (
        f"compiled kernels cannot be cached here ({why}) and are compiled in every process: "
        "set NUMBA_CACHE_DIR to a folder, or ACCELSIM_NUMBA=0 to do without them"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=4)


@cache
def _watch() -> None:
    """Log what numba compiles of this package, once it does."""
    from numba.core import event

    class Watch(event.Listener):
        def on_start(self, started: Any) -> None:
            self._since = time.perf_counter()
            if _name(started).startswith("accelsim."):
                _announce()

        def on_end(self, ended: Any) -> None:
            if (name := _name(ended)).startswith("accelsim."):
                _log.debug("compiled %s in %.1f s", name, time.perf_counter() - self._since)

    event.register("numba:compile", Watch())  # type: ignore[no-untyped-call]


def _name(compilation: Any) -> str:
    function = compilation.data["dispatcher"].py_func
    return f"{function.__module__}.{function.__qualname__}"


@cache
def _announce() -> None:
    if not _log.hasHandlers() and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("accelsim: %(message)s"))
        _log.addHandler(handler)
        _log.setLevel(logging.INFO)
    _log.info("compiling kernels; this takes a moment once, and is kept for the next run")
