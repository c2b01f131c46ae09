"""One pseudo-channel in all-bank mode, run by run: a streak of column commands is one step.

Only banks 0 and 1 are open there, so that few things can happen next: a column command, an ACT of the row that it
needs, an ACT ahead of the last access of a run, a precharge, a refresh. Each has an earliest cycle; the earliest one
goes, and in one cycle the one that the controller prefers (see `controller_kernels`, with which this agrees to the
cycle). A streak ends before the last access of its run, behind which the next run shows, and before a refresh.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.timing.hbm_pim.controller_kernels import (
    ACT,
    ACTIVATE_TO_ACTIVATE,
    ACTIVATE_TO_PRECHARGE,
    ACTIVATE_TO_READ,
    ACTIVATE_TO_WRITE,
    ACTIVATED_TOGETHER,
    ACTIVE,
    ALL,
    CYCLE,
    DUE_0,
    EXECUTE,
    IDLE,
    LEAVE_ROW,
    LEAVING,
    MODE,
    MODE_COLUMN,
    OPENED,
    OTHER_BANK_LONG,
    OTHER_BANK_SHORT,
    PARK_ROW,
    POINTER,
    PRE,
    PRECHARGE_TO_ACTIVATE,
    PRECHARGING,
    RANKS,
    READ,
    READ_TO_PRECHARGE,
    READ_TO_READ_LONG,
    READ_TO_READ_SHORT,
    READ_TO_WRITE,
    REF,
    REFRESH_INTERVAL,
    REFRESH_TIME,
    REFRESHING,
    REGISTER_ROW,
    SINGLE,
    TURN,
    WAITING,
    WINDOW,
    WRITE,
    WRITE_TO_PRECHARGE,
    WRITE_TO_READ,
)

_NEVER = 1 << 60


class Runs(NamedTuple):
    """Accesses to one row each: arrays or lists of int.

    Attributes:
        op: READ or WRITE.
        bank: 0 or 1.
        row: in the bank.
        column: of the first access.
        count: accesses.
        first: accesses up to the first barrier.
    """

    op: Any
    bank: Any
    row: Any
    column: Any
    count: Any
    first: Any


def serve(runs, rules, banks):
    """Serve runs until the last access is issued; the last run only shows behind the others and is not served.

    Args:
        runs: a `Runs`.
        rules: timing rules.
        banks: the `Banks` of a channel whose banks from 2 on are closed; changed.
    """
    state = banks.state
    last_read, last_write, last_activate, now = -_NEVER, -_NEVER, -_NEVER, state[CYCLE]
    for k in range(len(runs.op) - 1):
        b, row, left, reading = runs.bank[k], runs.row[k], runs.count[k], runs.op[k] == READ
        o, ahead = 1 - b, runs.bank[k + 1] == 1 - b and runs.first[k + 1] > 1
        while left > 0:
            # the earliest cycle of everything that may come next
            own, other = banks.status[b] == ACTIVE, banks.status[o] == ACTIVE
            t_column, t_open, t_ahead, t_close, t_other, t_refresh = _NEVER, _NEVER, _NEVER, _NEVER, _NEVER, _NEVER
            if own and banks.open_row[b] == row:
                t_column = max(now, banks.next_read[b] if reading else banks.next_write[b])
            elif own:
                t_close = max(now, banks.next_precharge[b])
            else:
                t_open = opens(b, rules, banks, now)
            if other:
                t_other = max(now, banks.next_precharge[o])
            elif left == 1 and ahead:
                t_ahead = opens(o, rules, banks, now)
            if state[WAITING] == 0:
                t_refresh = refreshes(banks, now)
            t = min(t_column, t_open, t_ahead, t_close, t_other, t_refresh)
            due = state[DUE_0 + state[TURN]] if rules[REFRESH_INTERVAL] > 0 else _NEVER
            if due <= t:
                now = ask(rules, banks, due, now)
            elif t == t_refresh:
                now = t + 1
                refresh(rules, banks, t)
            elif t == t_column:
                streak = 1
                if left > 1 and state[WAITING] < 0:
                    streak = min(left - 1, (due - 1 - t) // rules[READ_TO_READ_LONG] + 1)
                end = t + (streak - 1) * rules[READ_TO_READ_LONG]
                if other and streak > 1:
                    between(o, rules, banks, t, end)
                left, now = left - streak, end + 1
                if reading:
                    last_read = end
                    reads(b, streak, rules, banks, end)
                else:
                    last_write = end
                    writes(b, streak, rules, banks, end)
                    switch(row, runs.column[k], rules, banks)
            else:
                now = t + 1
                if t in (t_open, t_ahead):
                    last_activate = t
                    activate(b if t == t_open else o, row if t == t_open else runs.row[k + 1], rules, banks, t)
                else:
                    close(b, t_close, o, t_other, rules, banks)
    settle(rules, banks, now, (last_read, last_write, last_activate))


def opens(bank, rules, banks, now):
    """The first cycle of an ACT to a closed bank."""
    t = max(now, banks.idle_at[bank], banks.next_activate[bank])
    return max(t, banks.window[0] + rules[WINDOW]) if rules[WINDOW] > 0 else t


def refreshes(banks, now):
    """The first cycle of what a waiting refresh needs: a precharge, or REF if both banks are closed."""
    t = _NEVER
    for b in range(2):
        if banks.status[b] == ACTIVE:
            t = min(t, max(now, banks.next_precharge[b]))
    return now if t == _NEVER else t


def ask(rules, banks, due, now):
    """The refresh of the rank whose turn it is falls due; an idle rank's REF takes the slot. Returns the next cycle."""
    state = banks.state
    turn = state[TURN]
    state[DUE_0 + turn] = due + rules[REFRESH_INTERVAL]
    state[TURN] = (turn + 1) % rules[RANKS]
    if turn == 0:
        state[WAITING] = 0
        return max(now, due)
    state[WAITING] = -1
    banks.counts[REF] += 1
    return due + 1


