"""A GPU some of whose tensors are in the memory of its host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.devices.base import EventCost, Priced
from accelsim.devices.gpu import Gpu
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.gpu.offload import HostTier
from accelsim.mapping.gpu.resources import HOST_LINK
from accelsim.spec.calibration import Conditions
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible
from accelsim.units import show


class OffloadingGpu(Gpu):
    """One GPU with a host.

    Args:
        chip: the description of the GPU.
        host: what its host keeps, and how fast it is reached.
        bits: bits of one element by format name.
        columns: as in `Gpu`.
        streams: as in `Gpu`.
        conditions: as in `Gpu`.
    """

    def __init__(
        self,
        chip: GpuChip,
        host: HostTier,
        bits: Mapping[str, float],
        columns: Mapping[str, Number] | None = None,
        streams: str = "one",
        conditions: Conditions | None = None,
    ) -> None:
        super().__init__(chip, bits, columns, streams, conditions, host=host)
        self.host = host

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """The resource behind each term of the closed form."""
        return {**super().roofline_resources, "link": HOST_LINK}

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return (*super().roofline_constants, "link")

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """Closed form of one operator: the copies keep pace with it, over the link and into device memory."""
        priced = super().roofline(op)
        if isinstance(priced, Infeasible):
            return priced
        moved = self.host.moved(op)
        memory = priced.terms["memory"] + moved / self.figures["memory.bandwidth"]
        link = moved / self.host.link_bytes_per_s
        return replace(
            priced,
            time_s=maximum(priced.time_s, maximum(memory, link)),
            terms={**priced.terms, "memory": memory, "link": link},
            events={**priced.events, "memory": priced.events["memory"] + moved, "link": moved},
        )

    def event_cost(self, event: str) -> EventCost:
        """As of `Gpu`, and "link" in bytes."""
        if event == "link":
            return super().event_cost(event)._replace(resource=HOST_LINK)
        return super().event_cost(event)

    def resident_bytes(self, graph: Graph, weights: Number, cache: Number) -> tuple[Number, Number]:
        """Weights and KV cache in device memory."""
        return self.host.resident(graph, weights, cache)

    def host_misfit(self, weights: float, cache: float) -> Infeasible | None:
        """Why the host cannot keep what it is to keep, or None."""
        kept = float(self.host.kept_bytes(weights, cache))
        if kept <= self.host.capacity_bytes:
            return None
        what = " and ".join(self.host.keeps)
        return Infeasible(
            "capacity",
            f"{show(kept, 'B')} of {what} do not fit the {show(self.host.capacity_bytes, 'B')} of {self.host.host}",
            demand=kept,
            bound=self.host.capacity_bytes,
            unit="B",
            set_by=("model", "offload", "host"),
            levers=("a host with more memory", "a narrower format", "a smaller batch or context"),
        )
