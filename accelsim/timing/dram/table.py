"""A DRAM description as the arrays on which the kernels work."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.spec.dram import LEVELS, OPTIONAL, Action, Constraint, Dram, Level, expression

Ints = npt.NDArray[np.int64]

NEVER: Final = 1 << 60
_ACTIONS: Final = get_args(Action)
_LONG_AGO: Final = -(1 << 40)


class Settings(NamedTuple):
    """Numbers of a controller; commands by their number in the protocol (-1: none)."""

    activate: int
    precharge: int
    read: int
    write: int
    refresh: int
    refresh_interval: int
    refresh_units: int
    two_buses: int
    per_bank: int
    queues_per_channel: int
    banks_per_channel: int
    command_queue: int
    transaction_queue: int
    write_drain_above: int
    row_hit_cap: int
    requests_per_cycle: int
    in_flight: int
    read_delay: int
    write_delay: int


class Wires(NamedTuple):
    """What does not change while a memory works.

    Attributes:
        path: [banks, 5] the nodes above and including a bank, outermost first, numbered over all levels.
        offset: [5] number of the first node of a level.
        fanout: [5] nodes of a level within one of the level above.
        below: [5] banks of one node of a level.
        first: [commands + 1] where the rows of a preceding command start.
        rows: [rows, 6] level, following command, latency, window, sibling, ring.
        level: [commands] level that a command addresses.
        does: [commands] number of its action.
        closes: [commands] 1 with auto-precharge.
        bus: [commands] 0 row, 1 column.
        queue: [banks] command queue of a bank.
        refresh_order: [units] first bank of each unit of a channel, in the order of refresh.
    """

    path: Ints
    offset: Ints
    fanout: Ints
    below: Ints
    first: Ints
    rows: Ints
    level: Ints
    does: Ints
    closes: Ints
    bus: Ints
    queue: Ints
    refresh_order: Ints
    settings: Settings


class Banks(NamedTuple):
    """State of rows and of the timing table.

    Attributes:
        ready: [nodes, commands] first legal cycle by the constraints of that node.
        ring: [rings, nodes, window] last commands of each window.
        issued: [rings, nodes] commands entered into a ring.
        row: [banks] open row, or -1.
        hits: [banks] column commands since the row was opened.
        open_banks: [nodes] open banks of a rank.
        open_since: [nodes] cycle at which the first of them opened.
        open_cycles: [nodes] cycles with an open bank, up to the last time that all were closed.
    """

    ready: Ints
    ring: Ints
    issued: Ints
    row: Ints
    hits: Ints
    open_banks: Ints
    open_since: Ints
    open_cycles: Ints


def latency(constraint: Constraint, cycles: dict[str, int]) -> int | None:
    """Cycles of a constraint; None where it reads an optional parameter that the sheet does not have.

    Raises:
        RequestError: the expression has no value.
    """
    if isinstance(constraint.latency, int):
        return constraint.latency
    if any(not cycles.get(name) for name in constraint.names & set(OPTIONAL)):
        return None
    try:
        return expression.value(constraint.latency, cycles)
    except (ValueError, KeyError) as error:
        raise RequestError(f"constraint {constraint}: {error}") from None


def in_force(dram: Dram) -> tuple[tuple[Constraint, int], ...]:
    """The constraints that hold, with their cycles: those of the sheet, and commands longer than a cycle."""
    found = [(c, cycles) for c in dram.protocol.constraints if (cycles := latency(c, dram.timing.cycles)) is not None]
    for command in dram.protocol.commands:
        if command.cycles > 1:
            beside = dram.protocol.command_bus == "row_and_column"
            later = tuple(c.name for c in dram.protocol.commands if not beside or c.column == command.column)
            row = Constraint(level="channel", preceding=(command.name,), following=later, latency=command.cycles)
            found.append((row, command.cycles))
    return tuple(found)


def _rows(dram: Dram) -> tuple[Ints, Ints, int, int]:
    """The table sorted by preceding command: rows, starts, number of rings and widest window."""
    protocol = dram.protocol
    plain: dict[tuple[int, int, int, int], int] = {}
    windows: list[tuple[int, ...]] = []
    rings = 0
    for constraint, cycles in in_force(dram):
        level = LEVELS.index(constraint.level)
        for name in constraint.following:
            following = protocol.index(name)
            for preceding in map(protocol.index, constraint.preceding):
                if constraint.window == 1:
                    key = (preceding, level, following, int(constraint.sibling))
                    plain[key] = max(cycles, plain.get(key, cycles))
                else:
                    windows.append(
                        (preceding, level, following, cycles, constraint.window, int(constraint.sibling), rings)
                    )
            rings += constraint.window > 1
    rows = sorted([(p, level, f, cycles, 1, s, 0) for (p, level, f, s), cycles in plain.items()] + windows)
    starts = [sum(row[0] < command for row in rows) for command in range(len(protocol.commands) + 1)]
    table = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 6)
    return table, np.array(starts, dtype=np.int64), rings, max([1, *(row[4] for row in rows)])


@lru_cache(maxsize=64)
def wires(dram: Dram, in_flight: int = 0) -> Wires:
    """The arrays of a description; `in_flight` reads at most are outstanding, 0 for as many as the queues hold."""
    organization, protocol = dram.organization, dram.protocol
    totals = list(accumulate(organization.counts, int.__mul__))
    below = [organization.all_banks // total for total in totals]
    offset = [0, *accumulate(totals)][:-1]
    banks = np.arange(organization.all_banks)
    path = np.stack([offset[level] + banks // below[level] for level in range(len(LEVELS))], axis=1)
    rows, first, _, _ = _rows(dram)
    unit = LEVELS.index(_refresh_level(dram))
    per_queue = below[LEVELS.index("bank" if dram.controller.queues == "per_bank" else "rank")]
    arrays = {
        "path": path, "offset": offset, "fanout": organization.counts, "below": below, "first": first, "rows": rows,
        "level": [LEVELS.index(c.level) for c in protocol.commands],
        "does": [_ACTIONS.index(c.does) for c in protocol.commands],
        "closes": [c.auto_precharge for c in protocol.commands],
        "bus": [c.column for c in protocol.commands],
        "queue": banks // per_queue,
        "refresh_order": _refresh_order(dram, unit, below),
    }  # fmt: skip
    made = {name: np.ascontiguousarray(array, dtype=np.int64) for name, array in arrays.items()}
    return Wires(**made, settings=_settings(dram, below[0] // per_queue, len(made["refresh_order"]), in_flight))


def _refresh_level(dram: Dram) -> Level:
    return "bank" if dram.controller.refresh == "per_bank" else "rank"


def _refresh_order(dram: Dram, unit: int, below: list[int]) -> list[int]:
    """First bank of each refreshed unit of one channel: bank groups turn fastest, then banks, then ranks."""
    units = list(range(0, below[0], below[unit]))
    groups, banks = dram.organization.bank_groups, dram.organization.banks
    return sorted(units, key=lambda bank: (bank // (groups * banks), bank % banks, bank // banks % groups))


def _settings(dram: Dram, queues: int, units: int, in_flight: int) -> Settings:
    cycles, controller, protocol = dram.timing.cycles, dram.controller, dram.protocol
    closing = controller.page == "closed"
    per_bank = controller.refresh == "per_bank"
    # a rank is refreshed every nREFI, one of its banks every nREFIpb: one unit of the channel after another
    ranks = dram.organization.ranks * dram.organization.pseudo_channels
    every = cycles.get("nREFIpb", 0) if per_bank else 0
    interval = every // ranks if every else cycles.get("nREFI", 0) // units
    return Settings(
        activate=protocol.find("activate"),
        precharge=protocol.find("precharge"),
        read=protocol.find("read", auto_precharge=closing),
        write=protocol.find("write", auto_precharge=closing),
        refresh=protocol.find("refresh", _refresh_level(dram)),
        refresh_interval=interval if interval and controller.refresh != "off" else NEVER,
        refresh_units=units,
        two_buses=int(protocol.command_bus == "row_and_column"),
        per_bank=int(controller.queues == "per_bank"),
        queues_per_channel=queues,
        banks_per_channel=dram.organization.all_banks // dram.organization.channels,
        command_queue=controller.command_queue,
        transaction_queue=controller.transaction_queue,
        write_drain_above=controller.write_drain_above,
        row_hit_cap=controller.row_hit_cap,
        requests_per_cycle=controller.requests_per_cycle,
        in_flight=in_flight,
        read_delay=cycles["nCL"] + cycles["nBL"],
        write_delay=cycles["nCWL"] + cycles["nBL"],
    )


def idle(dram: Dram) -> Banks:
    """A memory in which nothing has happened yet, all rows closed."""
    made = wires(dram)
    _, _, rings, window = _rows(dram)
    nodes, commands, banks = int(made.path.max()) + 1, len(dram.protocol.commands), len(made.path)
    return Banks(
        ready=np.zeros((nodes, commands), np.int64),
        ring=np.full((max(1, rings), nodes, window), _LONG_AGO),
        issued=np.zeros((max(1, rings), nodes), np.int64),
        row=np.full(banks, -1),
        hits=np.zeros(banks, np.int64),
        open_banks=np.zeros(nodes, np.int64),
        open_since=np.zeros(nodes, np.int64),
        open_cycles=np.zeros(nodes, np.int64),
    )
