"""Where points are evaluated: what the driver asks of a place, and the simplest one, its own process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

from accelsim.explore.outcome import Batch, Outcome


class Event(NamedTuple):
    """Something that happened to a batch.

    Attributes:
        number: of the batch.
        outcomes: of some of its points, which are new.
        finished: nothing more comes of this batch.
        lost: why its evaluation ended before its end: the worker died, or took longer than it may.
        reason: the same for people.
        deaths: workers that it has cost.
        known: the worker was at this batch, at the first point that is missing if they are evaluated in turn; else
            another batch may have cost it, or any of these points.
    """

    number: int
    outcomes: list[Outcome]
    finished: bool = False
    lost: Literal["crashed", "timeout"] | None = None
    reason: str = ""
    deaths: int = 1
    known: bool = True


class Executor(Protocol):
    """A place where batches are evaluated."""

    @property
    def slots(self) -> int:
        """Batches that may be under way at a time."""
        ...

    def submit(self, number: int, batch: Batch) -> None:
        """Starts the evaluation of a batch."""
        ...

    def results(self, patience_s: float) -> list[Event]:
        """What happened since; waits for something at most so long.

        Raises:
            AccelsimError: the place itself is lost, or is not the driver's equal.
        """
        ...

    def close(self, *, now: bool = False) -> None:
        """Gives the place back; with `now`, without waiting for what is under way."""
        ...


class InProcess:
    """Evaluates in the driver's own process, one point or column of points after the other."""

    slots = 1

    def __init__(self) -> None:
        self._queue: deque[tuple[int, Iterator[list[Outcome]]]] = deque()

    def submit(self, number: int, batch: Batch) -> None:
        """Keeps the batch until `results` is called."""
        self._queue.append((number, batch.evaluate()))

    def results(self, patience_s: float) -> list[Event]:
        """Evaluates the next points; patience has no meaning here."""
        if not self._queue:
            return []
        number, rest = self._queue[0]
        outcomes = next(rest, None)
        if outcomes is None:
            self._queue.popleft()
            return [Event(number, [], finished=True)]
        return [Event(number, outcomes)]

    def close(self, *, now: bool = False) -> None:
        """Drops what is left."""
        self._queue.clear()
