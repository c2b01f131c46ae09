"""What can go wrong, said so that the reader can mend it.

Every message has the same order: where, what is wrong (with the value), what is allowed, what to try.
A result that is merely unwelcome, such as a model that does not fit, is no exception: see
`accelsim.spec.infeasible`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class AccelsimError(Exception):
    """Base of all errors that accelsim raises on purpose; the CLI prints them and exits with 2."""


class UnitError(AccelsimError):
    """A quantity whose text has no unit, an unknown unit, or the unit of another dimension."""


class RequestError(AccelsimError):
    """An argument of a call or an option of the command line that is outside what is allowed."""


class UnknownNameError(AccelsimError):
    """A name that nothing answers to.

    Args:
        kind: what was looked for, in the user's words ("chip", "model", "format", ...).
        name: what was given.
        known: the names that exist.
        where: the option or key that carried the name, if any.
        hint: how to list the names or bring an own one.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "", hint: str = "") -> None:
        self.kind, self.name, self.nearest = kind, name, nearest(name, known)
        message = f"no {kind} named {name!r}" + (f" ({where})" if where else "")
        if self.nearest:
            message += "\n  nearest: " + ", ".join(self.nearest)
        if hint:
            message += f"\n  {hint}"
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a description.

    Attributes:
        path: dotted key path, such as `memory.bandwidth` or `peak.0.rate`; empty for the whole file.
        problem: what is wrong, what is allowed and what to try, in one sentence.
        value: the offending value as written, empty if there is none.
        line: line in the file, counted from 1; 0 if unknown.
    """

    path: str
    problem: str
    value: str = ""
    line: int = 0

    def __str__(self) -> str:
        at = f"line {self.line:<4d}" if self.line else ""
        key = f"{self.path} = {self.value}" if self.value else self.path
        return "  ".join(part for part in (at, key, self.problem) if part)


class DescriptionError(AccelsimError):
    """A description that is not valid; carries every fault of the file at once."""

    def __init__(self, origin: str, faults: Sequence[Fault]) -> None:
        self.origin, self.faults = origin, tuple(faults)
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__("\n  ".join([f"{origin}: {count}", *map(str, self.faults)]))


class ScheduleError(AccelsimError):
    """A plan that no machine could run: a cycle, an unknown resource, a phase that waits for nothing."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names closest to a misspelt one, best first; empty if none is close."""
    return tuple(difflib.get_close_matches(name, list(known), n=count, cutoff=0.5))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause for an error message, such as `: did you mean 'shared'?`, or nothing."""
    found = nearest(name, known, count=1)
    return f": did you mean {found[0]!r}?" if found else ""
