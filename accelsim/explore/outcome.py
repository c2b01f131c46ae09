"""What an evaluation hands back for a point, and what can be evaluated somewhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

Status = Literal["ok", "infeasible", "failed", "crashed", "timeout"]

FINAL: Final = ("ok", "infeasible")
"""Statuses that no retry changes."""

RETRIED: Final = ("failed", "crashed", "timeout")
"""Statuses that `--retry-failed` evaluates again."""


class Outcome(NamedTuple):
    """One evaluated point.

    Attributes:
        key: of the point.
        status: what became of it.
        reason: why it is not ok; empty if it is.
        metrics: values of the metrics in their order; None if it is not ok.
        elapsed_s: what its evaluation took.
        worker: who evaluated it.
        attempt: which try it was, from 1.
    """

    key: str
    status: Status
    reason: str
    metrics: tuple[float | int | bool, ...] | None
    elapsed_s: float
    worker: str
    attempt: int = 1


class Batch(Protocol):
    """Points that go to a worker together; it can be pickled and carries all that it needs."""

    @property
    def keys(self) -> Sequence[str]:
        """The points."""
        ...

    def evaluate(self) -> Iterator[list[Outcome]]:
        """Outcomes as they are ready; points in the order of `keys`."""
        ...

    @property
    def in_turn(self) -> bool:
        """Whether points are evaluated one after the other, so that it ends at the first that is missing."""
        ...

    def only(self, keys: Collection[str]) -> Batch:
        """The same with some of the points."""
        ...
