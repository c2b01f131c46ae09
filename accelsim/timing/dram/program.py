"""Command programs on one channel, in order: command by command, or with regular runs as one event each.

A program is a list of runs: a pattern of commands that is repeated, such as reads of one row, reads that walk over bank
groups, or an all-bank MAC. Precharges, activations and refreshes that it needs come by themselves. Once a round goes
the way of the round before, some cycles later, all further rounds do the same until a refresh is due; the aggregated
mode leaps over them, and ends in the very same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, UnknownNameError
from accelsim.numerics import jit
from accelsim.spec.dram import Dram
from accelsim.timing.dram import program_kernels as kernels
from accelsim.timing.dram.controller import Desk, decode, desk
from accelsim.timing.dram.energy import Joules, account
from accelsim.timing.dram.table import Banks, Ints, Wires, idle, wires

Flags = npt.NDArray[np.bool_]

_PERIODS: Final = (1, 2, 4, 8, 16, 32)
_WORTH: Final = 3  # rounds below which a run is not looked at as one


@dataclass(frozen=True, slots=True)
class Run:
    """A pattern of commands, and how often it comes.

    Attributes:
        pattern: (command, bank of the channel, row) of each.
        repeat: rounds.
    """

    pattern: tuple[tuple[str, int, int], ...]
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of a program.

    Attributes:
        cycles: clock cycles until the last beat, or the last command.
        last: cycle of the last command.
        commands: name of each command, and how many were issued.
        energy: joules by component, of the channel alone.
        events: rounds that were worked out one by one, and leaps.
    """

    cycles: int
    last: int
    commands: dict[str, int]
    energy: Joules
    events: int


def runs_of(dram: Dram, addresses: npt.ArrayLike, writes: npt.ArrayLike | None = None) -> list[Run]:
    """A stream of requests to one channel as runs; regular parts are found by their periods.

    Args:
        dram: the memory.
        addresses: [n] byte addresses in order; only their bank, row and column count, not their channel.
        writes: [n] whether each is a write; none by default.
    """
    bank, row, _ = decode(dram, addresses)
    settings = wires(dram).settings
    write = np.zeros(bank.shape, bool) if writes is None else np.asarray(writes, dtype=bool)
    command = np.where(write, settings.write, settings.read)
    program = np.stack([command, bank % settings.banks_per_channel, row], axis=1)
    names = [c.name for c in dram.protocol.commands]
    made = []
    for start, period, repeat in _regular(program):
        pattern = tuple((names[c], int(b), int(r)) for c, b, r in program[start : start + period])
        made.append(Run(pattern, repeat))
    return made


def execute(dram: Dram, runs: Iterable[Run], *, aggregated: bool = True) -> Executed:
    """Run a program on one channel.

    Args:
        dram: the memory; its controller decides on refresh.
        runs: the program.
        aggregated: leap over rounds that repeat; the outcome is the same.

    Raises:
        UnknownNameError: a command that the memory does not have.
        RequestError: a bank, row or count that it does not have.
    """
    made, banks = wires(dram), idle(dram)
    state = desk(made, dram.organization.channels, len(dram.protocol.commands))
    kernel: Callable[..., int] = kernels.execute
    step = jit.compiled(kernel, allocates=False) if jit.enabled() else kernel
    player = _Player(made, banks, state, step)
    command = -1
    for run in runs:
        pattern = _numbers(dram, made, run)
        if aggregated:
            player.leap(pattern, run.repeat)
        else:
            player.play(np.tile(pattern, (run.repeat, 1)))
        command = int(pattern[-1, 0])
    does = dram.protocol.commands[command].does if command >= 0 else ""
    tail = {"read": made.settings.read_delay, "write": made.settings.write_delay}.get(does, 1)
    cycles = player.now + tail
    return Executed(
        cycles=cycles,
        last=player.now,
        commands={c.name: int(n) for c, n in zip(dram.protocol.commands, state.counts, strict=True)},
        energy=account(dram, state.counts, banks, cycles, channels=1),
        events=player.events,
    )


