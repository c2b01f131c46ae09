"""What can go wrong, said so that the reader can mend it.

Every message has the same order: where, what is wrong (with the value), what is allowed, what to try.
A result that is merely unwelcome, such as a model that does not fit, is no exception: see
`accelsim.spec.infeasible`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_KEY_COLUMN: Final = 44


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
        self.where, self.hint = where, hint
        message = f"no {kind} named {name!r}" + (f" ({where})" if where else "")
        help_ = ("nearest: " + ", ".join(self.nearest) if self.nearest else "", hint)
        super().__init__("\n  ".join([message, "      ".join(part for part in help_ if part)]).rstrip())

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, tuple[str, ...], str, str]]:
        return UnknownNameError, (self.kind, self.name, self.nearest, self.where, self.hint)


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

    @property
    def key(self) -> str:
        """Path and value as a line of TOML would have them: `memory.bandwidth = "3.35 TB"`."""
        return f"{self.path} = {self.value}" if self.value else self.path

    def __str__(self) -> str:
        at = f"line {self.line}" if self.line else ""
        return "  ".join(part for part in (at, self.key, self.problem) if part)


class DescriptionError(AccelsimError):
    """A description that is not valid; carries every fault of the file at once."""

    def __init__(self, origin: str, faults: Sequence[Fault]) -> None:
        self.origin, self.faults = origin, tuple(faults)
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__("\n  ".join([f"{origin}: {count}", *_columns(self.faults)]))

    def __reduce__(self) -> tuple[type[DescriptionError], tuple[str, tuple[Fault, ...]]]:
        # the default would rebuild from the message alone, and a worker process could not hand the error back
        return DescriptionError, (self.origin, self.faults)


def _columns(faults: Sequence[Fault]) -> list[str]:
    """Faults under each other: line, key and value, problem; long keys do not push all others away."""
    at = [f"line {fault.line}" if fault.line else "" for fault in faults]
    first = max(map(len, at), default=0)
    second = max((len(fault.key) for fault in faults if len(fault.key) <= _KEY_COLUMN), default=0)
    lines = []
    for place, fault in zip(at, faults, strict=True):
        lead = f"{place:<{first}}  " if first else ""
        key = f"{fault.key:<{second}}  " if fault.key else ""
        lines.append(f"{lead}{key}{fault.problem}")
    return lines


class ScheduleError(AccelsimError):
    """A plan that no machine could run: a cycle, an unknown resource, a phase that waits for nothing."""


class CheckpointError(AccelsimError):
    """A file of weights that cannot be read, or weights that are not those of the model."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names closest to a misspelt one, best first, whatever their capitals; empty if none is close."""
    spelt = {candidate.lower(): candidate for candidate in known}
    return tuple(spelt[match] for match in difflib.get_close_matches(name.lower(), spelt, n=count, cutoff=0.5))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause for an error message, such as `: did you mean 'shared'?`, or nothing."""
    found = nearest(name, known, count=1)
    return f": did you mean {found[0]!r}?" if found else ""
