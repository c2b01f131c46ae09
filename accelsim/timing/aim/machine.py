"""A device of channels under one command decoder: the cycles of a program.

The decoder sends one host instruction per cycle to the channels of its mask and goes on when the last of its requests
has entered a queue, or, for results, when the last channel has answered. Channels with the same past are one channel
with a count. A loop whose turns leave the channels in the same state, seen from the clock, is not run to its end but
continued by arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from accelsim.spec.aim import AimPart
from accelsim.timing.aim.banks import FUNCTION_ROW, Record
from accelsim.timing.aim.commands import AF16, COMMANDS, REFAB, Rules, rules
from accelsim.timing.aim.controller import Controller, Request
from accelsim.timing.aim.program import ANSWERED, COMMAND, EVERYWHERE, LOCAL, PLAIN, Instruction, Loop, Program

Scope = Literal["peer", "physical"]
SCOPES: Final[tuple[Scope, ...]] = ("peer", "physical")
"""What counts: what the public simulator counts, or refresh and the window of four activations as well."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Channels with one history.

    Attributes:
        channels: bit i stands for channel i.
        commands: commands by name, of one channel.
        open_cycles: cycles with a row open, of one channel.
        last: the cycle of the last command.
        records: all commands of one channel in order, if they were kept.
    """

    channels: int
    commands: dict[str, int]
    open_cycles: int
    last: int
    records: tuple[Record, ...]

    @property
    def count(self) -> int:
        """Number of channels."""
        return self.channels.bit_count()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A program that has run.

    Attributes:
        cycles: until the host knows that all is done.
        groups: channels by history.
        instructions: host instructions.
    """

    cycles: int
    groups: tuple[Counted, ...]
    instructions: int

    def commands(self) -> dict[str, int]:
        """Commands of all channels together."""
        return {name: sum(group.commands[name] * group.count for group in self.groups) for name in COMMANDS}


def run(
    program: Program, part: AimPart, channels: int, *, scope: Scope = "physical", exact: bool = False,
    keep: bool = False, since: int = 0,
) -> Outcome:  # fmt: skip
    """Runs a program.

    Args:
        program: host instructions that end with EOC.
        part: the memory.
        channels: channels of the device.
        scope: what counts.
        exact: go from command to command, without arithmetic for runs and loops; for comparison.
        keep: keep a record of all commands, which rules out folding loops.
        since: cycles from the beginning of a refresh interval to the start.
    """
    physical = scope == "physical"
    limits = rules(part.timing, part.organization, activation_window=physical, refresh=physical)
    machine = Machine(limits, part, channels, peer=not physical, exact=exact, keep=keep, since=since)
    machine.run(program.body)
    return machine.outcome()


class Machine:
    """The decoder and its channels; see `run`."""

    def __init__(
        self, limits: Rules, part: AimPart, channels: int, *, peer: bool, exact: bool, keep: bool, since: int = 0
    ) -> None:
        self._all = (1 << channels) - 1
        first = Controller(limits, part.controller, exact=exact, peer=peer, keep=keep, since=since)
        self._groups = [(self._all, first)]
        self._clk = 1  # the cycle in which the next instruction is decoded
        self._instructions = 0
        self._fold = not (exact or keep)

    def run(self, body: Iterable[Instruction | Loop], turns: tuple[int, ...] = ()) -> None:
        """Runs instructions in turn `turns` of the enclosing loops."""
        for item in body:
            if isinstance(item, Loop):
                self._loop(item, turns)
            else:
                row = item.row + sum(step * turn for step, turn in zip(item.steps, turns, strict=False))
                self._instruction(item, row)

    def outcome(self) -> Outcome:
        """What has happened until now."""
        cycles = self._clk - 1
        counted = []
        for mask, controller in self._groups:
            banks = controller.banks
            counted.append(
                Counted(
                    channels=mask,
                    commands=dict(zip(COMMANDS, banks.counts, strict=True)),
                    open_cycles=banks.open_until(cycles),
                    last=controller.last,
                    records=tuple(banks.records or ()),
                )
            )
        return Outcome(cycles, tuple(counted), self._instructions)

    def _instruction(self, item: Instruction, row: int) -> None:
        self._instructions += 1
        if item.name in LOCAL:
            self._clk += 1
            return
        command = COMMAND[item.name]
        if command == AF16:
            row += FUNCTION_ROW
        wanted = self._all if item.name in EVERYWHERE else item.channels
        done = self._clk
        for controller in self._those(wanted):
            request = Request(command, item.bank, row, item.name in PLAIN, item.name in ANSWERED)
            done = max(done, controller.accept(request, item.size, self._clk))
        self._clk = done + 1

    def _those(self, wanted: int) -> list[Controller]:
        """The groups of channels that make up a mask, split where they do not."""
        groups = []
        for mask, controller in self._groups:
            inside = mask & wanted
            if inside and inside != mask:
                groups.append((mask & ~wanted, controller.copy()))
            groups.append((inside or mask, controller))
        self._groups = groups
        return [controller for mask, controller in groups if mask & wanted]

    def _loop(self, loop: Loop, turns: tuple[int, ...]) -> None:
        step = _shift(loop, len(turns)) if self._fold else None
        turn, before, last = 0, None, None
        while turn < loop.count:
            self.run(loop.body, (*turns, turn))
            turn += 1
            if step is None or turn == loop.count:
                continue
            state = self._state(turn * step)
            figures = self._figures()
            if state is not None and state == before and last is not None:
                turn += self._leap(loop.count - turn, last, figures, step)
                before = None
                continue
            before, last = state, figures

    def _state(self, shift: int) -> list[tuple[int, tuple[object, ...] | None]] | None:
        states = [(mask, controller.signature(self._clk, shift)) for mask, controller in self._groups]
        return None if any(state is None for _, state in states) else states

    def _figures(self) -> tuple[int, int, list[tuple[int, list[int], int]]]:
        return (
            self._clk,
            self._instructions,
            [(c.last, c.banks.counts[:], c.banks.open_until(self._clk)) for _, c in self._groups],
        )

    def _leap(
        self, turns: int, before: tuple[int, int, list[tuple[int, list[int], int]]],
        now: tuple[int, int, list[tuple[int, list[int], int]]], step: int,
    ) -> int:  # fmt: skip
        """Repeats the last turn as often as it would repeat itself; returns how often."""
        period = now[0] - before[0]
        for (_, old, _), (_, new, _), (_, controller) in zip(before[2], now[2], self._groups, strict=True):
            if old[REFAB] != new[REFAB]:
                return 0
            turns = min(turns, max(0, controller.slack() - 1) // period)
        if turns:
            for (_, old, opened), (_, new, opens), (_, controller) in zip(before[2], now[2], self._groups, strict=True):
                more = [(b - a) * turns for a, b in zip(old, new, strict=True)]
                controller.advance(period * turns, step * turns, more, (opens - opened) * turns)
            self._clk += period * turns
            self._instructions += (now[1] - before[1]) * turns
        return turns


def _shift(loop: Loop, depth: int) -> int | None:
    """What all rows of a loop grow by per turn; None if they do not agree, so that the loop is not folded."""
    steps = set(_steps(loop.body, depth))
    return steps.pop() if len(steps) == 1 else 0 if not steps else None


def _steps(body: Iterable[Instruction | Loop], depth: int) -> Iterable[int]:
    for item in body:
        if isinstance(item, Loop):
            yield from _steps(item.body, depth)
        elif item.row >= 0 and COMMAND.get(item.name, AF16) != AF16:
            yield item.steps[depth] if depth < len(item.steps) else 0
