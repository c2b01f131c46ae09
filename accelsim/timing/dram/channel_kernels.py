"""Kernels of DRAM channels: the FR-FCFS controller; plain Python, or compiled.

Arguments are those of `table_kernels`. The scheduling rules are those of DRAMsim3 2981759 (command_queue.cc,
controller.cc, refresh.cc), here with times to wake at instead of a step for every cycle.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from accelsim.timing.dram.table_kernels import NEVER, apply, earliest, span


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
    settings = wires.settings
    desk.want[queue] = 3
    if settings.per_bank and desk.length[queue] > 0:  # a queue has the number of its bank
        closed = banks.row[queue] < 0
        if closed or banks.row[queue] == requests.row[desk.entry[queue, 0]]:
            desk.want[queue] = 0 if closed else 1
            soonest = earliest(wires, banks, settings.activate if closed else settings.read, queue)
            if soonest > now and not closed:
                soonest = min(soonest, earliest(wires, banks, settings.write, queue))
            if soonest > now:
                return -1, soonest
            if closed:
                return 0, settings.activate
    return ready_of_all(wires, banks, desk, requests, queue, now)


def ready_of_all(wires, banks, desk, requests, queue, now):
    """As `ready_entry`, entry by entry."""
    settings = wires.settings
    soonest = NEVER
    last_bank, last_command, time = -1, -1, 0
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
        if bank != last_bank or command != last_command:
            last_bank, last_command, time = bank, command, earliest(wires, banks, command, bank)
        if time > now:
            soonest = min(soonest, time)
            continue
        if command == settings.precharge and not may_precharge(wires, banks, desk, requests, queue, at):
            continue
        if command == settings.write and read_before(desk, requests, queue, at):
            continue
        return at, command
    if settings.per_bank and last_command == settings.precharge:
        desk.want[queue] = 2
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
    base, size = channel * settings.queues_per_channel, settings.queues_per_channel
    wake, blocked = desk.wake_queue[base : base + size], desk.blocked[base : base + size]
    last = desk.turn[channel]
    while True:
        turn = next_turn(wake, blocked, last, now)
        if turn < 0:
            break
        queue = base + turn
        at, command = ready_entry(wires, banks, desk, requests, queue, now)
        if at < 0:
            wake[turn] = command
            continue
        desk.turn[channel] = turn
        bus = wires.bus[command]
        if bus == barred:
            return -1
        request = desk.entry[queue, at]
        bank = requests.bank[request]
        if bus == 1:
            take_out(wires, banks, desk, requests, channel, queue, at, now)
        apply(wires, banks, desk, command, bank, requests.row[request], now)
        for waited in range(3):
            if settings.per_bank and (waited == 1) == (bus == 1) and (waited > 0 or command == settings.activate):
                hold_back(wires, banks, desk, waited, bank, now)
        return bus
    soonest = NEVER
    for k in range(wake.size):
        soonest = min(soonest, wake[k] if wake[k] > now else NEVER)
    desk.soonest[channel] = soonest
    return -1


def next_turn(wake, blocked, last, now):
    """The queue after the last one, round robin, that may have something to issue; -1 if none has."""
    found = NEVER
    for k in range(wake.size):
        turn = k + (wake.size if k <= last else 0)
        found = min(found, NEVER if (wake[k] > now) | (blocked[k] != 0) else turn)
    if found == NEVER:
        return -1
    return found - wake.size if found >= wake.size else found


def hold_back(wires, banks, desk, waited, bank, now):
    """After a command: queues that wait for one of a kind need not look before the levels above banks allow it."""
    settings = wires.settings
    time, other_time = 0, 0
    command = settings.activate if waited == 0 else (settings.read if waited == 1 else settings.precharge)
    other = settings.write if waited == 1 else command
    for level in range(3):
        if level > 0 and wires.fanout[level] == 1:
            continue
        node = wires.path[bank, level]
        time = max(time, banks.ready[node, command])
        other_time = max(other_time, banks.ready[node, other])
        if min(time, other_time) > now + 1:
            size = wires.below[level]
            start = bank // size * size
            wake, want = desk.wake_queue[start : start + size], desk.want[start : start + size]
            until = min(time, other_time)
            for k in range(wake.size):
                wake[k] = until if (want[k] == waited) & (wake[k] > 0) & (wake[k] < until) else wake[k]


def take_out(wires, banks, desk, requests, channel, queue, at, now):
    """Remove an entry whose column command issues."""
    request = desk.entry[queue, at]
    bank = requests.bank[request]
    if banks.hits[bank] > 0:
        desk.counters[0] += 1
    banks.hits[bank] += 1
    finish(wires, desk, requests, request, now)
    if desk.length[queue] == wires.settings.command_queue:
        desk.passed[channel, 0] = desk.passed[channel, 1] = 0
    desk.length[queue] -= 1
    entries = desk.entry[queue]
    for k in range(at, desk.length[queue]):
        entries[k] = entries[k + 1]
    desk.queued[channel] -= 1
    desk.known[channel, bucket(requests.key[request])] -= 1
    desk.wake_queue[queue] = 0 if desk.length[queue] > 0 else NEVER
    desk.try_move[channel] = 1


def refresh(wires, banks, desk, channel, now):
    """Work on the oldest refresh that is due: 1 if a command issued; otherwise it sets the time to look again."""
    settings = wires.settings
    unit = desk.refreshed[channel] % settings.refresh_units
    bank = channel * settings.banks_per_channel + wires.refresh_order[unit]
    first, last = span(wires, settings.refresh, bank)
    for b in range(first, last):
        desk.blocked[wires.queue[b]] = 1
    command, soonest = settings.refresh, NEVER
    for b in range(first, last + 1):  # the last round is for the refresh itself, once no row is open
        if b < last and banks.row[b] < 0:
            continue
        if b < last:
            command, bank = settings.precharge, b
        elif command == settings.precharge:
            break
        time = earliest(wires, banks, command, bank)
        soonest = min(soonest, time)
        if time <= now:
            break
    if soonest > now:
        desk.refresh_at[channel] = soonest
        return 0
    apply(wires, banks, desk, command, bank, banks.row[bank] if command == settings.precharge else -1, now)
    if command == settings.refresh:
        for b in range(first, last):
            desk.blocked[wires.queue[b]] = 0
            desk.wake_queue[wires.queue[b]] = 0
        desk.refreshed[channel] += 1
    return 1


def move(wires, banks, desk, requests, channel, over):
    """Move one waiting request to its command queue, as DRAMsim3 schedules transactions; 1 if one moved."""
    settings = wires.settings
    writes = desk.waiting[channel, 1]
    if desk.draining[channel] == 0:
        idle = desk.queued[channel] == 0 and writes > settings.write_drain_above
        if writes >= settings.transaction_queue or idle or (over and desk.waiting[channel, 0] == 0):
            desk.draining[channel] = writes
    kind = 1 if desk.draining[channel] > 0 else 0
    desk.draining[channel] = max(0, desk.draining[channel])
    for at in range(desk.passed[channel, kind], desk.waiting[channel, kind]):
        request = desk.hall[channel, kind, at]
        queue = wires.queue[requests.bank[request]]
        if desk.length[queue] >= settings.command_queue:
            continue
        desk.passed[channel, kind] = at
        if kind == 1:
            alone = desk.known[channel, bucket(requests.key[request])] == 1
            if not alone and pending(wires, desk, requests, channel, request, 0) >= 0:
                desk.draining[channel] = -1  # that read's turn, or a full hall of writes would wait for it forever
                return 1
            desk.draining[channel] -= 1
        desk.entry[queue, desk.length[queue]] = request
        if desk.length[queue] == 0 or settings.per_bank == 0 or requests.row[request] == banks.row[queue]:
            desk.wake_queue[queue] = 0  # others behind one that waits for a row change nothing
        desk.length[queue] += 1
        desk.queued[channel] += 1
        desk.waiting[channel, kind] -= 1
        hall = desk.hall[channel, kind]
        for k in range(at, desk.waiting[channel, kind]):
            hall[k] = hall[k + 1]
        return 1
    desk.passed[channel, kind] = desk.waiting[channel, kind]
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
    while bus < 0 or settings.two_buses:
        issued = issue_first(wires, banks, desk, requests, channel, now, bus)
        if bus >= 0:
            break
        bus = issued
        if issued < 0:
            wake = min(wake, desk.soonest[channel])
            break
    moved = desk.try_move[channel] and move(wires, banks, desk, requests, channel, over)
    desk.try_move[channel] = moved
    desk.wake[channel] = now + 1 if bus >= 0 or moved else max(wake, now + 1)


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