def refresh(rules, banks, t):
    """The precharge that a waiting refresh needs, or the refresh itself."""
    for b in range(2):
        if banks.status[b] == ACTIVE and t >= banks.next_precharge[b]:
            precharge(b, rules, banks, t)
            return
    banks.counts[REF] += 1
    banks.state[WAITING] = -1
    for b in range(len(banks.status)):
        banks.status[b] = REFRESHING
        banks.idle_at[b] = t + rules[REFRESH_TIME]
        banks.next_activate[b] = t + rules[REFRESH_TIME]


def between(bank, rules, banks, begin, end):
    """Precharge a bank during a streak of column commands, in a cycle that they leave free."""
    t = max(banks.next_precharge[bank], begin + 1)
    if (t - begin) % rules[READ_TO_READ_LONG] == 0:
        t += 1
    if t < end:
        banks.state[POINTER] = bank
        precharge(bank, rules, banks, t)


def close(own, t_own, other, t_other, rules, banks):
    """Precharge the bank that may be first; of two, the one at which the controller's search arrives first."""
    bank = own if t_own < t_other else other
    if t_own == t_other:
        bank = 1 if banks.state[POINTER] == 1 else 0
    banks.state[POINTER] = bank
    precharge(bank, rules, banks, min(t_own, t_other))


def switch(row, column, rules, banks):
    """Switch execution of micro-programs on or off, if that is what a write is for."""
    if row == rules[REGISTER_ROW] and column == rules[MODE_COLUMN]:
        banks.state[MODE] = ALL + EXECUTE - banks.state[MODE]


def reads(bank, streak, rules, banks, end):
    """Reads, the last of them in cycle `end`."""
    banks.counts[READ] += streak
    banks.next_precharge[bank] = max(banks.next_precharge[bank], end + rules[READ_TO_PRECHARGE])
    for b in range(2):
        banks.next_read[b] = max(banks.next_read[b], end + rules[READ_TO_READ_LONG])
        banks.next_write[b] = max(banks.next_write[b], end + rules[READ_TO_WRITE])


def writes(bank, streak, rules, banks, end):
    """Writes, the last of them in cycle `end`."""
    banks.counts[WRITE] += streak
    banks.next_precharge[bank] = max(banks.next_precharge[bank], end + rules[WRITE_TO_PRECHARGE])
    for b in range(2):
        banks.next_read[b] = max(banks.next_read[b], end + rules[WRITE_TO_READ])
        banks.next_write[b] = max(banks.next_write[b], end + rules[READ_TO_READ_LONG])


def activate(bank, row, rules, banks, t):
    """An ACT of all even or all odd banks."""
    banks.counts[ACT] += 1
    banks.status[bank] = ACTIVE
    banks.idle_at[bank] = 0
    banks.open_row[bank] = row
    banks.next_activate[bank] = max(banks.next_activate[bank], t + rules[ACTIVATE_TO_ACTIVATE])
    banks.next_precharge[bank] = max(banks.next_precharge[bank], t + rules[ACTIVATE_TO_PRECHARGE])
    banks.next_read[bank] = max(banks.next_read[bank], t + rules[ACTIVATE_TO_READ])
    banks.next_write[bank] = max(banks.next_write[bank], t + rules[ACTIVATE_TO_WRITE])
    banks.next_activate[1 - bank] = max(banks.next_activate[1 - bank], t + rules[OTHER_BANK_LONG])
    opened = 0 if row & rules[PARK_ROW] else rules[ACTIVATED_TOGETHER]
    banks.counts[OPENED] += opened
    window = banks.window
    size = len(window)
    over = max(opened - size, 0) * rules[WINDOW] // size
    for i in range(size):
        if i + opened < size:
            window[i] = window[i + opened]
        elif opened > 0:
            window[i] = t + over


def precharge(bank, rules, banks, t):
    """A PRE of all even or all odd banks."""
    banks.counts[PRE] += 1
    banks.status[bank] = PRECHARGING
    banks.idle_at[bank] = t + rules[PRECHARGE_TO_ACTIVATE]
    banks.next_activate[bank] = max(banks.next_activate[bank], banks.idle_at[bank])
    state = banks.state
    if state[MODE] == ALL and banks.open_row[bank] == rules[LEAVE_ROW]:
        state[LEAVING] |= 1 << bank
        if state[LEAVING] == 3:
            state[LEAVING] = 0
            state[MODE] = SINGLE


def settle(rules, banks, now, last):
    """Bring the state of all banks to the cycle in which the controller goes on."""
    last_read, last_write, last_activate = last
    for b in range(len(banks.status)):
        if 0 < banks.idle_at[b] < now:
            banks.idle_at[b] = 0
            banks.status[b] = IDLE
        if b >= 2:  # what the last commands ask of the banks that took no part
            same = rules[READ_TO_READ_LONG] if b < 4 else rules[READ_TO_READ_SHORT]
            gap = rules[OTHER_BANK_LONG] if b < 4 else rules[OTHER_BANK_SHORT]
            banks.next_read[b] = max(banks.next_read[b], last_read + same, last_write + rules[WRITE_TO_READ])
            banks.next_write[b] = max(banks.next_write[b], last_write + same, last_read + rules[READ_TO_WRITE])
            banks.next_activate[b] = max(banks.next_activate[b], last_activate + gap)
    banks.state[CYCLE] = now
