"""The state of one pseudo-channel between streams of commands, and the exact way to serve a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from accelsim.numerics import jit
from accelsim.timing.hbm_pim import controller_kernels as controller
from accelsim.timing.hbm_pim import runs_kernels
from accelsim.timing.hbm_pim.rules import Rules

_LONG = 400
"""Accesses from which on the compiled controller is worth its start."""
_MANY = 2000
"""Runs from which on their compiled form is."""
_FAR_PAST = -(1 << 40)
_SKEW = 3
"""Commands per access that a log has room for: ACT and PRE beside it; refreshes are few."""


class Access(NamedTuple):
    """A column access in the queue of the controller."""

    op: int
    bank: int
    row: int
    column: int
    barrier: int = 0


class Issued(NamedTuple):
    """A command as it went to the DRAM; `row` and `column` are 0 where it has none."""

    cycle: int
    command: int
    bank: int
    row: int
    column: int


_serve: Callable[..., int] = controller.serve
_serve_runs: Callable[..., None] = runs_kernels.serve


@dataclass(slots=True)
class Channel:
    """One pseudo-channel: banks of the rank with PIM blocks, refresh counters and mode; mutable.

    Attributes:
        state: scalars, by the names of `controller_kernels`.
        banks: per field, a value per bank: status, open row, next read, write, ACT and PRE, cycle of idleness.
        window: cycles of the last activations.
    """

    state: list[int]
    banks: list[list[int]]
    window: list[int]

    @classmethod
    def fresh(cls, rules: Rules, since: int = 0) -> Channel:
        """A channel that starts with all banks closed; ranks are refreshed a share of the interval apart.

        Args:
            rules: timing rules.
            since: cycles since the interval began; at 0 the first refresh is a share of it away.
        """
        state = [0] * controller.STATE_SIZE
        state[controller.WAITING] = -1
        state[controller.DUE_0], state[controller.DUE_1], state[controller.TURN] = refreshes(rules, since)
        banks = [[0] * rules.banks for _ in range(7)]
        return cls(state, banks, [_FAR_PAST] * rules.window_activates)

    def copy(self) -> Channel:
        """The same state, changed on its own."""
        return Channel(list(self.state), [list(field) for field in self.banks], list(self.window))

    @property
    def cycle(self) -> int:
        """The next cycle to be simulated."""
        return self.state[controller.CYCLE]

    def serve(
        self,
        stream: Sequence[Access],
        rules: Rules,
        *,
        queued: int = 0,
        stop: int = -1,
        until: int = 0,
        log: bool = False,
        compiled: bool | None = None,
    ) -> tuple[list[int], list[Issued]]:
        """Serve a stream of accesses, cycle by cycle.

        Args:
            stream: the accesses, oldest first.
            rules: timing rules.
            queued: accesses that are in the queue from the start.
            stop: accesses after whose issue to stop at once.
            until: cycle up to which the channel is simulated in any case.
            log: whether commands are kept.
            compiled: by the compiled controller or not; by the length of the stream if None.

        Returns:
            How many READ, WRITE, ACT, PRE and REF were issued and rows opened, and the commands if they are kept.
        """
        columns: Sequence[Any] = list(zip(*stream, strict=True)) if stream else [()] * 5
        counts = [0] * controller.COUNTERS
        room = len(stream) * _SKEW + 256 if log else 0
        use = len(stream) > _LONG if compiled is None else compiled
        make, function = _list, _serve
        if use and jit.enabled():
            make, function = _array, jit.compiled(controller.serve, allocates=False)
        whole = controller.Stream(*map(make, columns))
        logs = controller.Log(*(make([0] * room) for _ in range(5)))
        banks = controller.Banks(*map(make, (self.state, *self.banks, self.window, counts)))
        queue = make([0] * rules.queue_depth)
        n = function(whole, queue, queued, stop, until, make(rules.table), banks, logs)
        self.take(banks)
        lines = zip(*(part[: min(n, room)] for part in logs), strict=True)
        return list(map(int, banks.counts)), [Issued(*map(int, line)) for line in lines]

    def serve_runs(self, runs: Sequence[tuple[int, ...]], rules: Rules, *, compiled: bool | None = None) -> list[int]:
        """Serve runs of accesses in all-bank mode, a streak of column commands at a time.

        Args:
            runs: the fields of `runs_kernels.Runs` of each; the last one only shows behind the others.
            rules: timing rules.
            compiled: by the compiled function or not; by the number of runs if None.

        Returns:
            How many READ, WRITE, ACT, PRE and REF were issued and rows opened.
        """
        use = len(runs) > _MANY if compiled is None else compiled
        make, function = _list, _serve_runs
        if use and jit.enabled():
            make, function = _array, jit.compiled(runs_kernels.serve, allocates=False)
        banks = controller.Banks(*map(make, (self.state, *self.banks, self.window, [0] * controller.COUNTERS)))
        function(runs_kernels.Runs(*map(make, zip(*runs, strict=True))), make(rules.table), banks)
        self.take(banks)
        return list(map(int, banks.counts))

    def take(self, banks: controller.Banks) -> None:
        """Keep a state that a kernel has changed."""
        fields = [field.tolist() if isinstance(field, np.ndarray) else field for field in banks[:-1]]
        self.state, *self.banks, self.window = fields


def refreshes(rules: Rules, since: int) -> tuple[int, int, int]:
    """Cycles until the next refresh of each rank, `since` cycles into an interval, and the rank whose turn it is."""
    interval = rules.refresh_interval
    if not interval:
        return 0, 0, 0
    first, second = (interval // rules.ranks * turn - since % interval for turn in (1, 2))
    first, second = first + interval * (first < 0), second + interval * (second < 0)
    return first, second, int(second < first)


def _list(values: Sequence[int]) -> Any:
    return values if isinstance(values, (list, tuple)) else list(values)


def _array(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int64)
