"""From phases to flows: what the engine moves, and the same in closed form for a kernel alone.

A phase runs as up to four flows: fill (the first load), steady (all further loads, computes and stores
side by side), drain (the last compute) and store (the last result). A flow is a set of amounts that
progress together, no faster than its pipeline allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource

LATENCY, PIPELINE, LAUNCH = "latency", "pipeline", "launch"


@dataclass(frozen=True, slots=True)
class Flow:
    """Amounts that progress together.

    Attributes:
        part: "fill", "steady", "drain" or "store".
        amounts: (resource name, units, largest share of its rate), each resource once.
        alone_s: duration when nothing else draws on these resources.
        limit: the resource that sets `alone_s`, or "pipeline" where the buffers do.
        latency_s: a wait before the flow starts that no rate shortens.
    """

    part: str
    amounts: tuple[tuple[str, int, float], ...]
    alone_s: float
    limit: str
    latency_s: float = 0.0


def flows(phase: Phase, resources: Mapping[str, Resource]) -> list[Flow]:
    """The flows of one phase, in order."""
    first = _part(phase.load, phase.steps) if phase.fill else {}
    last_compute = _part(phase.compute, phase.steps) if phase.drain else {}
    last_store = _part(phase.store, phase.stores) if phase.drain else {}
    steady: dict[str, list[tuple[int, float]]] = {}
    for demands, taken in ((phase.load, first), (phase.compute, last_compute), (phase.store, last_store)):
        for demand in demands:
            rest = demand.amount - taken.get(demand.resource, (0, 1.0))[0]
            if rest > 0:
                steady.setdefault(demand.resource, []).append((rest, demand.share))
    result = []
    if phase.fill:
        seconds, limit = _alone({key: [value] for key, value in first.items()}, resources)
        result.append(Flow("fill", _amounts(first), seconds, limit, phase.latency_s))
    if steady:
        seconds, limit = _alone(steady, resources)
        turn = _buffer_bound(phase, resources, seconds)
        if turn > seconds * (1 + 1e-12):
            seconds, limit = turn, PIPELINE
        merged = tuple(
            (name, sum(units for units, _ in parts), sum(u for u, _ in parts) / sum(u / share for u, share in parts))
            for name, parts in steady.items()
        )
        result.append(Flow("steady", merged, seconds, limit))
    for part, amounts in (("drain", last_compute), ("store", last_store)):
        if amounts:
            seconds, limit = _alone({key: [value] for key, value in amounts.items()}, resources)
            result.append(Flow(part, _amounts(amounts), seconds, limit))
    return result


def _part(demands: tuple[Demand, ...], pieces: int) -> dict[str, tuple[int, float]]:
    """One of `pieces` equal parts of each demand, rounded up to whole units."""
    return {d.resource: (-(-d.amount // pieces), d.share) for d in demands if d.amount}


def _amounts(parts: Mapping[str, tuple[int, float]]) -> tuple[tuple[str, int, float], ...]:
    return tuple((name, units, share) for name, (units, share) in parts.items())


def _alone(demands: Mapping[str, list[tuple[int, float]]], resources: Mapping[str, Resource]) -> tuple[float, str]:
    """The slowest resource sets the time: seconds and its name."""
    worst, limit = 0.0, PIPELINE
    for name, parts in demands.items():
        seconds = 0.0
        for units, share in parts:
            seconds += units / (resources[name].rate * share)
        if seconds > worst:
            worst, limit = seconds, name
    return worst, limit


def _buffer_bound(phase: Phase, resources: Mapping[str, Resource], steady_s: float) -> float:
    """The least time of the steady part that the buffers allow.

    Load i may start when compute i - buffers has ended, so each turn through the buffers costs at least
    latency + load + compute. The critical path makes either no turn or as many as fit.
    """
    steady_steps = phase.steps - 1 if phase.fill else phase.steps
    if steady_steps < 1:
        return 0.0
    load, _ = _alone({d.resource: [(d.amount, d.share)] for d in phase.load}, resources)
    compute, _ = _alone({d.resource: [(d.amount, d.share)] for d in phase.compute}, resources)
    turn = phase.latency_s + (load + compute) / phase.steps
    if phase.buffers == 1:
        store, _ = _alone({d.resource: [(d.amount, d.share)] for d in phase.store}, resources)
        turn += store / phase.steps
    turns = steady_steps // phase.buffers
    return turns * turn + (steady_steps - turns * phase.buffers) * (steady_s / steady_steps)


def phase_time_s(phase: Phase, resources: Mapping[str, Resource]) -> float:
    """Time of a phase alone on an idle chip."""
    return sum(flow.latency_s + flow.alone_s for flow in flows(phase, resources))


def kernel_time_s(kernel: Kernel, resources: Mapping[str, Resource]) -> float:
    """Time of a kernel alone on an idle chip: launch, then the longest chain of its phases."""
    ends: dict[str, float] = {}
    before: str | None = None
    for phase in kernel.phases:
        waits = ((before,) if before else ()) if phase.after is None else phase.after
        start = max((ends[name] for name in waits if name), default=0.0)
        ends[phase.name] = start + phase_time_s(phase, resources)
        before = phase.name
    return kernel.launch_s + max(ends.values(), default=0.0)
