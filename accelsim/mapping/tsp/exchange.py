"""Vectors from chip to chip: at cycles that both ends know, on links that nobody else uses."""

from __future__ import annotations

from math import ceil

from accelsim.mapping.tsp import vector
from accelsim.mapping.tsp.resources import GLOBAL, GLOBAL_FLIGHT, LOCAL, LOCAL_FLIGHT
from accelsim.mapping.tsp.schedule import Give, Program, Run, Take
from accelsim.mapping.tsp.section import Section, memory_port
from accelsim.mapping.tsp.steps import Steps
from accelsim.spec.tsp import Fabric, TspPart
from accelsim.timing.tsp import topology
from accelsim.timing.tsp.floorplan import SIDES, Floorplan
from accelsim.timing.tsp.rates import flight_cycles, link_cycles


def send(part: TspPart, name: str, links: int, vectors: int, *, within: bool, hops: int = 1) -> Section:
    """`vectors` vectors over each of `links` links, from memory to memory; every chip receives what its peers send.

    Args:
        part: the chip.
        name: of the phase.
        links: links of each chip that carry something.
        vectors: vectors of 320 B over each of them.
        within: whether the links stay within the node.
        hops: links that a vector passes one after the other.
    """
    plan, held = Floorplan.of(part), link_cycles(part)
    flight = hops * (held + flight_cycles(part) + 2 * part.c2c.send)
    runs: list[Run] = []
    for link in range(links):
        side = SIDES[link % 2]
        stream, far = link // 2, side * plan.sxm
        place, bank = memory_port(part, side, 2 * stream)
        home, other = memory_port(part, side, 2 * stream + 1)
        first = Steps(0, vectors, held)
        leave = first.moved(part.mem.read + abs(far - place))
        land = leave.moved(flight)
        down = land.moved(1 + abs(far - home))
        runs += [
            Run(
                name=f"read{link}", unit=bank, place=place, steps=first, delay=part.mem.read,
                gives=(Give(side, stream, far),),
            ),
            Run(
                name=f"send{link}", unit=f"link{link}.out", place=far, steps=leave, delay=flight, held=held,
                takes=(Take(f"read{link}", side, stream),), gives=(Give(0, link, 0),),
            ),
            Run(
                name=f"receive{link}", unit=f"link{link}.in", place=far, steps=land, delay=1,
                takes=(Take(f"send{link}", 0, link),), gives=(Give(-side, stream, home),),
            ),
            Run(
                name=f"write{link}", unit=other, place=home, steps=down, delay=part.mem.write,
                takes=(Take(f"receive{link}", -side, stream),),
            ),
        ]  # fmt: skip
    steady = vectors * held
    pace, wait = (LOCAL, LOCAL_FLIGHT) if within else (GLOBAL, GLOBAL_FLIGHT)
    program = Program(tuple(runs), part.lanes.tiles)
    return Section(name, program, steady, pace, wait, {pace: steady * links}, part.lanes.vector, f"tsp/{name}")


def all_gather(part: TspPart, width: int, values: int, size: int) -> tuple[Section, ...]:
    """`values` values of `size` bytes, of which each of `width` chips has its part, at all of them."""
    if width == 1:
        return ()
    return (send(part, "all-gather", width - 1, _vectors(part, ceil(values / width), size), within=True),)


def all_reduce(part: TspPart, width: int, values: int, size: int) -> tuple[Section, ...]:
    """The sum of `width` sets of values at each chip: parts to their owners, added there, and back to all."""
    if width == 1:
        return ()
    share = ceil(values / width)
    added = vector.passes(
        part, "add", elements=share, operations=width - 1, read=width * size, written=size
    )  # fmt: skip
    scatter = send(part, "reduce-scatter", width - 1, _vectors(part, share, size), within=True)
    return (scatter, *added, *all_gather(part, width, values, size))


def all_reduce_nodes(
    part: TspPart, fabric: Fabric, width: int, nodes: int, values: int, size: int
) -> tuple[Section, ...]:
    """The sum over several nodes: added up within each, parts exchanged between equal places, and spread again.

    Each chip of a node owns a part and passes it round the nodes: `nodes` - 1 times a part of it to be added, and as
    often the sums.
    """
    share = ceil(values / width)
    piece = ceil(share / nodes)
    joined = max(1, topology.links(fabric, nodes) // width)
    scatter = send(part, "reduce-scatter", width - 1, _vectors(part, share, size), within=True) if width > 1 else None
    added = vector.passes(part, "add", elements=share, operations=max(1, width - 1), read=width * size, written=size)
    over = send(part, "ring", joined, ceil(_vectors(part, piece, size) / joined), within=False)
    sums = vector.passes(part, "add", elements=piece, operations=1, read=2 * size, written=size)
    ring = (*(over, *sums) * (nodes - 1), *(over,) * (nodes - 1))
    return (*((scatter, *added) if scatter else ()), *ring, *all_gather(part, width, values, size))


def forward(part: TspPart, width: int, links: int, values: int, size: int) -> tuple[Section, ...]:
    """Activations to the next node: over the links that join the two, then from those who got them to their peers.

    Args:
        part: the chip.
        width: chips of a node.
        links: links that join the nodes.
        values: values to bring, at each chip of the node before and at each of the next after.
        size: bytes of a value.
    """
    total = _vectors(part, values, size)
    used = min(links, total)
    senders = min(width, used)
    each = ceil(used / senders)
    over = send(part, "forward", each, ceil(total / (senders * each)), within=False)
    if width == 1:
        return (over,)
    return (over, send(part, "spread", width - 1, ceil(total / senders), within=True))


def _vectors(part: TspPart, values: int, size: int) -> int:
    return max(1, ceil(values * size / part.lanes.vector))
