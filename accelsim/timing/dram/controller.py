"""Request streams through FR-FCFS controllers, burst by burst: the exact reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.numerics import jit
from accelsim.spec.dram import Dram, address_fields
from accelsim.timing.dram import channel_kernels as kernels
from accelsim.timing.dram import table_kernels
from accelsim.timing.dram.energy import Joules, account
from accelsim.timing.dram.table import NEVER, Banks, Ints, Wires, idle, wires
from accelsim.units import PS_PER_S

_LEVEL_WORDS: Final = ("ch", "pc", "ra", "bg", "ba")


class Requests(NamedTuple):
    """Requests in the order in which they are handed over; [n] each.

    Attributes:
        bank: number of the bank in the whole memory.
        row: row.
        key: the access, by which requests of one address are known.
        write: 1 for a write.
        arrival: first cycle at which it can be handed over.
        accepted: cycle at which a controller took it.
        done: cycle after its last beat on the data bus.
        link: next request that is answered by the same read, or -1.
    """

    bank: Ints
    row: Ints
    key: Ints
    write: Ints
    arrival: Ints
    accepted: Ints
    done: Ints
    link: Ints


class Desk(NamedTuple):
    """Queues and counters of the controllers; [channels] or [queues] unless said otherwise.

    Attributes:
        entry: [queues, command_queue] requests of the command queues.
        length: requests in each of them.
        blocked: 1 while a refresh bars the queue.
        wake_queue: no entry of the queue can issue before; 0 where that is not known.
        want: what it waited for: an activation (0), column commands (1), a precharge (2), other things, too (3).
        hall: [channels, 2, transaction_queue] reads and writes that wait before the queues.
        waiting: [channels, 2] how many.
        passed: [channels, 2] waiting ones from the first on that are known to find their queues full.
        known: [channels, 256] waiting and queued requests, by a hash of their address.
        queued: requests in command queues.
        draining: writes that are still to be drained.
        try_move: 1 if a waiting request may have become able to move.
        turn: queue of the last command.
        soonest: when a command may become legal again.
        due, refreshed: refreshes that were demanded and done.
        next_refresh, refresh_at: when the next one is demanded, and can be worked on.
        wake: when the channel has something to do again.
        counts: [commands] commands issued.
        counters: [2] row hits, merged requests.
        finished, outstanding: [1] requests that are done, reads that are under way.
        returns, returned: ring of times at which reads return, and its two ends.
        bus_free: [2] when the row and column command bus are free (command programs).
        log: [kept, 4] cycle, command, bank, row of the first commands.
        logged: [1] how many.
    """

    entry: Ints
    length: Ints
    blocked: Ints
    wake_queue: Ints
    want: Ints
    hall: Ints
    waiting: Ints
    passed: Ints
    known: Ints
    queued: Ints
    draining: Ints
    try_move: Ints
    turn: Ints
    soonest: Ints
    due: Ints
    refreshed: Ints
    next_refresh: Ints
    refresh_at: Ints
    wake: Ints
    counts: Ints
    counters: Ints
    finished: Ints
    outstanding: Ints
    returns: Ints
    returned: Ints
    bus_free: Ints
    log: Ints
    logged: Ints


@dataclass(frozen=True, slots=True)
class Served:
    """What came of a stream of requests.

    Attributes:
        dram: the memory.
        cycles: clock cycles until the last beat.
        requests: how many.
        bytes: that they moved.
        latency_cycles: [n] from the controller's taking a request to its last beat; 1 for a write, which is posted.
        row_hits: column commands that found their row open and used.
        merged: requests that needed no access of their own.
        commands: name of each command, and how many were issued.
        energy: joules by component.
        log: [kept, 4] cycle, command number, bank, row of the first commands.
    """

    dram: Dram
    cycles: int
    requests: int
    bytes: int
    latency_cycles: Ints
    row_hits: int
    merged: int
    commands: dict[str, int]
    energy: Joules
    log: Ints

    @property
    def time_s(self) -> float:
        """Seconds until the last beat."""
        return self.cycles * self.dram.timing.tck_ps / PS_PER_S

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Bytes over time."""
        return self.bytes / self.time_s

    @property
    def row_hit_share(self) -> float:
        """Row hits among column commands."""
        return self.row_hits / max(1, self.requests - self.merged)

    @property
    def energy_j_per_bit(self) -> float:
        """Energy over bits moved."""
        return self.energy.total / (8 * self.bytes)


