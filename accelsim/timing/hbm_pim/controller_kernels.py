"""One pseudo-channel's controller, cycle by cycle: the exact reference; plain Python, or compiled.

At most one command each cycle: for a refresh that waits, a precharge of an open bank or REF; else the oldest column
access that may issue; else an ACT for the oldest request whose bank is idle; else a precharge of a bank whose open row
nobody wants. Accesses are searched up to the first barrier, which goes once it is the oldest; only ACT looks past it
then. The order of these choices, and when they take effect, are facts of SAITPublic/PIMSimulator at b464dde, found by
reading and running it; `tests/timing/test_hbm_pim_reference.py` holds its counts.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from typing import Any, NamedTuple

IDLE, ACTIVE, PRECHARGING, REFRESHING = 0, 1, 2, 3
"""States of a bank."""

# State of the channel beside its banks
(
    CYCLE,  # the next cycle to be simulated
    MODE,  # SINGLE, ALL or EXECUTE
    MAGIC,  # bits of the banks 0, 1, 8, 9 whose mode row has been opened
    LEAVING,  # bits of the banks 0, 1 whose leave row has been precharged
    POINTER,  # bank at which the search for a precharge goes on
    WAITING,  # rank whose refresh waits, or -1
    TURN,  # rank that refreshes next
    DUE_0,  # cycle of the next refresh of rank 0, which has the PIM blocks
    DUE_1,  # and of rank 1, which stays idle
    STATE_SIZE,
) = range(10)
MODE_BANKS = (0, 1, 8, 9)
SINGLE, ALL, EXECUTE = 0, 1, 2
"""One bank per command; all even or all odd banks; the same, and column commands run the micro-program."""

# Timing rules, in cycles
(
    READ_TO_READ_LONG,
    READ_TO_READ_SHORT,
    READ_TO_WRITE,
    WRITE_TO_READ,
    READ_TO_PRECHARGE,
    WRITE_TO_PRECHARGE,
    ACTIVATE_TO_READ,
    ACTIVATE_TO_WRITE,
    ACTIVATE_TO_PRECHARGE,
    ACTIVATE_TO_ACTIVATE,
    OTHER_BANK_LONG,
    OTHER_BANK_SHORT,
    PRECHARGE_TO_ACTIVATE,
    REFRESH_TIME,
    REFRESH_INTERVAL,  # 0 switches refresh off
    READ_DONE,
    WRITE_DONE,
    WINDOW,  # cycles in which at most WINDOW_ACTIVATES banks are opened; 0 switches the rule off
    WINDOW_ACTIVATES,
    ACTIVATED_TOGETHER,  # banks that one ACT opens in all-bank mode
    RANKS,
    QUEUE_DEPTH,
    ENTER_ROW,
    ENTER_COLUMN,
    LEAVE_ROW,
    REGISTER_ROW,
    MODE_COLUMN,
    PARK_ROW,  # the bit of rows that are no cells in all-bank mode
    RULES_SIZE,
) = range(29)

READ, WRITE, ACT, PRE, REF = 0, 1, 2, 3, 4
"""Commands."""
OPENED, COUNTERS = 5, 6
"""A further counter: rows of cells that ACTs opened, up to 8 by one; and how many counters there are."""


class Banks(NamedTuple):
    """The state of a channel, changed in place: arrays or lists of int, per bank where nothing else is said.

    Attributes:
        state: scalars, by the names above.
        status: IDLE to REFRESHING.
        open_row: its open row.
        next_read: first cycle of a read to it.
        next_write: first cycle of a write to it.
        next_activate: first cycle of an ACT to it.
        next_precharge: first cycle of a PRE to it.
        idle_at: cycle at which a precharge or refresh ends, 0 if none runs.
        window: cycles of the last activations, oldest first.
        counts: how many of each command were issued, and rows opened.
    """

    state: Any
    status: Any
    open_row: Any
    next_read: Any
    next_write: Any
    next_activate: Any
    next_precharge: Any
    idle_at: Any
    window: Any
    counts: Any


class Stream(NamedTuple):
    """Column accesses, oldest first: arrays or lists of int.

    Attributes:
        op: READ or WRITE.
        bank: 0 to 15.
        row: in the bank.
        column: in bursts.
        barrier: 1 if nothing younger may issue before it.
    """

    op: Any
    bank: Any
    row: Any
    column: Any
    barrier: Any


class Log(NamedTuple):
    """Commands in the order of their issue, as far as there is room: arrays or lists of int."""

    cycle: Any
    command: Any
    bank: Any
    row: Any
    column: Any


def serve(stream, queue, queued, stop, until, rules, banks, log):
    """Serve a stream until its last access is done.

    Args:
        stream: a `Stream`.
        queue: room for as many numbers as the controller's queue has places.
        queued: accesses that wait in the queue already; one more comes each cycle.
        stop: accesses after whose issue to stop at once; the whole stream is served if there are fewer.
        until: cycle before which the channel is not left, even if all accesses are done.
        rules: timing rules, by the names above.
        banks: a `Banks`; changed.
        log: a `Log`; filled.

    Returns:
        The number of commands issued.
    """
    state = banks.state
    total = len(stream.op)
    filled = min(queued, total, len(queue))
    for i in range(filled):
        queue[i] = i
    source, issued, logged, now = filled, 0, 0, state[CYCLE]
    last_done = now - 1
    while issued < total or now <= last_done or now < until:
        wake(rules, banks, now)
        command, target = find_refresh(banks, now)
        chosen = -1
        if command < 0:
            chosen = find_column(stream, queue, filled, banks, now)
            if chosen >= 0:
                command = stream.op[queue[chosen]]
        if command < 0:
            chosen = find_activate(stream, queue, filled, rules, banks, now)
            if chosen >= 0:
                command = ACT
        if command < 0:
            target = find_precharge(stream, queue, filled, banks, now)
            if target >= 0:
                command = PRE
        if command >= 0:
            if chosen >= 0:
                target = stream.bank[queue[chosen]]
            note(stream, -1 if chosen < 0 else queue[chosen], banks, log, (logged, now, command, target))
            logged += 1
            banks.counts[command] += 1
            if command <= WRITE:
                k = queue[chosen]
                filled -= 1
                for i in range(chosen, filled):
                    queue[i] = queue[i + 1]
                issued += 1
                column(command, stream.row[k], stream.column[k], target, rules, banks, now)
                last_done = max(last_done, now + rules[READ_DONE if command == READ else WRITE_DONE])
            elif command == ACT:
                activate(stream.row[queue[chosen]], stream.column[queue[chosen]], target, rules, banks, now)
            else:
                close(command, target, rules, banks, now)
        if filled < len(queue) and source < total:
            queue[filled] = source
            filled += 1
            source += 1
        now += 1
        if issued == stop:
            break
    state[CYCLE] = now
    return logged


def close(command, target, rules, banks, now):
    """A PRE or REF."""
    if command == PRE:
        precharge(target, rules, banks, now)
    else:
        refresh(target, rules, banks, now)


def note(stream, k, banks, log, event):
    """Enter a command into the log; `k` is the access that it serves, or -1."""
    at, now, command, target = event
    if at >= len(log.cycle):
        return
    log.cycle[at] = now
    log.command[at] = command
    log.bank[at] = target
    if k >= 0:
        log.row[at] = stream.row[k]
        log.column[at] = stream.column[k]
    elif command == PRE:
        log.row[at] = banks.open_row[target]


def wake(rules, banks, now):
    """What time alone brings: banks become idle, and the rank whose turn it is asks for its refresh."""
    state = banks.state
    for b in range(len(banks.status)):
        if banks.idle_at[b] == now and now > 0:
            banks.idle_at[b] = 0
            banks.status[b] = IDLE
    if rules[REFRESH_INTERVAL] > 0:
        turn = state[TURN]
        if state[DUE_0 + turn] == now:
            state[WAITING] = turn
            state[DUE_0 + turn] = now + rules[REFRESH_INTERVAL]
            state[TURN] = (turn + 1) % rules[RANKS]


def find_refresh(banks, now):
    """The command and the bank that a waiting refresh needs now; -1 as command if there is none."""
    state = banks.state
    if state[WAITING] == 1:  # an idle rank: REF takes the command slot
        return REF, -1
    if state[WAITING] == 0:
        closed = True
        for b in range(len(banks.status)):
            if banks.status[b] == ACTIVE:
                closed = False
                if now >= banks.next_precharge[b]:
                    return PRE, b
        if closed:
            return REF, 0
    return -1, -1


def find_column(stream, queue, filled, banks, now):
    """The place in the queue of the oldest access that may issue, or -1."""
    for i in range(filled):
        k = queue[i]
        b = stream.bank[k]
        if stream.barrier[k] != 0 and i != 0:
            return -1
        if banks.status[b] == ACTIVE and banks.open_row[b] == stream.row[k]:
            ready = banks.next_read[b] if stream.op[k] == READ else banks.next_write[b]
            if now >= ready and not follows(stream, queue, i):
                return i
        if stream.barrier[k] != 0:
            return -1
    return -1


def follows(stream, queue, i):
    """Whether an older access goes to the same place."""
    k = queue[i]
    for j in range(i):
        m = queue[j]
        if stream.bank[m] == stream.bank[k] and stream.row[m] == stream.row[k] and stream.column[m] == stream.column[k]:
            return True
    return False


def find_activate(stream, queue, filled, rules, banks, now):
    """The place in the queue of the oldest access whose bank may be opened, or -1."""
    for i in range(filled):
        k = queue[i]
        b = stream.bank[k]
        if stream.barrier[k] != 0 and i != 0:  # past a barrier that is the oldest, rows are opened ahead
            return -1
        if banks.status[b] == IDLE and now >= banks.next_activate[b]:
            if b >= 2 and banks.state[MODE] != SINGLE:
                continue
            if rules[WINDOW] > 0 and now < banks.window[0] + rules[WINDOW]:
                return -1
            return i
    return -1


def find_precharge(stream, queue, filled, banks, now):
    """A bank whose open row no access up to the first barrier wants, or -1; the search goes on where it ended."""
    size = len(banks.status)
    for step in range(size):
        b = (banks.state[POINTER] + step) % size
        if banks.status[b] != ACTIVE or now < banks.next_precharge[b]:
            continue
        wanted = False
        for i in range(filled):
            k = queue[i]
            if stream.bank[k] == b and stream.row[k] == banks.open_row[b]:
                wanted = True
            if wanted or stream.barrier[k] != 0:
                break
        if not wanted:
            banks.state[POINTER] = b
            return b
    return -1


def column(command, row, place, target, rules, banks, now):
    """A read or write: when other column commands and the precharge may follow, and a switch of the mode."""
    long, short = now + rules[READ_TO_READ_LONG], now + rules[READ_TO_READ_SHORT]
    group = target // 4
    recovery = now + rules[READ_TO_PRECHARGE if command == READ else WRITE_TO_PRECHARGE]
    banks.next_precharge[target] = max(banks.next_precharge[target], recovery)
    for b in range(len(banks.status)):
        same = long if b // 4 == group else short
        read, write = (same, now + rules[READ_TO_WRITE]) if command == READ else (now + rules[WRITE_TO_READ], same)
        banks.next_read[b] = max(banks.next_read[b], read)
        banks.next_write[b] = max(banks.next_write[b], write)
    state = banks.state
    if command == WRITE and state[MODE] != SINGLE and row == rules[REGISTER_ROW] and place == rules[MODE_COLUMN]:
        state[MODE] = ALL + EXECUTE - state[MODE]


def activate(row, place, target, rules, banks, now):
    """An ACT, in all-bank mode of all even or all odd banks; the fourth mode row enters that mode."""
    banks.status[target] = ACTIVE
    banks.open_row[target] = row
    banks.next_activate[target] = max(banks.next_activate[target], now + rules[ACTIVATE_TO_ACTIVATE])
    banks.next_precharge[target] = max(banks.next_precharge[target], now + rules[ACTIVATE_TO_PRECHARGE])
    banks.next_read[target] = max(banks.next_read[target], now + rules[ACTIVATE_TO_READ])
    banks.next_write[target] = max(banks.next_write[target], now + rules[ACTIVATE_TO_WRITE])
    for b in range(len(banks.status)):
        if b != target:
            apart = rules[OTHER_BANK_LONG] if b // 4 == target // 4 else rules[OTHER_BANK_SHORT]
            banks.next_activate[b] = max(banks.next_activate[b], now + apart)
    state = banks.state
    opened = 1
    if state[MODE] != SINGLE:
        opened = 0 if row & rules[PARK_ROW] else rules[ACTIVATED_TOGETHER]
    fill(banks, opened, rules[WINDOW], now)
    if state[MODE] == SINGLE and row == rules[ENTER_ROW] and place == rules[ENTER_COLUMN]:
        for i in range(len(MODE_BANKS)):
            if MODE_BANKS[i] == target:
                state[MAGIC] |= 1 << i
        if state[MAGIC] == (1 << len(MODE_BANKS)) - 1:
            state[MAGIC] = 0
            state[MODE] = ALL


def fill(banks, opened, length, now):
    """Count rows that an ACT opens; those beyond the window's size count in the windows that follow."""
    banks.counts[OPENED] += opened
    window = banks.window
    size = len(window)
    over = max(opened - size, 0) * length // size
    for i in range(size):
        if i + opened < size:
            window[i] = window[i + opened]
        elif opened > 0:
            window[i] = now + over


def precharge(target, rules, banks, now):
    """A PRE; that of the leave row in banks 0 and 1 ends the all-bank mode."""
    banks.status[target] = PRECHARGING
    banks.idle_at[target] = now + rules[PRECHARGE_TO_ACTIVATE]
    banks.next_activate[target] = max(banks.next_activate[target], banks.idle_at[target])
    state = banks.state
    if state[MODE] == ALL and banks.open_row[target] == rules[LEAVE_ROW] and target < 2:
        state[LEAVING] |= 1 << target
        if state[LEAVING] == 3:
            state[LEAVING] = 0
            state[MODE] = SINGLE


def refresh(target, rules, banks, now):
    """A REF, of the rank with PIM blocks if `target` is 0, or of the other one."""
    banks.state[WAITING] = -1
    if target < 0:
        return
    for b in range(len(banks.status)):
        banks.status[b] = REFRESHING
        banks.idle_at[b] = now + rules[REFRESH_TIME]
        banks.next_activate[b] = now + rules[REFRESH_TIME]