class _Player:
    """A channel that works through patterns."""

    def __init__(self, made: Wires, banks: Banks, state: Desk, step: Callable[..., int]) -> None:
        self.now = 0
        self.events = 0
        self._wires, self._banks, self._desk, self._step = made, banks, state, step
        windows = made.wide[made.wide[:, 3] > 1]
        self._width = np.ones((banks.ring.shape[0], 1), np.int64)
        self._width[windows[:, 5], 0] = windows[:, 3]

    def play(self, program: Ints) -> None:
        """Issue the commands one by one."""
        self.now = int(self._step(self._wires, self._banks, self._desk, program, self.now))
        self.events += len(program)

    def leap(self, pattern: Ints, repeat: int) -> None:
        """Play a pattern several times, leaping over rounds that repeat the one before.

        A round that started in the state of the one before, later by a period, goes the same way. Figures of the table
        that it leaves alone may stand still instead, if the round before left them alone, too: whatever they held back
        had issued by then. What commands would have entered below such a figure shows only in the last rounds, so that
        one whole round is played before the pattern ends and before a refresh.
        """
        still: tuple[Flags, ...] | None = None
        while repeat > 0:
            if repeat < _WORTH and still is None:
                self.play(np.tile(pattern, (repeat, 1)))
                return
            before, start, refreshed = self._state(), self.now, int(self._desk.refreshed[0])
            figures = [array.copy() for array in self._moving()]
            self.play(pattern)
            repeat -= 1
            after, period = self._state(), self.now - start
            now_still = tuple(one == other for one, other in zip(before, after, strict=True))
            regular = bool(still is not None and int(self._desk.refreshed[0]) == refreshed and np.all(now_still[-1]))
            for kept, was, one, other in zip(now_still, still or now_still, before, after, strict=True):
                regular = regular and bool(np.all(np.where(kept, was, other - one == period)))
            still = now_still
            rounds = min(repeat, (int(self._desk.next_refresh[0]) - 1 - self.now) // max(1, period)) - 1
            if regular and rounds > 0:
                self._skip(rounds, period, [array - old for array, old in zip(self._moving(), figures, strict=True)])
                repeat -= rounds

    def _state(self) -> tuple[Ints, ...]:
        """What the future depends on: times, and last what has to stay."""
        banks = self._banks
        place = np.concatenate([banks.row, np.minimum(banks.issued, self._width).ravel()])
        return (banks.ready.copy(), np.sort(banks.ring, axis=2), self._desk.bus_free.copy(), place)

    def _moving(self) -> tuple[Ints, ...]:
        """What a round changes by the same amount as the one before."""
        banks, state = self._banks, self._desk
        return banks.ready, banks.open_cycles, banks.open_since, state.counts, state.bus_free, np.sort(banks.ring, 2)

    def _skip(self, rounds: int, period: int, steps: list[Ints]) -> None:
        """Move the state on as that many rounds would."""
        for array, step in zip(self._moving()[:-1], steps, strict=False):
            array += rounds * step
        self._banks.ring[steps[-1].any(axis=2)] += rounds * period
        self.now += rounds * period
        self.events += 1


def _numbers(dram: Dram, made: Wires, run: Run) -> Ints:
    """The pattern of a run as numbers, checked."""
    settings, rows = made.settings, dram.organization.rows
    if run.repeat < 1 or not run.pattern:
        raise RequestError(f"a run needs a pattern and at least one round, not {len(run.pattern)} x {run.repeat}")
    found = []
    for name, bank, row in run.pattern:
        number = dram.protocol.index(name)
        if number < 0:
            raise UnknownNameError("command", name, [c.name for c in dram.protocol.commands])
        if not 0 <= bank < settings.banks_per_channel:
            raise RequestError(f"{name} to bank {bank}: legal is 0 to {settings.banks_per_channel - 1}")
        if not 0 <= row < rows:
            raise RequestError(f"{name} to row {row}: legal is 0 to {rows - 1}")
        found.append((number, bank, row))
    return np.array(found, dtype=np.int64)


def _regular(program: Ints) -> Sequence[tuple[int, int, int]]:
    """(start, period, rounds) of the parts of a program; irregular stretches are one round of their own length."""
    n = len(program)
    code = np.unique(program, axis=0, return_inverse=True)[1].reshape(-1)
    extents = {period: _extent(code, period) for period in _PERIODS if period < n}
    parts: list[tuple[int, int, int]] = []
    at = loose = 0
    while at < n:
        best = max(extents, key=lambda period: extents[period][at] // period * period, default=0)
        rounds = int(extents[best][at]) // best + 1 if best else 1
        if rounds < _WORTH:
            at += 1
            continue
        if loose < at:
            parts.append((loose, at - loose, 1))
        parts.append((at, best, rounds))
        at += best * rounds
        loose = at
    if loose < n:
        parts.append((loose, n - loose, 1))
    return parts


def _extent(code: Ints, period: int) -> Ints:
    """For every place, how many places from there on equal the one a period later."""
    unequal = np.flatnonzero(np.append(code[period:] != code[:-period], True))
    ends = unequal[np.searchsorted(unequal, np.arange(len(code) - period))]
    return np.append(ends - np.arange(len(code) - period), np.zeros(period, np.int64))
