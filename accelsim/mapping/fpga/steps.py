"""Phases of a kernel on an overlay: instructions in a row, vectors through the HBM, messages between boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.mapping.fpga.layout import DDR, HBM, ISSUE, MATRIX, RING, ROUTER, VECTOR, Layout
from accelsim.mapping.kernel import Kernel, Phase

_COUNTERS = {HBM: "memory", DDR: "ddr", RING: "link"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction that a core executes several times, and what all of them stream.

    Attributes:
        name: of its phase.
        times: in a row on each core.
        cycles: pipeline depth of each.
        seconds: further latency of each, such as that of a memory.
        parts: instructions that are issued for each.
        matrix: cycles of matrix units, all cores together.
        vector: cycles of vector units, all cores together.
        hbm: bytes of all boards.
        ddr: bytes of all boards.
    """

    name: str
    times: int
    cycles: float
    seconds: float = 0.0
    parts: int = 1
    matrix: float = 0.0
    vector: float = 0.0
    hbm: float = 0.0
    ddr: float = 0.0


def instructions(layout: Layout, listed: Sequence[Instruction], rule: str) -> list[Phase]:
    """Instructions that wait for each other, or whose units have queues of their own.

    Waiting, each is issued, goes through its pipeline and streams its operands; what it streams runs side by side, and
    nothing of one overlaps the next. All of one kind are one flow, so that what sets the pace keeps its name.
    With queues (`issue.decoupled`), the heads of an operator follow each other through the units: the way through
    all of them shows once, and every unit streams beside the others.
    """
    if not layout.part.issue.decoupled:
        return [_flow(layout, one.name, [one], one.times, rule) for one in listed]
    return [_flow(layout, listed[0].name if len(listed) == 1 else "heads", listed, 1, rule)] if listed else []


def _flow(layout: Layout, name: str, listed: Sequence[Instruction], times: int, rule: str) -> Phase:
    issued = max(one.times * one.parts for one in listed) * layout.part.issue.overhead_cycles * layout.boards
    return Phase(
        name=name,
        steps=1,
        buffers=1,
        load=(
            *layout.demand(HBM, sum(one.hbm for one in listed), layout.burst_share),
            *layout.demand(DDR, sum(one.ddr for one in listed)),
            *layout.demand(MATRIX, sum(one.matrix for one in listed)),
            *layout.demand(VECTOR, sum(one.vector for one in listed)),
        ),
        compute=layout.demand(ISSUE, issued),
        latency_s=times * sum(one.cycles / layout.clock_hz + one.seconds for one in listed),
        priced_by=rule,
    )


def through_memory(layout: Layout, times: int, read: float, written: float, rule: str) -> Phase:
    """Vectors that leave the chip between instructions: stored, agreed on, and loaded again by one port of each core.

    Args:
        layout: boards.
        times: instructions of one core, one after the other.
        read: bytes that each of them loads, on one core.
        written: bytes that each of them stores.
        rule: what priced it.
    """
    moved = times * (read + written) * layout.cores
    share = layout.burst_share * min(1.0, layout.part.matrix.cores / layout.part.hbm.channels)
    return Phase(
        name="vectors",
        steps=1,
        buffers=1,
        load=layout.demand(HBM, moved, share),
        latency_s=times * (layout.part.on_chip.round_trip_s + 2 * layout.part.hbm.latency_s),
        priced_by=f"{rule}/off-chip vectors",
    )


def gather(layout: Layout, times: int, vector_bytes: float, rule: str) -> tuple[Phase, ...]:
    """Every board gets the parts of a vector that the others made; nothing on one board.

    Args:
        layout: boards.
        times: vectors, one after the other.
        vector_bytes: of one whole vector.
        rule: what priced it.
    """
    if layout.boards == 1:
        return ()
    part, messages = layout.part, times * layout.steps * layout.boards
    sent = times * vector_bytes * (layout.boards - 1)
    return (
        Phase(
            name="sync",
            steps=1,
            buffers=1,
            load=layout.demand(ROUTER, messages * part.network.overhead_s * layout.clock_hz),
            compute=layout.demand(RING, sent),
            store=layout.demand(ISSUE, messages * part.issue.overhead_cycles),
            priced_by=f"{rule}/ring",
        ),
    )


def counters(layout: Layout, phases: tuple[Phase, ...], arithmetic: Mapping[str, float]) -> dict[str, int]:
    """What energy is charged for: arithmetic, bytes of memories and links, and those that pass a buffer."""
    events = {name: whole_ for name, amount in arithmetic.items() if (whole_ := round(float(amount)))}
    for phase in phases:
        for demand in (*phase.load, *phase.compute, *phase.store):
            for resource, counter in _COUNTERS.items():
                if demand.resource == layout.name(resource):
                    events[counter] = events.get(counter, 0) + demand.amount
    buffered = 2 * (events.get("memory", 0) + events.get("ddr", 0))
    if buffered:
        events["buffer"] = buffered
    return events


def instructions_of(kernel: Kernel, layout: Layout) -> int:
    """Instructions that a board issues for a kernel."""
    each = layout.part.issue.overhead_cycles * layout.boards
    return round(kernel.demand(layout.name(ISSUE)) / each) if each else 0
