"""Kernels of DRAM channels: the timing table and the state of rows; plain Python, or compiled.

Times are in clock cycles. `wires` (`table.Wires`) is what does not change, `banks` (`table.Banks`) the timing state,
`desk` (`controller.Desk`) the queues and counters of the controllers.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

NEVER = 1 << 60


def earliest(wires, banks, command, bank):
    """The first cycle at which the table allows a command to a bank (or to the levels above it)."""
    at = 0
    for k in range(wires.first_level[command], wires.first_level[command + 1]):
        at = max(at, banks.ready[wires.path[bank, wires.levels[k]], command])
    return at


def note(wires, banks, command, bank, now):
    """Enter an issued command into the table."""
    rows, wide = wires.rows, wires.wide
    for k in range(wires.first[command], wires.first[command + 1]):
        node, following = wires.path[bank, rows[k, 0]], rows[k, 1]
        banks.ready[node, following] = max(banks.ready[node, following], now + rows[k, 2])
    for k in range(wires.first_wide[command], wires.first_wide[command + 1]):
        level, following, window, ring = wide[k, 0], wide[k, 1], wide[k, 3], wide[k, 5]
        node = wires.path[bank, level]
        since = now
        if window > 1:
            count = banks.issued[ring, node]
            banks.ring[ring, node, count % window] = now
            banks.issued[ring, node] = count + 1
            if count + 1 < window:
                continue
            since = banks.ring[ring, node, (count + 1) % window]
        legal = since + wide[k, 2]
        if wide[k, 4] == 0:
            banks.ready[node, following] = max(banks.ready[node, following], legal)
            continue
        of_level = wires.offset[level]
        start = of_level + (node - of_level) // wires.fanout[level] * wires.fanout[level]
        for other in range(start, start + wires.fanout[level]):
            if other != node:
                banks.ready[other, following] = max(banks.ready[other, following], legal)


def apply(wires, banks, desk, command, bank, row, now):
    """Issue a command: timing, rows, counters, open time of the rank and the log."""
    note(wires, banks, command, bank, now)
    does = wires.does[command]
    first, last = span(wires, command, bank)
    if does == 0:  # activate
        for b in range(first, last):
            opened(wires, banks, desk, b, row, now)
    elif does == 1 or wires.closes[command] == 1:
        for b in range(first, last):
            closed(wires, banks, desk, b, now)
    desk.counts[command] += 1
    if desk.logged[0] < desk.log.shape[0]:
        at = desk.logged[0]
        desk.log[at, 0], desk.log[at, 1], desk.log[at, 2], desk.log[at, 3] = now, command, bank, row
        desk.logged[0] = at + 1


def span(wires, command, bank):
    """The banks that a command addresses: from the first to before the last."""
    size = wires.below[wires.level[command]]
    start = bank // size * size
    return start, start + size


def opened(wires, banks, desk, bank, row, now):
    """A row opens."""
    rank = wires.path[bank, 2]
    if banks.row[bank] < 0:
        if banks.open_banks[rank] == 0:
            banks.open_since[rank] = now
        banks.open_banks[rank] += 1
    banks.row[bank] = row
    banks.hits[bank] = 0
    desk.wake_queue[wires.queue[bank]] = 0


def closed(wires, banks, desk, bank, now):
    """A row closes, if one was open."""
    if banks.row[bank] < 0:
        return
    rank = wires.path[bank, 2]
    banks.open_banks[rank] -= 1
    if banks.open_banks[rank] == 0:
        banks.open_cycles[rank] += now - banks.open_since[rank]
    banks.row[bank] = -1
    banks.hits[bank] = 0
    desk.wake_queue[wires.queue[bank]] = 0
