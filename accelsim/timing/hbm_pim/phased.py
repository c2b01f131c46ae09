"""One kernel from any phase of refresh, many times: layers of a model start wherever the one before has ended.

The compiled forms of the controller and of its runs work on one array, which is copied from start to start. What
comes before and after the body is looked up by the state of the channel where no refresh falls into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.numerics import jit
from accelsim.timing.hbm_pim import again, kernel, runs_kernels
from accelsim.timing.hbm_pim import controller_kernels as controller
from accelsim.timing.hbm_pim.channel import Access, Channel, refreshes
from accelsim.timing.hbm_pim.controller_kernels import ACTIVE, CYCLE, DUE_0, DUE_1, STATE_SIZE, TURN
from accelsim.timing.hbm_pim.rules import Rules
from accelsim.timing.hbm_pim.stream import Kernel

_KEPT = 4096
"""States by which the end of a stretch is looked up; more than ever occur where no refresh is near."""
_NEVER = 1 << 60
_NONE = -1
"""Before its cycle: a bank that is not on its way to be idle."""

Ints = npt.NDArray[np.int64]


class Phased:
    """Cycles of a kernel and of the host's reads of its results, by the phase of refresh at its start.

    Args:
        made: the kernel.
        results: the host's reads.
        rules: timing rules.
        compiled: by the compiled functions or not; by the number of starts so far if None.
    """

    def __init__(self, made: Kernel, results: Sequence[Access], rules: Rules, *, compiled: bool | None = None) -> None:
        self._kernel, self._results, self._rules, self._compiled = made, tuple(results), rules, compiled
        self._openings: list[_Stretch] = []
        self._bodies: dict[int, runs_kernels.Runs] = {}

    def cycles(self, since: int) -> tuple[int, int]:
        """Cycles of the kernel, and those of the reads behind it.

        Args:
            since: cycles from the beginning of a refresh interval to the start; all banks are closed then.
        """
        if jit.worthwhile(self._rules, self._compiled):
            return self._fast(since)
        channel = Channel.fresh(self._rules, since)
        done = kernel.serve(channel, self._kernel, self._rules)
        left = channel.cycle
        if self._results:
            again.serve(channel, self._results, self._rules)
        return done.cycles, channel.cycle - left

    def _fast(self, since: int) -> tuple[int, int]:
        desk = self._desk
        begin = self._enter(since)
        body = self._bodies.get(begin)
        if body is None:
            body = self._bodies[begin] = runs_kernels.Runs(*(part[begin:] for part in self._runs))
        desk.serve_runs(body)
        self._closing.serve(desk)
        done = desk.now
        if self._results:
            self._reads.serve(desk)
        return done, desk.now - done

    def _enter(self, since: int) -> int:
        """As `kernel.serve` begins: the opening, and runs of the body until only banks 0 and 1 are open."""
        for begin in range(1, len(self._kernel.body) + 1):
            self._desk.start(since)
            self._opening(begin).serve(self._desk)
            if ACTIVE not in self._desk.banks.status[2:]:
                break
        return begin

    def _opening(self, begin: int) -> _Stretch:
        while len(self._openings) < begin:
            stream, stop = kernel.entry(self._kernel, len(self._openings) + 1)
            self._openings.append(_stretch(stream, self._rules, 0, stop))
        return self._openings[begin - 1]

    @cached_property
    def _desk(self) -> _Desk:
        return _Desk(self._rules)

    @cached_property
    def _runs(self) -> list[Ints]:
        runs = [run[:6] for run in (*self._kernel.body, kernel.shown(self._kernel.closing))]
        return list(np.array(runs, dtype=np.int64).T.copy())

    @cached_property
    def _closing(self) -> _Stretch:
        closing = tuple(self._kernel.closing)
        return _stretch(closing, self._rules, len(closing), -1)

    @cached_property
    def _reads(self) -> _Stretch:
        return _stretch(self._results, self._rules, 0, -1)


class _Desk:
    """The state of a channel in one array, and the compiled functions that change it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        banks, window = rules.banks, rules.window_activates
        self.whole: Ints = np.zeros(STATE_SIZE + 7 * banks + window, dtype=np.int64)
        ends = [0, *(STATE_SIZE + banks * i for i in range(8)), len(self.whole)]
        counts = np.zeros(controller.COUNTERS, dtype=np.int64)
        self.banks = controller.Banks(*[*(self.whole[a:b] for a, b in pairwise(ends)), counts])
        self._idle = slice(ends[7], ends[8])
        self._cycles = np.zeros_like(self.whole)  # 1 where the array holds a cycle: next read, write, ACT, PRE, ...
        self._cycles[CYCLE] = self._cycles[ends[3] :] = 1
        self._floor = np.full_like(self.whole, -_NEVER)  # what lies further back makes no difference
        self._floor[ends[3] : ends[7]], self._floor[self._idle], self._floor[ends[8] :] = 0, _NONE, -rules.window
        self._fresh = self._of(Channel.fresh(rules))
        self._table = np.array(rules.table, dtype=np.int64)
        self._queue = np.zeros(rules.queue_depth, dtype=np.int64)
        self._log = controller.Log(*(np.zeros(0, dtype=np.int64) for _ in range(5)))
        self._serve: Callable[..., Any] = jit.compiled(controller.serve, allocates=False)
        self._serve_runs: Callable[..., Any] = jit.compiled(runs_kernels.serve, allocates=False)

    @property
    def now(self) -> int:
        """The next cycle to be simulated."""
        return int(self.whole[CYCLE])

    def start(self, since: int) -> None:
        """See `Channel.fresh`."""
        self.whole[:] = self._fresh
        self.whole[DUE_0], self.whole[DUE_1], self.whole[TURN] = refreshes(self.rules, since)

    def serve(self, stream: controller.Stream, queued: int, stop: int) -> None:
        """See `controller_kernels.serve`."""
        self._serve(stream, self._queue, queued, stop, 0, self._table, self.banks, self._log)

    def serve_runs(self, runs: runs_kernels.Runs) -> None:
        """See `runs_kernels.serve`."""
        self._serve_runs(runs, self._table, self.banks)

    def relative(self) -> Ints:
        """The state seen from its cycle, without the next refreshes: equal ones have the same future until then.

        A command is allowed now or later: that it has been for a while makes no difference.
        """
        seen: Ints = np.maximum(self.whole - self._cycles * self.now, self._floor)
        seen[DUE_0] = seen[DUE_1] = 0
        return seen

    def resume(self, seen: Ints, now: int) -> None:
        """Go on from a relative state at a cycle; the next refreshes stay where they are."""
        dues = self.whole[DUE_0], self.whole[DUE_1]
        self.whole[:] = seen + self._cycles * now
        self.whole[self._idle] *= seen[self._idle] > _NONE
        self.whole[DUE_0], self.whole[DUE_1] = dues

    @staticmethod
    def _of(channel: Channel) -> Ints:
        return np.concatenate((channel.state, *channel.banks, channel.window)).astype(np.int64)


