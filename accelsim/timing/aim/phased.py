"""One program from any phase of refresh, many times: layers of a model start wherever the one before has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Final

import numpy as np

from accelsim.numerics import jit
from accelsim.spec.aim import AimPart
from accelsim.timing.aim import placing_kernels as placing
from accelsim.timing.aim.banks import FUNCTION_ROW
from accelsim.timing.aim.commands import AF16, ALL_ROWS, COMMANDS, REGISTERS, WRA16, rules
from accelsim.timing.aim.controller import NEVER
from accelsim.timing.aim.machine import Scope, run
from accelsim.timing.aim.program import ANSWERED, COMMAND, EVERYWHERE, LOCAL, Instruction, Loop, Program

_MOST: Final = 1 << 20
"""Instructions that are placed one by one; longer programs are folded."""
_NO_RULE: Final = -(1 << 40)
_ALIKE: Final = (ALL_ROWS | REGISTERS) - {WRA16}
"""Commands behind which all banks are in one state."""

_Row = tuple[int, int, int, int]


class Phased:
    """Cycles of a program by the phase of refresh at its start.

    Args:
        program: host instructions that end with EOC.
        part: the memory.
        channels: channels of the device.
        scope: what counts.
        compiled: by the compiled function or not; by the number of starts so far if None.
    """

    def __init__(
        self, program: Program, part: AimPart, channels: int, scope: Scope, *, compiled: bool | None = None
    ) -> None:
        self._program, self._part, self._channels, self._scope = program, part, channels, scope
        physical = scope == "physical"
        self._rules = rules(part.timing, part.organization, activation_window=physical, refresh=physical)
        self._compiled = compiled

    def cycles(self, since: int) -> int:
        """Cycles until the host knows that all is done.

        Args:
            since: cycles from the beginning of a refresh interval to the start; all rows are closed then.
        """
        if not jit.worthwhile(self._rules, self._compiled) or self._made is None:
            return run(self._program, self._part, self._channels, scope=self._scope, since=since).cycles
        scratch, limits = self._scratch, self._limits
        scratch.state[:] = 0
        scratch.ready[:] = 0
        scratch.state[placing.CLOCK] = 1
        scratch.state[placing.ROW] = placing.CLOSED
        interval = self._rules.refresh
        scratch.state[placing.REFRESH_AT] = interval - since % interval if interval else NEVER
        self._serve(self._made, limits, scratch)
        return int(scratch.state[placing.CLOCK]) - 1

    @cached_property
    def _made(self) -> placing.Instructions | None:
        """The instructions one by one; None if they do not treat all banks of all channels alike."""
        every = (1 << self._channels) - 1
        if _length(self._program.body) > _MOST or not _alike(self._program.body, every):
            return None
        lines: list[_Row] = []
        _unroll(self._program.body, (), lines)
        return placing.Instructions(*np.array(lines, dtype=np.int64).T.copy())

    @cached_property
    def _limits(self) -> placing.Limits:
        found = self._rules
        apart = np.full((len(COMMANDS), len(COMMANDS)), _NO_RULE, dtype=np.int64)
        for command, followers in enumerate(found.channel):
            for after, cycles in followers:
                apart[command, after] = cycles
        by_command = (
            found.gap,
            found.latency,
            [command in ALL_ROWS for command in range(len(COMMANDS))],
            [command in REGISTERS for command in range(len(COMMANDS))],
            [found.refresh],
            [self._part.controller.queue],
        )
        return placing.Limits(apart.ravel(), *(np.array(column, dtype=np.int64) for column in by_command))

    @cached_property
    def _scratch(self) -> placing.Scratch:
        assert self._made is not None
        # each instruction leaves no more runs behind than the queue has places, but for those of SYNC and EOC
        room = self._part.controller.queue + 2 + int(self._made.size.max()) + int((self._made.command < 0).sum())
        sizes = (placing.STATE_SIZE, len(COMMANDS), room, room, room)
        return placing.Scratch(*(np.zeros(size, dtype=np.int64) for size in sizes))

    @cached_property
    def _serve(self) -> Callable[..., Any]:
        return jit.compiled(placing.serve, allocates=False)


def _length(body: Iterable[Instruction | Loop]) -> int:
    return sum(item.count * _length(item.body) if isinstance(item, Loop) else 1 for item in body)


def _alike(body: Iterable[Instruction | Loop], every: int) -> bool:
    """Whether all instructions go to all banks of all channels."""
    return all(
        _alike(item.body, every)
        if isinstance(item, Loop)
        else item.name in LOCAL
        or item.name in EVERYWHERE
        or (item.channels == every and COMMAND.get(item.name) in _ALIKE)
        for item in body
    )


def _unroll(body: Iterable[Instruction | Loop], turns: tuple[int, ...], lines: list[_Row]) -> None:
    for item in body:
        if isinstance(item, Loop):
            for turn in range(item.count):
                _unroll(item.body, (*turns, turn), lines)
            continue
        command = placing.LOCAL if item.name in LOCAL else COMMAND[item.name]
        row = item.row + sum(step * turn for step, turn in zip(item.steps, turns, strict=False))
        row += FUNCTION_ROW if command == AF16 else 0
        lines.append((command, item.size, row, int(item.name in ANSWERED)))
