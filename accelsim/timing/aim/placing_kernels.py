"""Instructions that reach all banks of all channels alike, placed one after the other; plain Python, or compiled.

Nothing can come between the commands of one such instruction, and all banks have the same row open: what `Controller`
does by arithmetic for them needs no more than a few numbers, and this does the same with them.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from typing import Any, NamedTuple

# commands by number, as in `accelsim.timing.aim.commands`; its tests hold them equal
ACT16, PREA, TMOD, REFAB = 1, 3, 17, 18
END, LOCAL = -1, -2
"""In place of a command: wait until all is done; a cycle of the decoder alone."""
CLOSED = -1

# state of a channel and its decoder
(
    CLOCK,  # the cycle in which the next instruction is decoded
    LAST,  # the cycle of the last command
    SERVED,  # the cycle of the last answer
    WRITTEN,  # the end of the last write
    REFRESH_AT,  # the next refresh
    ROW,  # the row that is open in all banks, or CLOSED
    REGISTERS,  # 1 in the mode of register accesses
    HEAD,  # the first run that still counts
    TAIL,  # behind the last run
    QUEUED,  # requests of those runs
    STATE_SIZE,
) = range(11)


class Instructions(NamedTuple):
    """Arrays or lists of int.

    Attributes:
        command: the DRAM command, END or LOCAL.
        size: columns.
        row: the row; -1 where none is touched.
        answered: 1 if the sender waits for the result.
    """

    command: Any
    size: Any
    row: Any
    answered: Any


class Limits(NamedTuple):
    """Arrays or lists of int, by command.

    Attributes:
        apart: cycles from a command to each later one; far below 0 where there is no such rule.
        gap: cycles between two equal ones.
        latency: to the end of its data.
        rows: 1 for those that need their row open in all banks.
        registers: 1 for those that touch no bank.
        interval: one number, cycles from one refresh to the next.
        depth: one number, places in the queue.
    """

    apart: Any
    gap: Any
    latency: Any
    rows: Any
    registers: Any
    interval: Any
    depth: Any


class Scratch(NamedTuple):
    """Arrays or lists of int, changed.

    Attributes:
        state: by the names above.
        ready: by command, the first cycle in which it may issue.
        first: of runs of requests: cycle of the first command.
        gap: cycles between two.
        count: requests.
    """

    state: Any
    ready: Any
    first: Any
    gap: Any
    count: Any


def serve(made, limits, scratch):
    """Place all instructions; afterwards CLOCK is behind the cycle in which the host knows that all is done."""
    state = scratch.state
    for i in range(len(made.command)):
        command = made.command[i]
        if command == LOCAL:
            state[CLOCK] += 1
        elif command == END:
            state[CLOCK] = max(state[CLOCK], end(limits, scratch)) + 1
        else:
            done = place(command, made.row[i], made.size[i], made.answered[i], limits, scratch)
            state[CLOCK] = max(state[CLOCK], done) + 1


def place(command, row, size, answered, limits, scratch):
    """The commands of one instruction; returns the cycle in which the decoder may go on, less one."""
    state, ready = scratch.state, scratch.ready
    clock, left = state[CLOCK], size
    at = max(clock, state[LAST] + 1)
    while left > 0:
        step = command
        if limits.rows[command] and state[ROW] != row:
            step = ACT16 if state[ROW] == CLOSED else PREA
        at = max(at, ready[step])
        if at >= state[REFRESH_AT]:
            at = max(clock, refresh(limits, scratch))
        elif state[REGISTERS] != limits.registers[command]:
            state[REGISTERS] = limits.registers[command]
            issue(TMOD, row, at, 1, limits, scratch)
        elif step != command:
            issue(step, row, at, 1, limits, scratch)
        else:
            gap = limits.gap[command]
            run = min(left, (state[REFRESH_AT] - at + gap - 1) // gap)
            left -= run
            queue(at, gap, run, scratch)
            issue(command, row, at, run, limits, scratch)
        at = max(at, state[LAST] + 1)
    done = state[LAST] + limits.latency[command]
    entered = enter(clock, limits, scratch)
    if answered:
        state[SERVED] = max(done, state[SERVED] + 1)
        return state[SERVED]
    state[WRITTEN] = max(state[WRITTEN], done)
    return entered


def end(limits, scratch):
    """Wait until everything is done; returns that cycle."""
    state = scratch.state
    at = max(state[CLOCK], state[LAST] + 1)
    while at >= state[REFRESH_AT]:
        at = max(at, refresh(limits, scratch))
    state[LAST] = at
    queue(at, 1, 1, scratch)
    state[SERVED] = max(at, state[SERVED], state[WRITTEN]) + 1
    return state[SERVED]


def refresh(limits, scratch):
    """The refresh that is due; returns the first cycle after it."""
    state = scratch.state
    at = max(state[REFRESH_AT], state[LAST] + 1)
    state[REFRESH_AT] += limits.interval[0]
    while True:
        step = REFAB if state[ROW] == CLOSED else PREA
        at = max(at, scratch.ready[step])
        if state[REGISTERS]:
            state[REGISTERS] = 0
            step = TMOD
        issue(step, CLOSED, at, 1, limits, scratch)
        at += 1
        if step == REFAB:
            return at


def issue(command, row, first, count, limits, scratch):
    """Equal commands as closely as they may follow each other."""
    state, ready = scratch.state, scratch.ready
    last = first + limits.gap[command] * (count - 1)
    state[LAST] = last
    base = command * len(ready)
    for after in range(len(ready)):
        ready[after] = max(ready[after], last + limits.apart[base + after])
    if command == ACT16:
        state[ROW] = row
    elif command == PREA:
        state[ROW] = CLOSED


def queue(first, gap, count, scratch):
    """A run of requests that leave the queue at these cycles."""
    state = scratch.state
    at = state[TAIL] % len(scratch.first)
    scratch.first[at], scratch.gap[at], scratch.count[at] = first, gap, count
    state[TAIL] += 1
    state[QUEUED] += count


def enter(clock, limits, scratch):
    """The cycle in which the last request found room in the queue."""
    state, size = scratch.state, len(scratch.first)
    ahead = state[QUEUED] - limits.depth[0]
    while ahead > scratch.count[state[HEAD] % size]:
        ahead -= scratch.count[state[HEAD] % size]
        state[QUEUED] -= scratch.count[state[HEAD] % size]
        state[HEAD] += 1
    at = state[HEAD] % size
    return clock if ahead <= 0 else max(clock, scratch.first[at] + scratch.gap[at] * (ahead - 1) + 1)
