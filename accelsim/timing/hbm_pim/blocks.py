"""The PIM blocks of one pseudo-channel on values: fp16 lanes, register files, and the program counter that they share.

A multiply-accumulate rounds its product to fp16 and then the sum (two units in a row, no fused rounding), lane by lane
in the order of column commands. Results equal the accumulator `hbm-pim-fp16` of `accelsim.numerics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim.channel import Access
from accelsim.timing.hbm_pim.controller_kernels import READ, WRITE
from accelsim.timing.hbm_pim.program import COMMANDS, REGISTERS, REPEATS, Command, Operand, decode

Lanes = NDArray[np.float16]
"""[blocks, lanes] or [lanes]."""


class Blocks:
    """Banks and PIM blocks of one pseudo-channel.

    Args:
        part: the part.
    """

    def __init__(self, part: HbmPimPart) -> None:
        self.part = part
        blocks, lanes = part.pim.blocks, part.pim.lanes
        self.grf_a = np.zeros((REGISTERS, blocks, lanes), dtype=np.float16)
        self.grf_b = np.zeros((REGISTERS, blocks, lanes), dtype=np.float16)
        self.scalars = np.zeros(2 * REGISTERS, dtype=np.float16)
        self.commands = [0] * COMMANDS
        self.executing = False
        self._rows: dict[tuple[int, int], NDArray[np.float16]] = {}
        self._restart()

    def row(self, bank: int, row: int) -> NDArray[np.float16]:
        """[columns, lanes] of a row of a bank, to be read and written."""
        return self.all_banks(bank % 2, row)[:, bank // 2]

    def serve(self, accesses: Iterable[Access], payloads: Iterable[Any] = ()) -> None:
        """Serve a kernel's accesses in all-bank mode; those of single banks, at its ends, change nothing.

        Args:
            accesses: in the order of their issue.
            payloads: what the writes to registers carry, in their order: words of the program for the CRF, lanes for
                the other files; None to switch execution, with the result registers cleared when it begins.
        """
        modes, carried = self.part.modes, iter(payloads)
        for access in accesses:
            if access.op == WRITE and access.row == modes.register_row:
                self._register(access.column, next(carried))
            elif not access.row & modes.park_row and self.executing:
                self._execute(access)

    def _register(self, column: int, payload: Any) -> None:
        modes = self.part.modes
        if column == modes.mode_column:
            self.executing = not self.executing
            if self.executing:
                self.grf_b[:] = 0
                self._restart()
        elif column == modes.scalar_column:
            self.scalars[:] = payload
        elif modes.grf_a_column <= column < modes.grf_a_column + REGISTERS:
            self.grf_a[column - modes.grf_a_column] = payload
        elif modes.grf_b_column <= column < modes.grf_b_column + REGISTERS:
            self.grf_b[column - modes.grf_b_column] = payload
        else:
            first = (column - modes.command_column) * REPEATS
            self.commands[first : first + REPEATS] = payload

    def _restart(self) -> None:
        self._counter, self._left, self._exited = 0, 0, False
        self._jumps: dict[int, int] = {}

    def _execute(self, access: Access) -> None:
        """One column command: the command at the program counter, and what JUMP and EXIT then do to the counter."""
        self._jump()
        if self._exited:
            return
        command = decode(self.commands[self._counter])
        if self._left == 0:
            repeats = command.name == "FILL" or command.auto
            self._left = command.count if command.name == "NOP" else REPEATS if repeats else 1
        with np.errstate(all="ignore"):
            self._compute(command, access)
        self._left -= 1
        if self._left == 0:
            self._counter += 1
            self._jump()

    def _jump(self) -> None:
        """Follow jumps to the next command that takes a column command."""
        while True:
            command = decode(self.commands[self._counter])
            if command.name == "EXIT":
                self._exited = True
            if command.name != "JUMP":
                return
            left = self._jumps.get(self._counter, command.count)
            if left:
                self._jumps[self._counter] = left - 1
                self._counter -= command.back
            else:
                self._jumps.pop(self._counter, None)
                self._counter += 1

    def _compute(self, command: Command, access: Access) -> None:
        if command.name == "NOP":
            if access.op == WRITE:
                files = (self.grf_a, self.grf_b)
                self.all_banks(access.bank, access.row)[access.column] = files[access.bank][access.column % REGISTERS]
            return
        if access.op != READ:
            return
        target, *sources = command.operands
        values = [self._read(source, command, access) for source in sources]
        if command.name == "MAC":
            values.append(self._read(target, command, access))
        result = values[0]
        if command.name in ("ADD", "MUL"):
            result = values[0] + values[1] if command.name == "ADD" else values[0] * values[1]
        elif command.name in ("MAC", "MAD"):
            result = values[0] * values[1] + values[2]
        if command.relu:
            result = np.where(np.signbit(result), np.float16(0), result)
        file = self.grf_a if target.kind == "GRF_A" else self.grf_b
        file[self._index(target, command, access)] = result

    def _read(self, operand: Operand, command: Command, access: Access) -> Lanes:
        found: Lanes
        if operand.kind.endswith("BANK"):
            parity = 1 if operand.kind == "ODD_BANK" else 0
            found = self.all_banks(parity, access.row)[access.column].copy()
        elif operand.kind.startswith("SRF"):
            at = operand.index + (REGISTERS if operand.kind == "SRF_A" else 0)
            found = self.scalars[at : at + 1]
        else:
            file = self.grf_a if operand.kind == "GRF_A" else self.grf_b
            found = file[self._index(operand, command, access)]
        return found

    def _index(self, operand: Operand, command: Command, access: Access) -> int:
        """The register: its number, or the low bits of the column address, or the next ones for inputs of a MAC."""
        if not command.auto and command.name != "FILL":
            return operand.index
        if command.name == "MAC" and operand.kind == "GRF_A":
            place = access.row * self.part.organization.columns + access.column
            return place // REGISTERS % REGISTERS
        return access.column % REGISTERS

    def all_banks(self, parity: int, row: int) -> NDArray[np.float16]:
        """[columns, blocks, lanes] of a row of all even or all odd banks."""
        key = (parity, row)
        if key not in self._rows:
            shape = (self.part.organization.columns, self.part.pim.blocks, self.part.pim.lanes)
            self._rows[key] = np.zeros(shape, dtype=np.float16)
        return self._rows[key]


def program_bursts(words: Sequence[int]) -> list[list[int]]:
    """A program in writes of eight words, padded with NOP."""
    padded = [*words, *[0] * (-len(words) % REPEATS)]
    return [padded[i : i + REPEATS] for i in range(0, len(padded), REPEATS)]
