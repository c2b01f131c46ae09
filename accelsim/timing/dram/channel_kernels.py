"""Kernels of DRAM channels: the timing table, the FR-FCFS controller and command programs; plain Python, or compiled.

Times are in clock cycles. `wires` (`table.Wires`) is what does not change, `banks` (`table.Banks`) the timing state,
`desk` (`controller.Desk`) the queues and counters of the controllers. The scheduling rules are those of DRAMsim3
2981759 (command_queue.cc, controller.cc, refresh.cc), here with times to wake at instead of a step for every cycle.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

NEVER = 1 << 60


def earliest(wires, banks, command, bank):
    """The first cycle at which the table allows a command to a bank (or to the levels above it)."""
    at = 0
    for level in range(wires.level[command] + 1):
        at = max(at, banks.ready[wires.path[bank, level], command])
    return at


def note(wires, banks, command, bank, now):
    """Enter an issued command into the table."""
    rows = wires.rows
    for k in range(wires.first[command], wires.first[command + 1]):
        level, following, window, ring = rows[k, 0], rows[k, 1], rows[k, 3], rows[k, 5]
        node = wires.path[bank, level]
        since = now
        if window > 1:
            count = banks.issued[ring, node]
            banks.ring[ring, node, count % window] = now
            banks.issued[ring, node] = count + 1
            if count + 1 < window:
                continue
            since = banks.ring[ring, node, (count + 1) % window]
        legal = since + rows[k, 2]
        if rows[k, 4] == 0:
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


def may_precharge(wires, banks, desk, requests, queue, at):
    """Whether the entry `at` may close the open row of its bank: it is the oldest there, and no row hit waits."""
    bank = requests.bank[desk.entry[queue, at]]
    for other in range(at):
        if requests.bank[desk.entry[queue, other]] == bank:
            return False
    if banks.hits[bank] >= wires.settings.row_hit_cap:
        return True
    for other in range(at + 1, desk.length[queue]):
        request = desk.entry[queue, other]
        if requests.bank[request] == bank and requests.row[request] == banks.row[bank]:
            return False
    return True


def read_before(desk, requests, queue, at):
    """Whether a read of the same address stands before a write in its queue."""
    key = requests.key[desk.entry[queue, at]]
    for other in range(at):
        request = desk.entry[queue, other]
        if requests.write[request] == 0 and requests.key[request] == key:
            return True
    return False


def ready_entry(wires, banks, desk, requests, queue, now):
    """The first entry of a queue that can issue now, and its command; (-1, time to look again) if there is none."""
    soonest = NEVER
    settings = wires.settings
    for at in range(desk.length[queue]):
        request = desk.entry[queue, at]
        bank = requests.bank[request]
        if banks.row[bank] < 0:
            command = settings.activate
        elif banks.row[bank] == requests.row[request]:
            command = settings.write if requests.write[request] else settings.read
        elif at > 0 and settings.per_bank:
            continue
        else:
            command = settings.precharge
        time = earliest(wires, banks, command, bank)
        if time > now:
            soonest = min(soonest, time)
            if command == settings.activate and settings.per_bank:
                break
            continue
        if command == settings.precharge and not may_precharge(wires, banks, desk, requests, queue, at):
            continue
        if command == settings.write and read_before(desk, requests, queue, at):
            continue
        return at, command
    return -1, soonest


def finish(wires, desk, requests, request, now):
    """A request has issued its column command: it and the merged ones are done when its data are."""
    delay = wires.settings.write_delay if requests.write[request] else wires.settings.read_delay
    while request >= 0:
        requests.done[request] = now + delay
        desk.finished[0] += 1
        if requests.write[request] == 0 and wires.settings.in_flight > 0:
            desk.returns[desk.returned[1] % wires.settings.in_flight] = now + delay
            desk.returned[1] += 1
        request = requests.link[request]


def issue_first(wires, banks, desk, requests, channel, now, barred):
    """Issue what the queues offer, round robin; gives the bus of the command (0 row, 1 column), or -1.

    Args:
        barred: the bus that is taken already, or -1. A command for it stays where it is, but the turn passes on.
    """
    settings = wires.settings
    per_channel = settings.queues_per_channel
    base = channel * per_channel
    soonest = NEVER
    for step in range(1, per_channel + 1):
        turn = desk.turn[channel] + step
        queue = base + (turn - per_channel if turn >= per_channel else turn)
        if desk.wake_queue[queue] > now:
            soonest = min(soonest, desk.wake_queue[queue])
            continue
        if desk.blocked[queue] == 1:
            continue
        at, command = ready_entry(wires, banks, desk, requests, queue, now)
        if at < 0:
            desk.wake_queue[queue] = command
            soonest = min(soonest, command)
            continue
        desk.turn[channel] = queue - base
        bus = wires.bus[command]
        if bus == barred:
            return -1
        request = desk.entry[queue, at]
        if bus == 1:
            take_out(wires, banks, desk, requests, channel, queue, at, now)
        apply(wires, banks, desk, command, requests.bank[request], requests.row[request], now)
        return bus
    desk.soonest[channel] = soonest
    return -1


def take_out(wires, banks, desk, requests, channel, queue, at, now):
    """Remove an entry whose column command issues."""
    request = desk.entry[queue, at]
    bank = requests.bank[request]
    if banks.hits[bank] > 0:
        desk.counters[0] += 1
    banks.hits[bank] += 1
    finish(wires, desk, requests, request, now)
    desk.length[queue] -= 1
    for k in range(at, desk.length[queue]):
        desk.entry[queue, k] = desk.entry[queue, k + 1]
    desk.queued[channel] -= 1
    desk.known[channel, bucket(requests.key[request])] -= 1
    desk.wake_queue[queue] = 0
    desk.try_move[channel] = 1


def refresh(wires, banks, desk, channel, now):
    """Work on the oldest refresh that is due: 1 if a command issued; otherwise it sets the time to look again."""
    settings = wires.settings
    unit = desk.refreshed[channel] % settings.refresh_units
    bank = channel * settings.banks_per_channel + wires.refresh_order[unit]
    first, last = span(wires, settings.refresh, bank)
    for b in range(first, last):
        desk.blocked[wires.queue[b]] = 1
    soonest, is_open = NEVER, False
    for b in range(first, last):
        if banks.row[b] < 0:
            continue
        is_open = True
        time = earliest(wires, banks, settings.precharge, b)
        if time <= now:
            apply(wires, banks, desk, settings.precharge, b, banks.row[b], now)
            return 1
        soonest = min(soonest, time)
    if not is_open:
        soonest = earliest(wires, banks, settings.refresh, bank)
        if soonest <= now:
            apply(wires, banks, desk, settings.refresh, bank, -1, now)
            for b in range(first, last):
                desk.blocked[wires.queue[b]] = 0
                desk.wake_queue[wires.queue[b]] = 0
            desk.refreshed[channel] += 1
            return 1
    desk.refresh_at[channel] = soonest
    return 0


def move(wires, desk, requests, channel, over):
    """Move one waiting request to its command queue, as DRAMsim3 schedules transactions; 1 if one moved."""
    settings = wires.settings
    writes = desk.waiting[channel, 1]
    if desk.draining[channel] == 0:
        idle = desk.queued[channel] == 0 and writes > settings.write_drain_above
        if writes >= settings.transaction_queue or idle or (over and desk.waiting[channel, 0] == 0):
            desk.draining[channel] = writes
    kind = 1 if desk.draining[channel] > 0 else 0
    for at in range(desk.waiting[channel, kind]):
        request = desk.hall[channel, kind, at]
        queue = wires.queue[requests.bank[request]]
        if desk.length[queue] >= settings.command_queue:
            continue
        if kind == 1:
            if pending(wires, desk, requests, channel, request, 0) >= 0:
                desk.draining[channel] = 0
                return 1
            desk.draining[channel] -= 1
        desk.entry[queue, desk.length[queue]] = request
        desk.length[queue] += 1
        desk.queued[channel] += 1
        desk.wake_queue[queue] = 0
        desk.waiting[channel, kind] -= 1
        for k in range(at, desk.waiting[channel, kind]):
            desk.hall[channel, kind, k] = desk.hall[channel, kind, k + 1]
        return 1
    return 0


def bucket(key):
    """Where waiting requests of an address are counted."""
    return (key ^ key >> 8 ^ key >> 16) & 255


def pending(wires, desk, requests, channel, request, kind):
    """A read (kind 0) or write (1) that waits for the address of a request, or -1."""
    key = requests.key[request]
    for at in range(desk.waiting[channel, kind]):
        if requests.key[desk.hall[channel, kind, at]] == key:
            return desk.hall[channel, kind, at]
    queue = wires.queue[requests.bank[request]]
    for at in range(desk.length[queue]):
        other = desk.entry[queue, at]
        if requests.write[other] == kind and requests.key[other] == key:
            return other
    return -1


def accept(wires, desk, requests, channel, request, now):
    """Take a request over: writes to a waiting address merge, reads of one are answered or wait with it."""
    requests.accepted[request] = now
    kind = 1 if requests.write[request] else 0
    place = bucket(requests.key[request])
    alone = desk.known[channel, place] == 0
    if not alone and pending(wires, desk, requests, channel, request, 1) >= 0:
        requests.done[request] = now + 1
        desk.finished[0] += 1
        desk.counters[1] += 1
        return
    if kind == 0:
        desk.outstanding[0] += 1
        read = -1 if alone else pending(wires, desk, requests, channel, request, 0)
        if read >= 0:
            requests.link[request] = requests.link[read]
            requests.link[read] = request
            desk.counters[1] += 1
            return
    desk.known[channel, place] += 1
    desk.hall[channel, kind, desk.waiting[channel, kind]] = request
    desk.waiting[channel, kind] += 1


def tick(wires, banks, desk, requests, channel, now, over):
    """One cycle of a channel that has something to do; sets when it wakes again."""
    settings = wires.settings
    while desk.next_refresh[channel] <= now:
        desk.due[channel] += 1
        desk.next_refresh[channel] += settings.refresh_interval
    bus, wake = -1, desk.next_refresh[channel]
    if desk.due[channel] > desk.refreshed[channel]:
        if refresh(wires, banks, desk, channel, now) == 1:
            bus = 0
        else:
            wake = min(wake, desk.refresh_at[channel])
    first = bus
    if bus < 0:
        first = issue_first(wires, banks, desk, requests, channel, now, -1)
    if first < 0:
        wake = min(wake, desk.soonest[channel])
    elif settings.two_buses:
        issue_first(wires, banks, desk, requests, channel, now, first)
    moved = desk.try_move[channel] and move(wires, desk, requests, channel, over)
    desk.try_move[channel] = moved
    desk.wake[channel] = now + 1 if first >= 0 or moved else max(wake, now + 1)


def feed(wires, desk, requests, start, now):
    """Hand requests over in order until one must wait; gives the next one and when it can be tried again."""
    settings = wires.settings
    while desk.returned[0] < desk.returned[1] and desk.returns[desk.returned[0] % settings.in_flight] <= now:
        desk.returned[0] += 1
        desk.outstanding[0] -= 1
    for _ in range(settings.requests_per_cycle):
        if start >= requests.bank.size:
            return start, NEVER
        if requests.arrival[start] > now:
            return start, requests.arrival[start]
        channel = requests.bank[start] // settings.banks_per_channel
        kind = 1 if requests.write[start] else 0
        if settings.in_flight > 0 and kind == 0 and desk.outstanding[0] >= settings.in_flight:
            if desk.returned[0] < desk.returned[1]:
                return start, desk.returns[desk.returned[0] % settings.in_flight]
            return start, NEVER  # until a channel issues a read
        if desk.waiting[channel, kind] >= settings.transaction_queue:
            return start, NEVER  # until that channel moves a request
        accept(wires, desk, requests, channel, start, now)
        desk.try_move[channel] = 1
        desk.wake[channel] = now
        start += 1
    return start, now + 1


def serve(wires, banks, desk, requests):
    """Serve all requests by FR-FCFS controllers, one per channel; gives the cycle after the last command."""
    total = requests.bank.size
    channels = desk.wake.size
    now, start, told = 0, 0, 0
    while desk.finished[0] < total:
        soonest = NEVER
        if start < total:
            start, soonest = feed(wires, desk, requests, start, now)
        elif told == 0:
            told = 1
            for channel in range(channels):
                desk.try_move[channel] = 1
                desk.wake[channel] = now
        for channel in range(channels):
            if desk.wake[channel] <= now:
                tick(wires, banks, desk, requests, channel, now, told)
            soonest = min(soonest, desk.wake[channel])
        now = max(now + 1, soonest) if start < total or told == 1 else now + 1
    return now


def missing(wires, banks, command, bank, row):
    """The command that a column command lacks, and for which bank: a precharge, an activation, or itself."""
    if wires.does[command] in (2, 3, 5):
        first, last = span(wires, command, bank)
        for b in range(first, last):
            if banks.row[b] != row:
                return (wires.settings.activate if banks.row[b] < 0 else wires.settings.precharge), b
    return command, bank


def clear_for_refresh(wires, banks, desk, now):
    """The next command of a refresh that is due: its precharges, then itself."""
    settings = wires.settings
    bank = wires.refresh_order[desk.refreshed[0] % settings.refresh_units]
    first, last = span(wires, settings.refresh, bank)
    for b in range(first, last):
        if banks.row[b] >= 0:
            return settings.precharge, b
    return settings.refresh, bank


def execute(wires, banks, desk, program, now):
    """Issue commands in order, each as soon as the table allows, with the precharges, activations and refreshes.

    Args:
        program: [n, 3]: command, bank, row. Reads, writes and computations open their rows.
        now: cycle of the last command before.

    Returns:
        The cycle of the last command.
    """
    settings = wires.settings
    at = 0
    while at < program.shape[0]:
        row = program[at, 2]
        command, bank = missing(wires, banks, program[at, 0], program[at, 1], row)
        time = max(now, earliest(wires, banks, command, bank), desk.bus_free[wires.bus[command]])
        if time >= desk.next_refresh[0]:
            command, bank = clear_for_refresh(wires, banks, desk, now)
            time = max(now, earliest(wires, banks, command, bank), desk.bus_free[wires.bus[command]])
            if command == settings.refresh:
                desk.refreshed[0] += 1
                desk.next_refresh[0] += settings.refresh_interval
        elif command == program[at, 0] and bank == program[at, 1]:
            at += 1
        apply(wires, banks, desk, command, bank, row, time)
        desk.bus_free[wires.bus[command]] = time + 1
        if settings.two_buses == 0:
            desk.bus_free[1 - wires.bus[command]] = time + 1
        now = time
    return now
