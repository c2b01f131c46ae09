"""The loop that keeps an executor busy and writes down what comes back, so that nothing is evaluated twice."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Final, Protocol

from accelsim.explore.executor import Event, Executor
from accelsim.explore.outcome import RETRIED, Batch, Outcome, Status
from accelsim.explore.store import Store

CRASHES: Final = 3
"""So many workers may die of one point before it is given up."""

COMMIT_S: Final = 0.5
"""Outcomes wait no longer than this for their commit."""

BATCH_S: Final = 0.25
"""What a batch of points that are simulated one by one should take."""

_PATIENCE_S: Final = 0.1
_COLUMN_S: Final = 1e-3  # a point that is priced as one of a column takes less, and tells nothing about simulations


class Source(Protocol):
    """Where batches come from."""

    def take(self, each_s: float) -> Batch | None:
        """The next batch, given what a point that is simulated took so far; None at the end."""
        ...

    def elsewhere(self) -> None:
        """Goes on at another place among what is left: another driver is at the same points."""
        ...


@dataclass(slots=True)
class Progress:
    """How far a sweep has come.

    Attributes:
        total: points of the sweep.
        known: of them, those that the store had.
        done: of them, evaluated in this run.
        counts: evaluated in this run, by status.
        since_s: monotonic time at the start.
        best: value of the first objective so far; NaN before there is one.
    """

    total: int
    known: int
    done: int = 0
    counts: dict[Status, int] = field(default_factory=dict)
    since_s: float = field(default_factory=time.monotonic)
    best: float = float("nan")

    @property
    def elapsed_s(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.since_s

    @property
    def left(self) -> int:
        """Points that have no row yet."""
        return self.total - self.known - self.done

    @property
    def failures(self) -> int:
        """Points that failed, crashed or took too long, in this run."""
        return sum(self.counts.get(status, 0) for status in RETRIED)


@dataclass(slots=True)
class _UnderWay:
    batch: Batch
    missing: dict[str, None]


class Driver:
    """Runs batches and stores their outcomes.

    Args:
        store: where rows go.
        executor: where points are evaluated.
        designs: key -> digest of the point without the code.
        version: the code.
        progress: what is told how far it has come.
        objective: position of a metric and 1 for the least, -1 for the most; for the best so far.
        report: called after each change of `progress`.
        budget_s: no batch is started later than this.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        designs: Mapping[str, str],
        version: str,
        progress: Progress,
        *,
        objective: tuple[int, int] | None = None,
        report: Callable[[Progress], None] | None = None,
        budget_s: float | None = None,
    ) -> None:
        self._store, self._executor, self._designs, self._version = store, executor, designs, version
        self.progress, self._objective, self._report, self._budget_s = progress, objective, report, budget_s
        self._under_way: dict[int, _UnderWay] = {}
        self._again: deque[Batch] = deque()
        self._crashes: dict[str, int] = {}
        self._number = 0
        self._unsaved: list[Outcome] = []
        self._saved_s, self._due = time.monotonic(), False
        self._each_s = 0.0
        self._met = False

    def run(self, source: Source, retried: frozenset[str] = frozenset(), *, keep: bool = False) -> bool:
        """Evaluates all batches.

        Args:
            source: of the batches.
            retried: keys that are to be evaluated although the store has a row of theirs.
            keep: leave the executor open, for a further run.

        Returns:
            Whether all were started before the budget was spent.

        Raises:
            KeyboardInterrupt: after everything finished has been committed and workers are gone.
            AccelsimError: of the executor or the store; likewise.
        """
        now = True
        try:
            complete = self._loop(source, retried)
            now = False
        finally:
            # first the workers, so that an interrupt ends at once; then what they had handed over
            if now or not keep:
                self._executor.close(now=now)
            self._commit()
        return complete

    def _loop(self, source: Source, retried: frozenset[str]) -> bool:
        spent = False
        while True:
            while len(self._under_way) < self._executor.slots and not spent:
                if self._budget_s is not None and self.progress.elapsed_s >= self._budget_s:
                    spent = True
                    break
                batch = self._next(source, retried)
                if batch is None:
                    break
                self._start(batch)
            if not self._under_way:
                return not spent
            for event in self._executor.results(_PATIENCE_S):
                self._handle(event)
            if self._due or time.monotonic() - self._saved_s >= COMMIT_S:
                self._commit()

    def _next(self, source: Source, retried: frozenset[str]) -> Batch | None:
        """The next batch without the points that another driver has finished meanwhile."""
        while True:
            if self._again:
                return self._again.popleft()
            if self._met:
                self._met = False
                source.elsewhere()
            batch = source.take(self._each_s)
            if batch is None:
                return None
            there = {key for key in self._store.statuses(batch.keys) if key not in retried}
            if not there:
                return batch
            self.progress.known += len(there)
            if len(there) < len(batch.keys):
                return batch.only([key for key in batch.keys if key not in there])

    def _start(self, batch: Batch) -> None:
        self._number += 1
        self._under_way[self._number] = _UnderWay(batch, dict.fromkeys(batch.keys))
        self._executor.submit(self._number, batch)

    def _handle(self, event: Event) -> None:
        mine = self._under_way[event.number]
        for outcome in event.outcomes:
            mine.missing.pop(outcome.key, None)
            self._keep(outcome)
        if event.outcomes:
            # simulations are committed as they arrive
            self._due |= len(event.outcomes) == 1 or event.outcomes[0].elapsed_s > _COLUMN_S
            if self._report:
                self._report(self.progress)
        if event.finished:
            del self._under_way[event.number]
            if event.lost and mine.missing:
                self._lost(mine, event)

    def _lost(self, mine: _UnderWay, event: Event) -> None:
        """Finds the point that a worker died of: alone at the last, and not more than `CRASHES` times."""
        left = list(mine.missing)
        known = event.known and mine.batch.in_turn
        cut = 1 if known else -(-len(left) // 2)
        parts = [mine.batch.only(part) for part in (left[:cut], left[cut:]) if part]
        if (known or len(left) == 1) and event.lost is not None:
            key = left[0]
            self._crashes[key] = self._crashes.get(key, 0) + event.deaths
            if event.lost == "timeout" or self._crashes[key] >= CRASHES:
                times = f" ({self._crashes[key]} times)" if event.lost == "crashed" else ""
                self._keep(Outcome(key, event.lost, event.reason + times, None, float("nan"), ""))
                self._due = True
                parts = parts[1:]
        self._again.extend(parts)

    def _keep(self, outcome: Outcome) -> None:
        attempt = self._crashes.get(outcome.key, 0) + (outcome.status not in ("crashed", "timeout"))
        self._unsaved.append(outcome._replace(attempt=attempt))
        progress = self.progress
        progress.done += 1
        progress.counts[outcome.status] = progress.counts.get(outcome.status, 0) + 1
        if outcome.metrics is not None and self._objective:
            place, sign = self._objective
            value = float(outcome.metrics[place])
            if not isnan(value) and not progress.best * sign <= value * sign:
                progress.best = value
        if outcome.elapsed_s > _COLUMN_S:
            self._each_s = outcome.elapsed_s if not self._each_s else 0.9 * self._each_s + 0.1 * outcome.elapsed_s

    def _commit(self) -> None:
        self._saved_s, self._due = time.monotonic(), False
        if self._unsaved:
            rows, self._unsaved = self._unsaved, []
            self._met |= self._store.add(rows, self._designs, self._version) > 0