def desk(made: Wires, channels: int, commands: int, log: int = 0) -> Desk:
    """Empty queues."""
    settings = made.settings
    queues = settings.queues_per_channel * channels
    shapes: dict[str, Any] = {
        "entry": (queues, settings.command_queue), "length": queues, "blocked": queues, "wake_queue": queues,
        "want": queues,
        "hall": (channels, 2, settings.transaction_queue), "waiting": (channels, 2), "passed": (channels, 2),
        "known": (channels, 256),
        "counts": commands, "counters": 2, "finished": 1, "outstanding": 1,
        "returns": max(1, settings.in_flight), "returned": 2, "bus_free": 2, "log": (log, 4), "logged": 1,
    }  # fmt: skip
    made_: dict[str, Ints] = {name: np.zeros(shapes.get(name, channels), np.int64) for name in Desk._fields}
    made_["next_refresh"][:] = settings.refresh_interval
    return Desk(**made_)


def decode(dram: Dram, addresses: npt.ArrayLike) -> tuple[Ints, Ints, Ints]:
    """Bank, row and access number of byte addresses; those beyond the capacity wrap around.

    Raises:
        RequestError: a negative address.
    """
    given = np.asarray(addresses, dtype=np.int64)
    if given.size and given.min() < 0:
        raise RequestError(f"address {given.min()} is negative")
    organization = dram.organization
    access = given % organization.capacity_bytes // organization.access_bytes
    part = {word: np.zeros_like(access) for word in (*_LEVEL_WORDS, "ro", "co")}
    for word, low, bits, at in address_fields(dram.controller.address_order, organization):
        part[word] |= (access >> low & (1 << bits) - 1) << at
    bank = np.zeros_like(access)
    for word, count in zip(_LEVEL_WORDS, organization.counts, strict=True):
        bank = bank * count + part[word]
    return bank, part["ro"], access


def serve(
    dram: Dram,
    addresses: npt.ArrayLike,
    writes: npt.ArrayLike | None = None,
    arrivals: npt.ArrayLike | None = None,
    *,
    in_flight: int = 0,
    log: int = 0,
) -> Served:
    """Serve a stream of requests of one access each by the controllers of all channels.

    Args:
        dram: the memory.
        addresses: [n] byte addresses, in the order in which they are handed over.
        writes: [n] whether each is a write; none by default.
        arrivals: [n] cycle at which each can be handed over at the earliest; 0 by default. They may not decrease.
        in_flight: reads that are under way at most; 0 for as many as the queues take.
        log: how many commands to keep for a picture.

    Raises:
        RequestError: no request, lengths that differ, negative addresses or arrivals that decrease.
    """
    bank, row, key = decode(dram, addresses)
    write = np.zeros_like(bank) if writes is None else np.asarray(writes, dtype=bool).astype(np.int64)
    arrival = np.zeros_like(bank) if arrivals is None else np.asarray(arrivals, dtype=np.int64)
    if bank.ndim != 1 or not bank.size or not bank.shape == write.shape == arrival.shape:
        raise RequestError(f"expected n > 0 addresses, writes and arrivals, not {bank.shape} {write.shape}")
    if arrival[0] < 0 or np.any(np.diff(arrival) < 0):
        raise RequestError("arrivals are cycles from 0 on that do not decrease")
    if in_flight < 0:
        raise RequestError(f"in_flight = {in_flight}: legal is 0 (as many as the queues take) or more")
    made, banks = wires(dram, in_flight, scheduled=True), idle(dram)
    accepted, done, link = np.zeros_like(bank), np.zeros_like(bank), np.full_like(bank, -1)
    requests = Requests(bank, row, key, write, arrival, accepted, done, link)
    state = desk(made, dram.organization.channels, len(dram.protocol.commands), log)
    kernel: Callable[..., int] = kernels.serve
    run = jit.compiled(kernel, allocates=False) if jit.enabled() else kernel
    run(made, banks, state, requests)
    return _result(dram, banks, state, requests)


def _result(dram: Dram, banks: Banks, state: Desk, requests: Requests) -> Served:
    cycles = int(requests.done.max())
    count = len(requests.bank)
    return Served(
        dram=dram,
        cycles=cycles,
        requests=count,
        bytes=count * dram.organization.access_bytes,
        latency_cycles=np.where(requests.write == 1, 1, requests.done - requests.accepted),
        row_hits=int(state.counters[0]),
        merged=int(state.counters[1]),
        commands={c.name: int(n) for c, n in zip(dram.protocol.commands, state.counts, strict=True)},
        energy=account(dram, state.counts, banks, cycles),
        log=state.log[: state.logged[0]],
    )


assert NEVER == table_kernels.NEVER
