"""How fast slices work together: rows of weights per cycle, vectors per cycle, cycles of a vector on a link."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from accelsim.spec.tsp import TspConversion, TspPart, TspPeak

RESULT_BYTES = 4
"""Bytes of a sum that leaves a plane (int32, fp32)."""


@dataclass(frozen=True, slots=True)
class Load:
    """How weights reach the planes of one hemisphere.

    Attributes:
        groups: matrices that its planes hold at once.
        rows: rows of weights that arrive together for each of them.
        stride: cycles from one arrival to the next, at least.
        sources: byte streams that leave memory slices for all groups.
        act: outward byte streams that each group keeps for activations and results.
        size: planes, and byte streams, of a row of weights.
        convert: how weights are converted on the way, None if they are stored as they are multiplied.
    """

    groups: int
    rows: int
    stride: int
    sources: int
    act: int
    size: int
    convert: TspConversion | None

    def sets(self, rows: int) -> int:
        """Arrivals that bring `rows` rows to each group."""
        return ceil(rows / self.rows)


def reserved_slices(part: TspPart, size: int, groups: int, out_bytes: int) -> tuple[int, int]:
    """Memory slices of a hemisphere that are kept for results and for activations while weights stream."""
    return ceil(out_bytes * groups / part.mem.banks), ceil(size * groups / part.mem.banks)


def loads(
    part: TspPart, row: TspPeak, stored_bytes: float = 1.0, out_bytes: int = 2, convert: TspConversion | None = None
) -> list[Load]:
    """All ways for weights through streams, memory ports and, if converted, the vector slice; never empty.

    Activations and results keep outward streams; sums that move inward keep theirs. Converted weights come inward,
    pass ALUs (one of which each group keeps for its sums) and go on outward. Groups of planes may stay idle, and rows
    may come more slowly than they could, if that suits the tiles.

    Args:
        part: the chip.
        row: what the planes multiply.
        stored_bytes: of one weight in memory.
        out_bytes: of one result.
        convert: the conversion, None for none.
    """
    size, act = row.planes, max(row.planes, out_bytes)
    found = []
    for groups in range(1, part.mxm.planes // 2 // size + 1):
        slices = part.mem.slices // 2 - sum(reserved_slices(part, size, groups, out_bytes))
        outward = part.lanes.streams - act * groups
        ports = slices * part.mem.banks
        inward = min(ports, part.lanes.streams - RESULT_BYTES * groups)
        alus = part.vxm.alus // 2 - groups
        for rows in range(1, min(part.mxm.weight_streams, outward // (groups * size)) + 1):
            if convert is None:
                if rows * groups * size <= ports:
                    found.append(Load(groups, rows, 1, rows * groups * size, act, size, None))
            elif rows * groups * stored_bytes <= inward and alus > 0:
                stride = ceil(rows * groups * convert.operations / alus)
                sources = ceil(rows * groups * stored_bytes)
                found.append(Load(groups, rows, stride, sources, act, size, convert))
    return found


@dataclass(frozen=True, slots=True)
class Pass:
    """Vectors through the vector slice.

    Attributes:
        width: vectors that enter together, from both hemispheres.
        stride: cycles from one entry to the next.
    """

    width: int
    stride: int

    def entries(self, vectors: int) -> int:
        """Entries for that many vectors."""
        return ceil(vectors / self.width)


def vector_pass(part: TspPart, operations: int, read_bytes: int, written_bytes: int) -> Pass:
    """How many vectors at once: ALUs are chained, and what is read and written needs streams and memory ports.

    Args:
        part: the chip.
        operations: per element.
        read_bytes: per element, all operands.
        written_bytes: per element, all results.
    """
    chained = part.vxm.alus / max(1, operations)
    stride = max(1, ceil(1 / chained))
    width = int(chained * stride)
    ports = part.mem.slices // 2 * part.mem.banks // 2  # of a hemisphere, half of them for each way
    for need in (read_bytes, written_bytes):
        if need:
            width = min(width, 2 * (min(part.lanes.streams, ports) // need))
    return Pass(max(1, width), stride)


def bytes_at_once(part: TspPart) -> int:
    """Bytes per element that can be read (or written) together for one vector."""
    return min(part.lanes.streams, part.mem.slices // 2 * part.mem.banks // 2)


def link_cycles(part: TspPart) -> int:
    """Cycles for which a vector of 320 B holds a link."""
    return max(1, ceil(part.lanes.vector / (part.c2c.bytes_per_s / part.clock.core.frequency_hz) - 1e-9))


def flight_cycles(part: TspPart) -> int:
    """Cycles from a vector's leaving a chip to its arrival at the other one."""
    return ceil(part.c2c.latency_s * part.clock.core.frequency_hz - 1e-9)
