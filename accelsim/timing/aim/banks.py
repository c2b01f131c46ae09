"""The banks of one channel: which rows are open, and from which cycle on each command is allowed."""

from __future__ import annotations

from collections import deque

from accelsim.timing.aim.commands import (
    ACT,
    ACT16,
    ALL_ROWS,
    COMMANDS,
    ONE_ROW,
    PRE,
    PREA,
    REFAB,
    WRA16,
    Rules,
)

CLOSED = -1
FUNCTION_ROW = 1 << 29
"""Activation functions open rows of their own, which lie behind this number, one for each function."""

Record = tuple[int, int, int, int, int, int]
"""A run of equal commands as it was issued: command, bank, row, first cycle, cycles between two, count."""


class Banks:
    """State of one channel.

    Attributes:
        rules: the constraints.
        rows: open row by bank, or `CLOSED`.
        counts: commands issued, by command.
        open_cycles: cycles in which some row was open, up to the last change.
        open_since: the cycle since which some row is open, or -1.
        records: everything issued, if kept.
    """

    __slots__ = ("_activations", "_banks", "_channel", "_groups", "counts", "open_cycles", "open_since", "records",
                 "rows", "rules")  # fmt: skip

    def __init__(self, rules: Rules, keep: bool) -> None:
        self.rules = rules
        self.rows = [CLOSED] * rules.banks
        self.counts = [0] * len(COMMANDS)
        self.open_cycles, self.open_since = 0, -1
        self.records: list[Record] | None = [] if keep else None
        self._channel = [0] * len(COMMANDS)
        self._groups: dict[int, list[int]] = {}
        self._banks: dict[int, list[int]] = {}
        self._activations: deque[int] = deque(maxlen=4)

    def copy(self) -> Banks:
        """An equal channel with a future of its own."""
        other = Banks(self.rules, keep=self.records is not None)
        other.rows, other.counts = self.rows[:], self.counts[:]
        other.open_cycles, other.open_since = self.open_cycles, self.open_since
        other.records = None if self.records is None else self.records[:]
        other._channel = self._channel[:]
        other._groups = {key: ready[:] for key, ready in self._groups.items()}
        other._banks = {key: ready[:] for key, ready in self._banks.items()}
        other._activations = self._activations.copy()
        return other

    def needed(self, command: int, bank: int, row: int) -> int:
        """What has to be issued next so that `command` can happen in the end: itself, a precharge or an activation."""
        if command in ALL_ROWS:
            same = self.rows.count(row)
            if same == len(self.rows):
                return command
            return ACT16 if same + self.rows.count(CLOSED) == len(self.rows) else PREA
        if command in ONE_ROW:
            current = self.rows[bank]
            return command if current == row else ACT if current == CLOSED else PRE
        if command == REFAB:
            return REFAB if self.rows.count(CLOSED) == len(self.rows) else PREA
        return command

    def ready(self, command: int, bank: int) -> int:
        """The first cycle at which the constraints allow a command."""
        at = self._channel[command]
        if bank >= 0 and (command in ONE_ROW or command in (ACT, PRE)):
            for table, key in ((self._groups, bank * self.rules.groups // self.rules.banks), (self._banks, bank)):
                own = table.get(key)
                if own is not None and own[command] > at:
                    at = own[command]
        if command == ACT and len(self._activations) == 4:
            at = max(at, self._activations[0] + self.rules.window)
        return at

    def issue(self, command: int, bank: int, row: int, first: int, count: int = 1) -> int:
        """Issues equal commands as closely as they may follow each other.

        Returns:
            The cycle of the last one.
        """
        rules = self.rules
        last = first + rules.gap[command] * (count - 1)
        self.counts[command] += count
        ready = self._channel
        for after, cycles in rules.channel[command]:
            if last + cycles > ready[after]:  # noqa: PLR1730 - max() takes twice as long, here where the time goes
                ready[after] = last + cycles
        if command in ONE_ROW or command in (ACT, PRE):
            group = bank * rules.groups // rules.banks
            for table, key, followers in ((self._groups, group, rules.group), (self._banks, bank, rules.bank)):
                ready = table.setdefault(key, [0] * len(COMMANDS))
                for after, cycles in followers[command]:
                    ready[after] = max(ready[after], last + cycles)
        if command in (ACT, ACT16, PRE, PREA, WRA16):
            self._switch(command, bank, row, last)
        if self.records is not None:
            self.records.append((command, bank, row, first, rules.gap[command], count))
        return last

    def _switch(self, command: int, bank: int, row: int, cycle: int) -> None:
        if command == ACT:
            self.rows[bank] = row
            if self.rules.window:
                self._activations.append(cycle)
        elif command == PRE:
            self.rows[bank] = CLOSED
        else:
            self.rows = [row if command == ACT16 else CLOSED] * len(self.rows)
        is_open = command in (ACT, ACT16) or (command == PRE and any(row != CLOSED for row in self.rows))
        if is_open and self.open_since < 0:
            self.open_since = cycle
        elif not is_open and self.open_since >= 0:
            self.open_cycles += cycle - self.open_since
            self.open_since = -1

    def open_until(self, clk: int) -> int:
        """Cycles before `clk` in which some row was open."""
        return self.open_cycles + (clk - self.open_since if self.open_since >= 0 else 0)

    def signature(self, clk: int, shift: int) -> tuple[object, ...]:
        """What decides about the future, seen from cycle `clk`, with `shift` taken from ordinary row numbers."""
        rows = tuple(row if row == CLOSED or row >= FUNCTION_ROW else row - shift for row in self.rows)
        tables = [self._channel, *(table[key] for table in (self._groups, self._banks) for key in sorted(table))]
        return (
            rows,
            [[at - clk if at > clk else 0 for at in ready] for ready in tables],
            [max(at + self.rules.window - clk, 0) for at in self._activations],
        )

    def advance(self, cycles: int, rows: int, counts: list[int], open_cycles: int) -> None:
        """Repeats what has happened `cycles` later, `rows` further: `counts` and `open_cycles` come on top."""
        for ready in (self._channel, *self._groups.values(), *self._banks.values()):
            ready[:] = [at + cycles for at in ready]
        self._activations = deque((at + cycles for at in self._activations), maxlen=4)
        self.rows = [row if row == CLOSED or row >= FUNCTION_ROW else row + rows for row in self.rows]
        self.counts = [now + more for now, more in zip(self.counts, counts, strict=True)]
        self.open_cycles += open_cycles
        if self.open_since >= 0:
            self.open_since += cycles
