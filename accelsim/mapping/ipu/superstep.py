"""Supersteps as phases of a kernel: synchronise and exchange, load weights and multiply, issue, vectors.

Tiles compute on their own memory only. Before that they wait for each other and receive what they need, and nothing
overlaps: the time of a superstep is the sum of its parts, each set by the fullest tile.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.mapping.ipu.resources import AMP, EXCHANGE, ISSUE, SRAM, SYNC, VECTOR, Crew
from accelsim.mapping.ipu.split import Step
from accelsim.mapping.kernel import Demand, Phase


def phases(steps: Iterable[Step], crew: Crew, priced_by: str, *, prefix: str = "", passes: int = 1) -> list[Phase]:
    """The phases of some supersteps.

    Args:
        steps: in order; their names become names of phases.
        crew: the chips that take them.
        priced_by: the rule.
        prefix: before the names.
        passes: how often all of them run.
    """
    found: list[Phase] = []
    for step in steps:
        cost = step.cost * passes
        synchronise = Demand(SYNC, round(crew.part.timing.superstep * passes))
        exchange = crew.demand(EXCHANGE, step.receive_bytes * passes, step.tiles)
        parts: tuple[tuple[str, tuple[Demand, ...], tuple[Demand, ...]], ...] = (
            ("exchange", (synchronise,), (exchange,)),
            (
                "products",
                (crew.demand(SRAM, cost.load_bytes, step.tiles),),
                (crew.demand(AMP, cost.multiply, step.tiles),),
            ),
            ("issue", (), (crew.demand(ISSUE, cost.issue, step.tiles),)),
            ("vectors", (), (crew.demand(VECTOR, cost.vector, step.tiles),)),
        )
        for name, loads, computes in parts:
            load, compute = (tuple(d for d in demands if d.amount) for demands in (loads, computes))
            if load or compute:
                label = f"{prefix}{step.name}.{name}"
                found.append(Phase(name=label, steps=1, buffers=1, load=load, compute=compute, priced_by=priced_by))
    return found