class _Stretch:
    """A stream of accesses that is served again and again, mostly from the same states."""

    def __init__(self, stream: tuple[Access, ...], rules: Rules, queued: int, stop: int) -> None:
        self._stream = controller.Stream(*np.array(stream, dtype=np.int64).T.copy())
        self._queued, self._stop, self._refreshes = queued, stop, rules.refresh_interval > 0
        self._known: dict[bytes, tuple[int, Ints]] = {}

    def serve(self, desk: _Desk) -> None:
        """Serve the stream, as if cycle by cycle."""
        now, seen = desk.now, desk.relative()
        key = seen.tobytes()
        found = self._known.get(key)
        due = min(int(desk.whole[DUE_0]), int(desk.whole[DUE_1])) if self._refreshes else _NEVER
        if found is None and len(self._known) < _KEPT:
            found = self._known[key] = self._undisturbed(desk)
        if found is not None and now + found[0] <= due:
            desk.resume(found[1], now + found[0])
        else:
            desk.serve(self._stream, self._queued, self._stop)

    def _undisturbed(self, desk: _Desk) -> tuple[int, Ints]:
        """What the stream takes where no refresh falls due, and the state after it; the desk stays as it is."""
        before, now = desk.whole.copy(), desk.now
        desk.whole[DUE_0] = desk.whole[DUE_1] = _NEVER
        desk.serve(self._stream, self._queued, self._stop)
        taken, seen = desk.now - now, desk.relative()
        desk.whole[:] = before
        return taken, seen


@lru_cache(maxsize=256)
def _stretch(stream: tuple[Access, ...], rules: Rules, queued: int, stop: int) -> _Stretch:
    return _Stretch(stream, rules, queued, stop)
