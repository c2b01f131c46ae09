"""Resources that several flows share.

A flow that is alone runs at the rate of its own pipeline. Where several flows meet on a resource, its
rate is shared max-min: everyone gets an equal share of its time, and what one cannot use goes to the rest.
Rates change only when a flow arrives or leaves, so that events grow with kernels and not with bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import simpy

from accelsim.engine.log import Log
from accelsim.engine.modes import Modes, Request
from accelsim.mapping.flows import MODE, Flow
from accelsim.mapping.kernel import Resource
from accelsim.units import PS_PER_S

_ROUNDS = 64
_NOISE_PS = 1e-6
"""Less than this is rounding error of a float, not work that is left."""


@dataclass(slots=True, eq=False)
class Active:
    """A flow under way.

    `left` is the fraction that remains, `rate` the fraction per second, `limit` what sets that rate,
    `moved` the whole units already logged per resource.
    """

    flow: Flow
    label: str
    done: simpy.Event
    order: int
    left: float = 1.0
    rate: float = 0.0
    limit: str = ""
    moved: dict[str, int] = field(default_factory=dict)
    limits_ps: dict[str, int] = field(default_factory=dict)


class Fabric:
    """All resources of one device and the flows on them.

    Args:
        env: the SimPy environment; its clock counts integer picoseconds.
        resources: by name.
        log: where served intervals are recorded.
    """

    def __init__(self, env: simpy.Environment, resources: Mapping[str, Resource], log: Log) -> None:
        self._env, self._resources, self._log = env, resources, log
        self._active: list[Active] = []
        self._since = 0
        self._count = 0
        self._wake = 0
        self.modes = Modes(env, self._busy)

    def start(self, flow: Flow, label: str, holds: str | None = None) -> Active:
        """Begins a flow; its `done` event triggers when all amounts are served.

        Args:
            flow: what to serve; it waits while others hold a memory that it uses.
            label: its kernel.
            holds: the memory that its phase holds, which does not stop it.
        """
        self._count += 1
        active = Active(flow, label, self._env.event(), self._count)
        asked = int(self._env.now)

        def begin() -> None:
            if self._env.now > asked:
                active.limits_ps[MODE] = int(self._env.now) - asked
            self._settle()
            self._active.append(active)
            self._share()
            self._schedule()

        uses = tuple(name for name, _, _ in flow.amounts if name != holds)
        self.modes.ask(Request(label, uses, None, begin))
        return active

    def hold(self, resource: str, label: str) -> simpy.Event:
        """Asks for a memory alone; the event triggers when its flows have been served. `modes.release` ends it."""
        granted = self._env.event()

        def begin() -> None:
            granted.succeed()

        self.modes.ask(Request(label, (), resource, begin))
        return granted

    def _busy(self, resource: str) -> bool:
        return any(name == resource for active in self._active for name, _, _ in active.flow.amounts)

    def signature(self) -> tuple[tuple[str, float], ...]:
        """What is still under way; empty when the machine is idle."""
        return tuple((active.flow.part, active.left) for active in self._active)

    def _settle(self) -> None:
        """Books the progress since the last change of rates."""
        now, since = int(self._env.now), self._since
        self._since = now
        if now == since or not self._active:
            return
        users: dict[str, list[tuple[str, int]]] = {}
        for active in self._active:
            active.left -= active.rate * ((now - since) / PS_PER_S)
            active.limits_ps[active.limit] = active.limits_ps.get(active.limit, 0) + now - since
            finished = active.left * active.flow.alone_s * PS_PER_S <= _NOISE_PS
            for name, units, _ in active.flow.amounts:
                target = units if finished else min(units, math.floor(units * (1.0 - active.left)))
                before = active.moved.get(name, 0)
                active.moved[name] = max(before, target)
                users.setdefault(name, []).append((active.label, active.moved[name] - before))
        for name, parts in users.items():
            label = parts[0][0] if len(parts) == 1 else " | ".join(part[0] for part in parts)
            self._log.add(name, label, since, now, sum(amount for _, amount in parts))

    def _share(self) -> None:
        """Sets the rate of every active flow."""
        if len(self._active) == 1:
            active = self._active[0]
            active.rate = _rate_alone(active.flow)
            active.limit = active.flow.limit
            return
        caps = [_rate_alone(active.flow) for active in self._active]
        rates, limits = _max_min([active.flow for active in self._active], caps, self._resources)
        for active, rate, limit in zip(self._active, rates, limits, strict=True):
            active.rate, active.limit = rate, limit

    def _schedule(self) -> None:
        """One wake-up at the earliest completion; an older one is ignored when it comes."""
        self._wake += 1
        if not self._active:
            return
        ticket = self._wake
        wait = min(_ps(active.left / active.rate) for active in self._active)
        event = self._env.timeout(wait)
        event.callbacks.append(lambda _: self._on_wake(ticket))

    def _on_wake(self, ticket: int) -> None:
        if ticket != self._wake:
            return
        self._settle()
        ended = [a for a in self._active if a.left * a.flow.alone_s * PS_PER_S <= _NOISE_PS]
        self._active = [a for a in self._active if a not in ended]
        for active in ended:
            active.done.succeed(active)
        self.modes.admit()
        if self._active:
            self._share()
        self._schedule()


def _rate_alone(flow: Flow) -> float:
    return 1.0 / flow.alone_s if flow.alone_s > 0 else math.inf


def _ps(seconds: float) -> int:
    """Whole picoseconds, rounded up so that no resource ever runs above its rate."""
    return max(0, math.ceil(seconds * PS_PER_S - _NOISE_PS))


def _max_min(flows: list[Flow], caps: list[float], resources: Mapping[str, Resource]) -> tuple[list[float], list[str]]:
    """Fractions per second for flows that share resources, and what limits each.

    Every shared resource has a waterline: what it serves to each flow that asks for no less. A flow runs
    at the lowest of its waterlines and its own cap. The lines are raised and lowered until they stand.
    """
    users: dict[str, list[tuple[int, float]]] = {}
    for index, flow in enumerate(flows):
        for name, amount, share in flow.amounts:
            # what it takes of the resource: a mixture that can never draw all of its rate takes more than it moves
            users.setdefault(name, []).append((index, amount / max(flow.most.get(name, 1.0), share)))
    shared = {name: list_ for name, list_ in users.items() if len(list_) > 1}
    lines: list[dict[str, float]] = [{} for _ in flows]
    for _ in range(_ROUNDS):
        changed = False
        for name, members in shared.items():
            asked = []
            for index, units in members:
                others = (rate for other, rate in lines[index].items() if other != name)
                asked.append(min(caps[index], min(others, default=math.inf)) * units)
            line = _waterline(resources[name].rate, asked)
            index, units = members[0]
            before = lines[index].get(name, math.inf) * units
            changed |= line != before and not abs(line - before) <= 1e-12 * line
            for index, units in members:
                lines[index][name] = line / units
        if not changed:
            break
    rates, limits = [], []
    for index, flow in enumerate(flows):
        rate, limit = caps[index], flow.limit
        for name, value in lines[index].items():
            if value < rate * (1 - 1e-12):
                rate, limit = value, name
        rates.append(rate)
        limits.append(limit)
    for name, members in shared.items():  # never above a rate, should the lines not have settled
        excess = sum(rates[index] * units for index, units in members) / resources[name].rate
        if excess > 1:
            for index, _ in members:
                rates[index] /= excess
    return rates, limits


def _waterline(rate: float, asked: list[float]) -> float:
    """The most that one may draw so that all of them draw `rate` together; infinite if they ask for less."""
    left = rate
    for position, amount in enumerate(sorted(asked)):
        fair = left / (len(asked) - position)
        if amount > fair:
            return fair
        left -= amount
    return math.inf
