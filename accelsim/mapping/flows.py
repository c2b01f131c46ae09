"""From phases to flows: what the engine moves, and the same in closed form for a kernel alone.

A phase runs as up to four flows: fill (the first load), steady (all further loads, computes and stores
side by side), drain (the last compute) and store (the last result). A flow is a set of amounts that
progress together, no faster than its pipeline allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource

LATENCY, PIPELINE, LAUNCH, MODE = "latency", "pipeline", "launch", "mode"
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Flow:
    """Amounts that progress together.

    Attributes:
        part: "fill", "steady", "drain" or "store".
        amounts: (resource name, units, largest share of its rate), each resource once.
        alone_s: duration when nothing else draws on these resources.
        limit: the resource that sets `alone_s`, or "pipeline" where the buffers do.
        latency_s: a wait before the flow starts that no rate shortens.
        most: as `Phase.most`; a load or store alone may draw more than that.
    """

    part: str
    amounts: tuple[tuple[str, int, float], ...]
    alone_s: float
    limit: str
    latency_s: float = 0.0
    most: Mapping[str, float] = field(default_factory=lambda: _NONE)


def flows(phase: Phase, resources: Mapping[str, Resource]) -> list[Flow]:
    """The flows of one phase, in order; of one with a clock, those of a start at 0."""
    phase = phase.at(0)
    result: list[Flow] = []
    most = phase.most
    steady: list[tuple[str, int, float]] = []
    if phase.fill:
        first, rest = _split(phase.load, phase.steps)
        seconds, limit = _alone(first, resources)
        result.append(Flow("fill", first, seconds, limit, phase.latency_s, most))
        steady += rest
    else:
        steady += [(d.resource, d.amount, d.share) for d in phase.load if d.amount]
    last: list[tuple[str, tuple[tuple[str, int, float], ...]]] = []
    for part, demands, pieces in (("drain", phase.compute, phase.steps), ("store", phase.store, phase.stores)):
        if phase.drain:
            final, rest = _split(demands, pieces)
            steady += rest
            if final:
                last.append((part, final))
        else:
            steady += [(d.resource, d.amount, d.share) for d in demands if d.amount]
    if steady:
        amounts, seconds, limit = _together(steady, most, resources)
        turn = _buffer_bound(phase, resources, seconds)
        if turn > seconds * (1 + 1e-12):
            seconds, limit = turn, PIPELINE
        result.append(Flow("steady", amounts, seconds, limit, most=most))
    for part, final in last:
        seconds, limit = _alone(final, resources)
        result.append(Flow(part, final, seconds, limit, most=most))
    return result


def _split(
    demands: tuple[Demand, ...], pieces: int
) -> tuple[tuple[tuple[str, int, float], ...], list[tuple[str, int, float]]]:
    """One of `pieces` equal parts of each demand, rounded up to whole units, and what remains."""
    one, rest = [], []
    for demand in demands:
        if demand.amount:
            part = -(-demand.amount // pieces)
            one.append((demand.resource, part, demand.share))
            if part < demand.amount:
                rest.append((demand.resource, demand.amount - part, demand.share))
    return tuple(one), rest


def _alone(amounts: Iterable[tuple[str, int, float]], resources: Mapping[str, Resource]) -> tuple[float, str]:
    """The slowest resource sets the time: seconds and its name. Each resource stands once."""
    worst, limit = 0.0, PIPELINE
    for name, units, share in amounts:
        seconds = units / (resources[name].rate * share)
        if seconds > worst:
            worst, limit = seconds, name
    return worst, limit


def _together(
    parts: list[tuple[str, int, float]], most: Mapping[str, float], resources: Mapping[str, Resource]
) -> tuple[tuple[tuple[str, int, float], ...], float, str]:
    """Loads, computes and stores side by side: amounts by resource, and the slowest resource.

    A resource that two of them use serves both at the larger of their shares, and neither faster than its
    own: loads that wait for their latency leave room for stores, ports of idle SMs serve nobody. Their mixture may
    be slower than either: a memory turns its bus around.
    """
    units: dict[str, int] = {}
    slowest: dict[str, float] = {}
    widest: dict[str, float] = {}
    for name, amount, share in parts:
        units[name] = units.get(name, 0) + amount
        slowest[name] = max(slowest.get(name, 0.0), amount / share)
        widest[name] = max(widest.get(name, 0.0), share)
    for name, limit in most.items():
        if widest.get(name, 0.0) > limit:
            widest[name] = limit
    amounts = tuple((name, total, total / max(slowest[name], total / widest[name])) for name, total in units.items())
    return amounts, *_alone(amounts, resources)


def _buffer_bound(phase: Phase, resources: Mapping[str, Resource], steady_s: float) -> float:
    """The least time of the steady part that the buffers allow.

    Load i may start when compute i - buffers has ended, so each turn through the buffers costs at least
    latency + load + compute. The critical path makes either no turn or as many as fit.
    """
    steady_steps = phase.steps - 1 if phase.fill else phase.steps
    if steady_steps < 1:
        return 0.0
    load, compute, store = (
        max((d.amount / (resources[d.resource].rate * d.share) for d in demands), default=0.0)
        for demands in (phase.load, phase.compute, phase.store)
    )
    turn = phase.latency_s + (load + compute) / phase.steps
    if phase.buffers == 1:
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
