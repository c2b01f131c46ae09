"""Element-wise and row-wise operators: elements spread over all tiles, rows of a norm or softmax over some of them."""

from __future__ import annotations

from math import ceil

from accelsim.graph.counts import Counts, count
from accelsim.graph.operator import Kind, Operator, Role
from accelsim.mapping.ipu.split import Step
from accelsim.spec.ipu import IpuPart
from accelsim.timing.ipu.vertex import PARTIAL_BYTES, elementwise

STATISTICS = 2
"""Sums that the parts of a row tell each other: mean and square, or maximum and sum."""


def rows_of(op: Operator) -> int | None:
    """Rows that have statistics, None for free element-wise work."""
    for part in (op, *op.parts):
        if part.kind in (Kind.NORM, Kind.SOFTMAX):
            return max(1, int(part.dims["rows"]))
    return None


def steps(op: Operator, part: IpuPart, share: float = 1.0, plain: float = 0.0) -> tuple[Step, ...]:
    """The supersteps of an operator on one chip, those of the best number of tiles per row.

    Args:
        op: the operator.
        part: the chip.
        share: of its elements that this chip has.
        plain: further work of all elements in the unit of the vector rate, such as rounding.
    """
    counts = count(op)
    sizes = [float(t.elements) for t in op.outputs] or [float(op.dims["elements"])]
    elements = max(1, ceil(max(sizes) * share))
    moved = [t for t in op.inputs if t.role is Role.ACTIVATION] or op.outputs
    read = share * sum(float(t.bytes) for t in moved)
    if op.kind is Kind.EMBEDDING:  # every tile is told which rows, and sends those that it has
        told = max(1, int(op.outputs[0].shape[0])) * PARTIAL_BYTES
        find = elementwise(part, elements=1, flops=0, special=0)
        index = Step(name="index", receive_bytes=float(told), cost=find, tiles=part.tile.count)
        return (index, spread(part, "gather", elements, read, counts, share=share, plain=plain))
    rows_ = rows_of(op)
    if rows_ is None:
        return (spread(part, "elements", elements, read, counts, share=share, plain=plain),)
    return by_row(part, "rows", rows_, elements, read, counts, share=share, plain=plain)


def spread(
    part: IpuPart, name: str, elements: int, read: float, counts: Counts, *, share: float = 1.0, plain: float = 0.0
) -> Step:
    """One superstep with equal numbers of elements on every tile."""
    mine = ceil(elements / part.tile.count)
    tiles = ceil(elements / mine)
    fraction = share * mine / elements
    return Step(
        name=name,
        receive_bytes=read * mine / elements,
        cost=elementwise(
            part,
            elements=mine,
            flops=float(counts.vector_flops) * fraction,
            special=float(counts.special_ops) * fraction,
            plain=plain * fraction,
        ),
        tiles=tiles,
    )


def by_row(
    part: IpuPart, name: str, rows: int, elements: int, read: float, counts: Counts, *, share: float = 1.0,
    plain: float = 0.0,
) -> tuple[Step, ...]:  # fmt: skip
    """Rows with statistics: whole ones on a tile, or parts on several tiles, which then tell each other their sums."""
    width = ceil(elements / rows)
    found: list[tuple[Step, ...]] = []
    parts = 1
    while parts <= max(1, min(width, part.tile.count // rows)):
        mine = ceil(rows * parts / part.tile.count) * ceil(width / parts)
        tiles = min(part.tile.count, rows * parts)
        fraction = share * mine / elements
        work = elementwise(
            part,
            elements=mine,
            flops=float(counts.vector_flops) * fraction,
            special=float(counts.special_ops) * fraction,
            plain=plain * fraction,
        )
        first = Step(name=name, receive_bytes=read * mine / elements, cost=work, tiles=tiles)
        if parts == 1:
            found.append((first,))
        else:
            half = work * 0.5
            told = parts * STATISTICS * PARTIAL_BYTES
            found.append(
                (
                    Step(name=f"{name}.sums", receive_bytes=first.receive_bytes, cost=half, tiles=tiles),
                    Step(name=f"{name}.scale", receive_bytes=float(told), cost=half, tiles=tiles),
                )
            )
        parts *= 2
    return min(found, key=lambda steps_: _cycles(part, steps_))


def _cycles(part: IpuPart, found: tuple[Step, ...]) -> float:
    return sum(
        part.timing.superstep + step.receive_bytes / part.exchange.bytes_per_clock + step.cost.cycles(part)
        for step in found
    )
