"""A memory to which single commands are issued: what is legal when, and why not earlier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from accelsim.errors import RequestError, UnknownNameError
from accelsim.spec.dram import LEVELS, Command, Dram, Level
from accelsim.timing.dram import table_kernels as kernels
from accelsim.timing.dram.controller import desk
from accelsim.timing.dram.table import idle, in_force, wires

_earliest: Callable[..., int] = kernels.earliest
_apply: Callable[..., None] = kernels.apply
_ROWS: Final = ("read", "write", "compute")


class Memory:
    """All banks of a memory, closed at first.

    Args:
        dram: its description.
    """

    def __init__(self, dram: Dram) -> None:
        self.dram = dram
        self._wires, self._banks = wires(dram), idle(dram)
        self._desk = desk(self._wires, dram.organization.channels, len(dram.protocol.commands))
        self._issued: list[tuple[str, int, int]] = []

    def bank(self, **at: int) -> int:
        """The number of a bank from its place: channel, pseudo_channel, rank, bank_group, bank; 0 where not given.

        Raises:
            RequestError: there is no such level, or no such place.
        """
        number = 0
        for level, count in zip(LEVELS, self.dram.organization.counts, strict=True):
            place = at.pop(level, 0)
            if not 0 <= place < count:
                raise RequestError(f"{level} = {place}: legal is 0 to {count - 1}")
            number = number * count + place
        if at:
            raise RequestError(f"no level {next(iter(at))!r}; levels: {', '.join(LEVELS)}")
        return number

    def open_row(self, bank: int) -> int | None:
        """The open row of a bank."""
        row = int(self._banks.row[bank])
        return None if row < 0 else row

    def earliest(self, command: str, bank: int) -> int:
        """The first cycle at which every constraint allows a command.

        Args:
            command: its name.
            bank: the bank that it addresses, or one of the rank or channel that it addresses.

        Raises:
            UnknownNameError: no such command.
        """
        return int(_earliest(self._wires, self._banks, self._number(command), bank))

    def issue(self, command: str, bank: int, at: int | None = None, row: int = 0) -> int:
        """Issue a command and give its cycle.

        Args:
            command: its name.
            bank: as for `earliest`.
            at: the cycle; the earliest legal one by default.
            row: row that an activation opens, or that a read, write or computation needs.

        Raises:
            UnknownNameError: no such command.
            RequestError: too early, or the rows are not in the state that the command needs.
        """
        number = self._number(command)
        self._check_rows(self.dram.protocol.commands[number], bank, row)
        legal = self.earliest(command, bank)
        now = legal if at is None else at
        if now < legal:
            raise RequestError(f"{command} at cycle {now}: legal from {legal} on, {self._reason(command, bank, legal)}")
        _apply(self._wires, self._banks, self._desk, number, bank, row, now)
        self._issued.append((command, bank, now))
        return now

    def _number(self, command: str) -> int:
        number = self.dram.protocol.index(command)
        if number < 0:
            raise UnknownNameError("command", command, [c.name for c in self.dram.protocol.commands])
        return number

    def _check_rows(self, command: Command, bank: int, row: int) -> None:
        size = int(self._wires.below[LEVELS.index(command.level)])
        start = bank // size * size
        rows = self._banks.row[start : start + size]
        problem = ""
        if command.does in _ROWS and np.any(rows != row):
            problem = f"needs row {row} open in bank {start + int(np.argmax(rows != row))}"
        elif command.does in ("activate", "refresh") and np.any(rows >= 0):
            problem = f"needs bank {start + int(np.argmax(rows >= 0))} closed"
        if problem:
            raise RequestError(f"{command.name} to bank {bank} {problem}")

    def _reason(self, command: str, bank: int, legal: int) -> str:
        """The constraint that holds a command back until its earliest cycle."""
        for constraint, cycles in in_force(self.dram):
            if command not in constraint.following:
                continue
            before = [
                cycle
                for name, other, cycle in self._issued
                if name in constraint.preceding and self._related(constraint.level, bank, other, constraint.sibling)
            ]
            if len(before) >= constraint.window and before[-constraint.window] + cycles == legal:
                return f"by {constraint} = {cycles} after cycle {before[-constraint.window]}"
        return "by a command that was issued before"

    def _related(self, level: Level, bank: int, other: int, sibling: bool) -> bool:
        at = LEVELS.index(level)
        one, two = self._wires.path[bank], self._wires.path[other]
        if not sibling:
            return bool(one[at] == two[at])
        return bool(one[at] != two[at] and (at == 0 or one[at - 1] == two[at - 1]))
