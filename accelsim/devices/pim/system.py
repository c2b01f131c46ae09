"""A host whose memory computes: every operator on the units beside the banks where that pays, else on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf, isinf, nan
from typing import Any

import numpy as np

from accelsim.devices.base import EventCost, Priced
from accelsim.devices.gpu import Gpu
from accelsim.devices.pim.base import KernelDevice, KernelResult
from accelsim.devices.pim.kernels import BANKS, FEMTO, LINK, UNITS
from accelsim.devices.pim.offload import Offload, Slower, figures_of
from accelsim.devices.pim.ordinary import host_chip, ordinary
from accelsim.errors import RequestError
from accelsim.graph.numbers import Number, minimum
from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator, Role
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.gpu.resources import MEMORY
from accelsim.mapping.kernel import PART, Alternative, Demand, Kernel, Phase, Placement, Plan, Resource
from accelsim.mapping.pim.attention import append_bytes
from accelsim.mapping.plan import Planner
from accelsim.spec.base import STATUSES
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System

_PROBE_OUTPUTS, _PROBE_INPUTS = 64, 1024


class PimSystem:
    """Parts that compute beside a host.

    A cache keeps the order in which the first decode step wanted it: attention stays where that step put it.

    Args:
        system: the system.
        part: the description of its part.
        memory: gives the device that runs single kernels on so many units of the system's count.
        bits: bits of one element by format name.
        streams: as in `accelsim.mapping.plan.Planner`.
    """

    family = "system"

    def __init__(
        self, system: System, part: Any, memory: Callable[[int], KernelDevice], bits: Mapping[str, float],
        streams: str = "one",
    ) -> None:  # fmt: skip
        self.system, self.part = system, part
        unit = ordinary(part) if system.memory == "replaces" else None
        self.chip = host_chip(system, unit)
        self.host = Gpu(self.chip, bits)
        whole = memory(system.count)
        self._probe = _probe(whole, system)
        self._unit, self._whole = unit, whole
        self._resources = {**self.host.resources, **self._own_resources()}
        self._element_bytes = bits[whole.native] / 8
        self._offload = Offload(system, part, unit, memory, self.host, self._resources)
        self._planner = Planner(self._planned, streams)
        self._cache_on_units: bool | None = None
        self._decoding = False
        self._repeats: dict[str, int] = {}
        self._held: dict[str, float] = {}

    def _own_resources(self) -> dict[str, Resource]:
        """The units of all channels, and the parts that their account names."""
        clock, count = self._whole.clock_hz, self.system.count
        made = {UNITS: Resource(UNITS, "clk", clock * count, count, "compute", "tensor")}
        if self.system.link is not None:
            made[LINK] = Resource(LINK, "B", _link_bytes_per_s(self.system, self.chip), 1, "link", "link")
        for part in self._probe.spent:
            rate = clock * part.count
            made.setdefault(part.resource, Resource(part.resource, "clk", rate, part.count, "memory", part.component))
        return made

    @property
    def _peak_flops_per_s(self) -> float:
        """Of all units."""
        return max(rate for name, rate in self._probe.roofs.items() if name != "memory")

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Those of the host, the units, and the parts of the memory that energy is told by."""
        return self._resources

    @property
    def capacity_bytes(self) -> Number:
        """What the host reaches: the banks, or its own memory where the parts stand beside it."""
        return self.host.capacity_bytes

    @property
    def idle_w(self) -> Number:
        """The host's, and what the parts draw without accesses, as far as that is published."""
        return self.host.idle_w + (self._unit.standby_w * self.system.count if self._unit else 0.0)

    @property
    def limit_w(self) -> Number:
        """The host's board, which feeds a memory of its own; parts beside it draw what they stand by with."""
        if self._unit is not None:
            return self.host.limit_w
        spent_j = sum(part.joules for part in self._probe.spent if part.component == "static")
        return self.host.limit_w + spent_j / self._probe.time_s

    @property
    def reference_clock_hz(self) -> Number:
        """The clock of the parts."""
        return self._whole.clock_hz

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """The resource behind each term of the closed form."""
        return {**self.host.roofline_resources, "units": UNITS}

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return (*self.host.roofline_constants, *figures_of(self.part))

    def padding_bytes(self, graph: Graph) -> tuple[float, float]:
        """What tiles of the banks leave empty, if the units may be used for decoding."""
        if self.system.placement == "host" or self._unit is None:
            return 0.0, 0.0
        seen: set[str] = set()
        weights = cache = 0.0
        for block, op in graph:
            names = {t.name for t in op.inputs if t.role is Role.WEIGHT}
            if names and names <= seen:
                continue
            seen |= names
            more_weights, more_cache = self._offload.padded_bytes(op)
            weights += block.repeat * more_weights
            cache += block.repeat * more_cache
        return weights, cache

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a phase; the first decode step decides where attention happens, and so how the cache lies."""
        self._decoding = graph.phase == "decode"
        self._repeats = {op.name: block.repeat for block, op in graph}
        if self._decoding and self._cache_on_units is None:
            found = [op for _, op in graph if op.kind is Kind.ATTENTION]
            kernels = [self.kernel(op) for op in found]
            self._cache_on_units = any(
                isinstance(kernel, Kernel) and kernel.placement is not None and kernel.placement.where == "pim"
                for kernel in kernels
            )
        return self._planner.plan(graph)

    def _planned(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of an operator in its graph."""
        kernel = self.kernel(op)
        if isinstance(kernel, Infeasible):
            return kernel
        if self._decoding and self._cache_on_units and any(part.kind is Kind.KV_APPEND for part in (op, *op.parts)):
            return self._appended(kernel, op)
        return kernel

    def _appended(self, kernel: Kernel, op: Operator) -> Kernel:
        """With the masked writes of values that lie one by one."""
        assert self._unit is not None
        extra = append_bytes(op, self._unit.access_bytes, self._element_bytes)
        if not extra:
            return kernel
        scattered = Phase(
            name="layout", steps=1, buffers=1, store=(Demand(MEMORY, extra),), priced_by="pim_append/masked_writes"
        )
        return replace(
            kernel,
            phases=(*kernel.phases, scattered),
            events={**kernel.events, "memory": kernel.events.get("memory", 0) + extra},
            constants=(*kernel.constants, f"{PART}organization"),
        )

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The faster of the host's kernel and that of the units, with the time of either."""
        host = self.host.kernel(op)
        placement = self.system.placement
        if placement == "host":
            return host
        host_s = inf if isinstance(host, Infeasible) else kernel_time_s(host, self._resources)
        forced = placement == "pim" or (op.kind is Kind.ATTENTION and self._cache_on_units is True)
        units = self._offload.kernel(op, inf if forced else host_s)
        if isinstance(units, str) and isinstance(host, Infeasible):
            return host
        units_s = nan
        if isinstance(units, Kernel):
            units_s = kernel_time_s(units, self._resources)
        elif isinstance(units, Slower):
            units_s = units.time_s
        fixed = op.kind is Kind.ATTENTION and self._cache_on_units is False
        if isinstance(units, Kernel) and not fixed and (forced or units_s < host_s) and not self._full(op):
            return self._told(units, "pim", host_s, units_s, units)
        assert isinstance(host, Kernel)
        return self._told(host, "host", host_s, units_s, units)

    def _full(self, op: Operator) -> bool:
        """Whether parts beside the host have no room for an operator's weights; those that have some keep it."""
        if self._unit is not None or op.name in self._held:
            return False
        padded, _ = self._offload.padded_bytes(op)
        wanted = (float(op.bytes(Role.WEIGHT)) + padded) * self._repeats.get(op.name, 1)
        if sum(self._held.values()) + wanted > self._whole.capacity_bytes:
            return True
        self._held[op.name] = wanted
        return False

    def _told(self, kernel: Kernel, where: str, host_s: float, units_s: float, units: Kernel | Slower | str) -> Kernel:
        """The kernel with what was decided and what the other choice would have taken."""
        label = "units, at the least" if isinstance(units, Slower) else "units"
        options = [Alternative("host", host_s)] if not isinf(host_s) else []
        if not isinstance(units, str):
            options.append(Alternative(label, units_s))
        reason = units if isinstance(units, str) else ""
        return replace(
            kernel,
            placement=Placement(where, nan if isinf(host_s) else host_s, units_s, reason),
            alternatives=tuple(sorted(options, key=lambda option: option.time_s)),
        )

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """The host's roofline or the peak rate of the units, whichever is less; energy is that of the first step."""
        host = self.host.roofline(op)
        least = None if self.system.placement == "host" else self._offload.least_s(op, self._peak_flops_per_s)
        if least is None or isinstance(host, Infeasible):
            return host
        forced = self.system.placement == "pim"
        if not forced and float(np.ravel(host.time_s)[0]) <= float(np.ravel(least)[0]):
            return replace(host, time_s=minimum(host.time_s, least), terms={**host.terms, "units": 0.0 * least})
        time_s = least if forced else minimum(host.time_s, least)
        matrix = op.kind in MATRIX_KINDS
        flops = host.counts.matrix_flops if matrix else host.counts.vector_flops
        events: dict[str, Number] = {
            f"{part.resource}{FEMTO}": flops * (part.joules / self._probe.flops * 1e15)
            for part in self._probe.spent
            if part.component != "static"
        }
        events[BANKS] = op.bytes()
        zero = dict.fromkeys(host.terms, 0.0 * least)
        return Priced(time_s, {**zero, "units": time_s}, events, host.counts, "units/roofline")

    def event_cost(self, event: str) -> EventCost:
        """Counters of the host, and of the parts of the memory in femtojoules."""
        if event == BANKS:
            return EventCost("memory", UNITS, 0.0)
        if event.endswith(FEMTO):
            name = event.removesuffix(FEMTO)
            return EventCost(self._resources[name].component, name, 1e-15)
        return self.host.event_cost(event)

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """Peaks of the host, and of the units where they were used."""
        named = list(events)
        roofs = dict(self.host.roofs(event for event in named if event != BANKS and not event.endswith(FEMTO)))
        if BANKS in named:
            roofs["banks"] = self._probe.roofs["memory"]
        return roofs

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures; of the part as a whole, that of its physical scope."""
        named = list(constants)
        weakest = [self.host.status(name for name in named if not name.startswith(PART))]
        weakest += [self._probe.status] if any(name.startswith(PART) for name in named) else []
        return max(weakest, key=STATUSES.index)

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure of the host, or of the part."""
        if not path.startswith(PART):
            return self.host.constant(path)
        table = getattr(self.part, path.removeprefix(PART))
        rows = table if isinstance(table, tuple) else (table,)
        return [(path, row.source, row.status) for row in rows]


def _link_bytes_per_s(system: System, host: GpuChip) -> float:
    """One direction of the host's link that leads to the parts.

    Raises:
        RequestError: the host has no such link.
    """
    for link in host.link:
        if link.name == system.link:
            return link.bandwidth_bytes_per_s
    have = ", ".join(link.name for link in host.link) or "none"
    raise RequestError(f"link = {system.link!r} of {system.name}: {host.name} has {have}")


def _probe(memory: KernelDevice, system: System) -> KernelResult:
    """A product that gives every channel work: its account names all parts, and what they spend on an operation.

    Raises:
        RequestError: the parts do not even hold that.
    """
    sizes = {"m": 1, "n": _PROBE_OUTPUTS * system.count, "k": _PROBE_INPUTS}
    made = memory.operator(
        "matmul", sizes, scope=memory.scopes[-1], variant=memory.variants["matmul"][0], fidelity="event"
    )
    if isinstance(made, Infeasible):
        raise RequestError(f"{system.name}: {made.reason}")
    return made
