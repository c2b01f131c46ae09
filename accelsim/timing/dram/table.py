"""A DRAM description as the arrays on which the kernels work."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.spec.dram import LEVELS, OPTIONAL, Action, Constraint, Dram, Level, expression

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]  # only ever indices: unsigned ones need no look at negative values

NEVER: Final = 1 << 60
_ACTIONS: Final = get_args(Action)
_CHOSEN: Final = 5  # of the settings: the commands that a controller chooses from
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
    queues_per_rank: int
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
        rows: [rows, 3] level, following command, latency, of commands that share the node.
        first_wide: [commands + 1] where those of windows and siblings start.
        wide: [wide, 6] level, following command, latency, window, sibling, ring.
        first_level: [commands + 1] where the levels start that hold a command back.
        levels: [levels] those levels.
        level: [commands] level that a command addresses.
        does: [commands] number of its action.
        closes: [commands] 1 with auto-precharge.
        bus: [commands] 0 row, 1 column.
        queue: [banks] command queue of a bank.
        refresh_order: [units] first bank of each unit of a channel, in the order of refresh.
    """

    path: Places
    offset: Ints
    fanout: Ints
    below: Ints
    first: Ints
    rows: Ints
    first_wide: Ints
    wide: Ints
    first_level: Ints
    levels: Places
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


class _Table(NamedTuple):
    """The table sorted by preceding command.

    Attributes:
        plain: (preceding, level, following, latency) of pairs that share a node; none that a wider one implies.
        wide: (preceding, level, following, latency, window, sibling, ring) of windows and siblings.
        rings: windows.
        window: the widest.
    """

    plain: list[tuple[int, ...]]
    wide: list[tuple[int, ...]]
    rings: int
    window: int


def _table(dram: Dram, commands: frozenset[int]) -> _Table:
    """What the constraints in force demand between some commands."""
    protocol, counts = dram.protocol, dram.organization.counts
    plain: dict[tuple[int, int, int], int] = {}
    siblings: dict[tuple[int, int, int], int] = {}
    wide: list[tuple[int, ...]] = []
    rings = 0
    for constraint, cycles in in_force(dram):
        level = LEVELS.index(constraint.level)
        if constraint.sibling and counts[level] == 1:
            continue
        while not constraint.sibling and level and counts[level] == 1:
            level -= 1  # the only one there is the one above
        for following in map(protocol.index, constraint.following):
            for preceding in map(protocol.index, constraint.preceding):
                if not {preceding, following} <= commands:
                    continue
                if constraint.window > 1:
                    row = (preceding, level, following, cycles, constraint.window, int(constraint.sibling), rings)
                    wide.append(row)
                    continue
                found = siblings if constraint.sibling else plain
                found[preceding, level, following] = max(cycles, found.get((preceding, level, following), cycles))
            rings += constraint.window > 1
    kept = [
        (*key, cycles)
        for key, cycles in plain.items()
        if not any(plain.get((key[0], above, key[2]), -1) >= cycles for above in range(key[1]))
    ]
    wide += [(*key, cycles, 1, 1, 0) for key, cycles in siblings.items()]
    return _Table(sorted(kept), sorted(wide), rings, max([1, *(row[4] for row in wide)]))


def _ordered(rows: list[tuple[int, ...]], width: int, commands: int) -> tuple[Ints, Ints]:
    """Rows without their first column, which is a command, and where those of each command start."""
    starts = [sum(row[0] < command for row in rows) for command in range(commands + 1)]
    return np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, width), np.array(starts, dtype=np.int64)


@lru_cache(maxsize=64)
def wires(dram: Dram, in_flight: int = 0, *, scheduled: bool = False) -> Wires:
    """The arrays of a description.

    Args:
        dram: the description.
        in_flight: reads that are outstanding at most; 0 for as many as the queues hold.
        scheduled: whether only the commands that a controller chooses from are in the table.
    """
    organization, protocol = dram.organization, dram.protocol
    totals = list(accumulate(organization.counts, int.__mul__))
    below = [organization.all_banks // total for total in totals]
    offset = [0, *accumulate(totals)][:-1]
    banks = np.arange(organization.all_banks)
    path = np.stack([offset[level] + banks // below[level] for level in range(len(LEVELS))], axis=1)
    unit = LEVELS.index(_refresh_level(dram))
    per_queue = below[LEVELS.index("bank" if dram.controller.queues == "per_bank" else "rank")]
    order = _refresh_order(dram, unit, below)
    settings = _settings(dram, below[0] // per_queue, len(order), in_flight)
    count = len(protocol.commands)
    table = _table(dram, frozenset(settings[:_CHOSEN] if scheduled else range(count)))
    holding: list[tuple[int, ...]] = sorted({(row[2], row[1]) for row in [*table.plain, *table.wide]})
    rows, first = _ordered(table.plain, 3, count)
    wide, first_wide = _ordered(table.wide, 6, count)
    levels, first_level = _ordered(holding, 1, count)
    arrays = {
        "path": path, "offset": offset, "fanout": organization.counts, "below": below, "first": first, "rows": rows,
        "wide": wide, "first_wide": first_wide, "levels": levels[:, 0], "first_level": first_level,
        "level": [LEVELS.index(c.level) for c in protocol.commands],
        "does": [_ACTIONS.index(c.does) for c in protocol.commands],
        "closes": [c.auto_precharge for c in protocol.commands],
        "bus": [c.column for c in protocol.commands],
        "queue": banks // per_queue,
        "refresh_order": order,
    }  # fmt: skip
    made: dict[str, Any] = {
        name: np.ascontiguousarray(array, dtype=np.uint32 if name in ("path", "levels") else np.int64)
        for name, array in arrays.items()
    }
    return Wires(**made, settings=settings)


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
        queues_per_rank=queues // ranks,
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
    nodes, commands, banks = int(made.path.max()) + 1, len(dram.protocol.commands), len(made.path)
    _, _, rings, window = _table(dram, frozenset(range(commands)))
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
