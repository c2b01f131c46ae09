"""Phases that take a given time alone, and wait for what they draw beside others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from accelsim.mapping.kernel import Demand, Phase, Resource

_SLACK: Final = 1 + 1e-6
"""How much faster at least may be drawn what does not set the pace, so that only one resource does."""


def paced(
    phase: Phase, seconds: float, limit: str, natural_s: Mapping[str, float], resources: Mapping[str, Resource]
) -> Phase:
    """The phase with shares at which it takes so long alone.

    Args:
        phase: with demands of any share.
        seconds: its time.
        limit: the resource that sets the pace, if it is used at all.
        natural_s: by resource, the time that its demands would take if nothing else held the phase up; those
            that are not named can have all of their resource.
        resources: of the chip.
    """
    totals: dict[str, int] = {}
    for demand in phase.demands():
        totals[demand.resource] = totals.get(demand.resource, 0) + demand.amount
    if not totals.get(limit):
        limit = max(totals, key=lambda name: totals[name] / resources[name].rate)
    shares = {limit: min(1.0, totals[limit] / (resources[limit].rate * seconds))}
    for name, total in totals.items():
        if total and name != limit:
            free = min(natural_s.get(name, 0.0), seconds / _SLACK)
            shares[name] = min(1.0, total / (resources[name].rate * free)) if free else 1.0

    def drawn(demands: tuple[Demand, ...]) -> tuple[Demand, ...]:
        return tuple(Demand(d.resource, d.amount, shares[d.resource]) for d in demands if d.amount)

    return replace(phase, load=drawn(phase.load), compute=drawn(phase.compute), store=drawn(phase.store))
