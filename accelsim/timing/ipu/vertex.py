"""Cycles of one tile in one superstep: products with blocks of weights, sums of partial results, vectors.

A tile's threads take turns, so that an instruction of one thread takes as many cycles as there are threads, and all of
them together issue one per cycle. The rules are those of the cost functions in graphcore/poplibs at 7eac0f26
(lib/poplin/PerformanceEstimation.hpp: 1x1 vertex, reduction), in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from accelsim.spec.ipu import AmpPeak, IpuPart

FLOPS_PER_SLOT: Final = 2
"""The vector rate counts a multiply-add as two FLOPs; an addition or product fills the same slot."""

PARTIAL_BYTES: Final = 4
"""Partial sums are fp32."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a tile does between two synchronisations; its parts follow each other.

    Attributes:
        load_bytes: weights loaded into the matrix unit.
        multiply: cycles of the matrix unit, idle turns of threads without a row included.
        issue: cycles of supervisor and workers around the arithmetic.
        vector: cycles of the vector unit.
    """

    load_bytes: float = 0.0
    multiply: float = 0.0
    issue: float = 0.0
    vector: float = 0.0

    def cycles(self, part: IpuPart) -> float:
        """All of it."""
        return self.load_bytes / part.tile.load_bytes_per_clock + self.multiply + self.issue + self.vector

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.load_bytes + other.load_bytes,
            self.multiply + other.multiply,
            self.issue + other.issue,
            self.vector + other.vector,
        )

    def __mul__(self, times: float) -> Cost:
        return Cost(self.load_bytes * times, self.multiply * times, self.issue * times, self.vector * times)


def product(part: IpuPart, row: AmpPeak, *, blocks: int, rows: int, bytes_per_weight: float) -> Cost:
    """Rows of inputs through blocks of weights, one block after the other.

    Args:
        part: the chip.
        row: rate and block of the pair of formats.
        blocks: blocks of weights that this tile holds.
        rows: rows that meet each of them; the threads share them.
        bytes_per_weight: of an operand as the matrix unit takes it.
    """
    threads = part.tile.threads
    return Cost(
        load_bytes=blocks * row.columns * row.depth * bytes_per_weight,
        multiply=blocks * threads * ceil(rows / threads) * row.clocks_per_row,
        issue=part.vertex.start + blocks * (part.vertex.block + threads * part.vertex.worker),
    )


def reduction(part: IpuPart, *, outputs: int, depth: int) -> Cost:
    """`depth` partial sums for each of `outputs`, added in fp32, half as many lanes as fp16 has."""
    lanes = part.vector.flops_per_clock / (2 * FLOPS_PER_SLOT)
    return Cost(
        issue=part.vertex.start + part.tile.threads * part.vertex.worker,
        vector=_turns(part, outputs, lanes) * depth,
    )


def elementwise(part: IpuPart, *, elements: int, flops: float, special: float, plain: float = 0.0) -> Cost:
    """Vector work of one tile.

    Args:
        part: the chip.
        elements: elements that the work belongs to; threads share them in whole vectors.
        flops: additions and products of all of them, one slot each.
        special: exponentials and the like.
        plain: work in the unit of the vector rate, such as conversions.
    """
    if not elements:
        return Cost()
    lanes = part.vector.flops_per_clock / FLOPS_PER_SLOT
    stretch = _turns(part, elements, lanes) * lanes / elements
    vector = stretch * (flops * FLOPS_PER_SLOT + plain) / part.vector.flops_per_clock
    return Cost(
        issue=part.vertex.start + part.tile.threads * part.vertex.worker,
        vector=vector + special / part.vector.special_ops_per_clock,
    )


def _turns(part: IpuPart, elements: int, lanes: float) -> float:
    """Vector instructions in which threads get through elements, where each has whole vectors."""
    return part.tile.threads * ceil(ceil(elements / lanes) / part.tile.threads)
