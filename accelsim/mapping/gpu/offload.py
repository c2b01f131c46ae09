"""Tensors that a GPU keeps in the memory of its host and fetches over its host link for each use.

A fetch is a copy into device memory that runs while the operator computes, step by step, and what is written goes back
the same way; so the link carries the bytes once, and device memory carries them once more than without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import Graph, Operator, Role
from accelsim.mapping.gpu.events import whole
from accelsim.mapping.gpu.resources import HOST_LINK, MEMORY
from accelsim.mapping.kernel import Demand, Kernel, Resource

ROLES: Final[Mapping[str, Role]] = {"weights": Role.WEIGHT, "kv_cache": Role.KV_CACHE}
"""What can be kept with the host."""

BUFFERS: Final = 2
"""Operators whose tensors are in device memory at a time: the one that runs and the one that is fetched for next."""


@dataclass(frozen=True, slots=True)
class HostTier:
    """The memory of a host as a GPU reaches it.

    Attributes:
        host: name of the host's description.
        keeps: names of `ROLES`.
        link_bytes_per_s: the slower of the link and the host's memory, one direction.
        capacity_bytes: of the host's memory.
    """

    host: str
    keeps: tuple[str, ...]
    link_bytes_per_s: float
    capacity_bytes: float

    @property
    def resource(self) -> Resource:
        """The link; both directions share it."""
        return Resource(HOST_LINK, "B", self.link_bytes_per_s, 1, "link", "link")

    def moved(self, op: Operator) -> Number:
        """Bytes that one run of an operator moves over the link."""
        read, written = self._moved(op)
        return read + written

    def _moved(self, op: Operator) -> tuple[Number, Number]:
        roles = {ROLES[name] for name in self.keeps}
        read: Number = 0
        written: Number = 0
        for tensor in op.inputs:
            if tensor.role in roles:
                read = read + tensor.bytes
        for tensor in op.outputs:
            if tensor.role in roles:
                written = written + tensor.bytes
        return read, written

    def resident(self, graph: Graph, weights: Number, cache: Number) -> tuple[Number, Number]:
        """Bytes of weights and of KV cache that stay in device memory: buffers for what is fetched, all of the rest."""
        kept = {"weights": weights, "kv_cache": cache}
        for name in self.keeps:
            largest: Number = 0
            for _, op in graph:
                largest = maximum(largest, op.bytes(ROLES[name]))
            kept[name] = BUFFERS * largest
        return kept["weights"], kept["kv_cache"]

    def kept_bytes(self, weights: Number, cache: Number) -> Number:
        """Bytes in the host's memory."""
        sizes = {"weights": weights, "kv_cache": cache}
        total: Number = 0
        for name in self.keeps:
            total = total + sizes[name]
        return total

    def fetched(self, kernel: Kernel, op: Operator) -> Kernel:
        """The kernel with the copies of its offloaded tensors, which keep pace with the phase that loads most."""
        read, written = (whole(value) for value in self._moved(op))
        if not read + written:
            return kernel
        most = max(range(len(kernel.phases)), key=lambda index: _memory(kernel.phases[index].load))
        phase = kernel.phases[most]
        phase = replace(phase, load=_with(phase.load, read), store=_with(phase.store, written))
        events = dict(kernel.events)
        events["memory"] = events.get("memory", 0) + read + written
        events["link"] = read + written
        return replace(
            kernel,
            phases=(*kernel.phases[:most], phase, *kernel.phases[most + 1 :]),
            events=events,
            priced_by=f"{kernel.priced_by}/fetched",
            constants=(*kernel.constants, "link"),
        )


def _memory(demands: tuple[Demand, ...]) -> int:
    return sum(demand.amount for demand in demands if demand.resource == MEMORY)


def _with(demands: tuple[Demand, ...], moved: int) -> tuple[Demand, ...]:
    """Demands of one part of a phase, with a copy of so many bytes."""
    if not moved:
        return demands
    grown = tuple(
        replace(demand, amount=demand.amount + moved) if demand.resource == MEMORY else demand for demand in demands
    )
    if not any(demand.resource == MEMORY for demand in demands):
        grown = (*grown, Demand(MEMORY, moved))
    return (*grown, Demand(HOST_LINK, moved))
