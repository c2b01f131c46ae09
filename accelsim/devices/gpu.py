"""A GPU (or a CPU) as a device: its description, the resources it offers, and how it maps operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from accelsim import cost
from accelsim.devices import provenance
from accelsim.devices.base import EventCost, Priced
from accelsim.devices.gpu_roofline import CONSTANTS, price
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.gpu.figures import GpuFigures
from accelsim.mapping.gpu.memory import FIGURE, port
from accelsim.mapping.gpu.offload import HostTier
from accelsim.mapping.gpu.plan import GpuMapper
from accelsim.mapping.gpu.resources import L2, MEMORY, REGISTER, SHARED, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.spec.base import STATUSES
from accelsim.spec.device import GpuChip, Peak
from accelsim.spec.infeasible import Infeasible

_SERVES: Mapping[str, tuple[str, str, str]] = {
    "vector": ("vector", VECTOR, "vector.energy"),
    "special": ("vector", SPECIAL, "vector.special_energy"),
    "register": ("register", REGISTER, "energy.register"),
    "shared": ("shared", SHARED, "energy.shared"),
    "l2": ("l2", L2, "energy.l2"),
    "memory": ("memory", MEMORY, "energy.memory"),
}
"""Counter -> component, resource, and the figure that prices it."""

_TERMS: Mapping[str, str] = {"compute": TENSOR, "vector": VECTOR, "cache": L2, "memory": MEMORY}


class Gpu:
    """One GPU or CPU.

    Args:
        chip: its description.
        bits: bits of one element by format name.
        columns: SI figures that replace the description's, numbers or one value per design point;
            used by the roofline only.
        streams: as in `accelsim.mapping.gpu.plan.GpuMapper`.
        host: as there; `accelsim.devices.gpu_offload` has the device that goes with it.
    """

    def __init__(
        self,
        chip: GpuChip,
        bits: Mapping[str, float],
        columns: Mapping[str, Number] | None = None,
        streams: str = "one",
        host: HostTier | None = None,
    ) -> None:
        self.chip = chip
        self.family: str = chip.family
        self.figures = GpuFigures(chip, columns or {})
        self._mapper = GpuMapper(chip, bits, streams, host)
        self._tensor = {
            f"tensor:{row.operands[0]}x{row.operands[1]}:{row.accumulator}": row
            for row in chip.peak
            if row.sparsity == "dense"
        }

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Units and ports; see `accelsim.mapping.gpu.resources`."""
        return self._mapper.resources

    @property
    def capacity_bytes(self) -> Number:
        """Device memory."""
        return self.figures["memory.capacity"]

    @property
    def idle_w(self) -> Number:
        """Power without work."""
        return self.figures["power.idle"]

    @property
    def limit_w(self) -> Number:
        """Board power limit."""
        return self.chip.power.limit_w

    @property
    def reference_clock_hz(self) -> Number:
        """The clock whose cycles results are told in."""
        return self.figures["clock.sm.frequency"]

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """The resource behind each term of the closed form."""
        return _TERMS

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return CONSTANTS

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a phase."""
        return self._mapper.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        return self._mapper.kernel(op)

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """Closed form of one operator."""
        return price(op, self.figures)

    def event_cost(self, event: str) -> EventCost:
        """Counters: "tensor:AxB:ACC" (FLOP), "vector" (FLOP), "special" (operation), bytes per level."""
        if event.startswith("tensor:"):
            return EventCost("tensor", TENSOR, _energy_j_per_flop(self._tensor[event]))
        component, resource, figure = _SERVES[event]
        return EventCost(component, resource, self.figures[figure])

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """Device memory in B/s; vector lanes and the operand pairs that were used in FLOP/s."""
        rates = {"memory": self.chip.memory.bandwidth_bytes_per_s, "vector": self.figures.vector_flops_per_s}
        for event in events:
            if event in self._tensor:
                row = self._tensor[event]
                rates[" x ".join(row.operands)] = self.chip.peak_flops_per_s(row)
        return {name: float(rate) for name, rate in rates.items()}

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        found = [STATUSES.index(status) for path in constants for _, _, status in self.constant(path)]
        return STATUSES[max(found, default=0)]

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        if path == FIGURE:
            memory = port(self.chip)
            return [(path, memory.source, memory.status)]
        return provenance.constant(self.chip, path)


@cache
def _energy_j_per_flop(row: Peak) -> float:
    """What the description says, or what the formats cost on the node that it names; a product and a sum are two."""
    if row.energy_j_per_flop is not None:
        return row.energy_j_per_flop
    first, second = row.operands
    return cost.of(first, row.node or "", other=second, accumulator=row.accumulator).mac_j / 2
