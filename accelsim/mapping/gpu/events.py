"""What energy is charged for, counted from the phases of a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final

from accelsim.graph.counts import count
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Operator
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.resources import L2, MEMORY, REGISTER, SHARED
from accelsim.mapping.kernel import Phase

FLOPS_PER_SLOT: Final = 2
"""The vector rate counts a multiply-add as two FLOPs; an addition, maximum or product fills the same issue slot."""

VECTOR_REGISTER_BYTES: Final = 6
"""Register bytes per vector FLOP: a multiply-add (two FLOPs) reads three fp32; results are forwarded."""


def whole(value: Number) -> int:
    """A count as an integer, rounded up beyond floating-point noise."""
    return ceil(float(value) * (1 - 1e-15) - 1e-9)


def energy_events(phases: Iterable[Phase], op: Operator, pair: Pair | None, added: int = 0) -> dict[str, int]:
    """Counters by name: matrix FLOPs of the pair, vector FLOPs, special operations, bytes per level.

    Padding of a tile is not charged as arithmetic (zeros hardly toggle the multipliers), its staging is.

    Args:
        phases: of the kernel.
        op: what it computes.
        pair: how its operands meet, None for element-wise work.
        added: vector FLOPs beyond the operator's own: widening in every tile, sums over splits.
    """
    counts = count(op)
    events: dict[str, int] = {}
    if pair is not None:
        events[pair.event] = whole(counts.matrix_flops)
    events["vector"] = whole(counts.vector_flops) + added
    events["special"] = whole(counts.special_ops)
    levels = {REGISTER: "register", SHARED: "shared", L2: "l2", MEMORY: "memory"}
    for phase in phases:
        for demand in (*phase.load, *phase.compute, *phase.store):
            if demand.resource in levels:
                key = levels[demand.resource]
                events[key] = events.get(key, 0) + demand.amount
    return {key: value for key, value in events.items() if value}
