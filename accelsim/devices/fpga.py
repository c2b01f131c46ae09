"""Boards with an FPGA overlay as a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from accelsim import catalog
from accelsim.devices import provenance
from accelsim.devices.base import EventCost, Priced
from accelsim.devices.fpga_roofline import CONSTANTS, price
from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.fpga.capacity import fewest, misfit, needed_bytes, unfit
from accelsim.mapping.fpga.context import Context
from accelsim.mapping.fpga.layout import DDR, HBM, MATRIX, RING, VECTOR, Layout
from accelsim.mapping.fpga.operands import event
from accelsim.mapping.fpga.plan import FpgaMapper
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.infeasible import Infeasible

_SERVES: Mapping[str, tuple[str, str, str]] = {
    "vector": ("vector", VECTOR, "energy_j_per_flop"),
    "special": ("vector", VECTOR, "special_energy_j_per_op"),
    "buffer": ("shared", MATRIX, "buffer_j_per_byte"),
    "memory": ("memory", HBM, "hbm_j_per_byte"),
    "ddr": ("memory", DDR, "ddr_j_per_byte"),
    "link": ("link", RING, "link_j_per_byte"),
}
"""Counter -> component, resource, and the figure that prices it."""


class Fpga:
    """Equal boards that share each layer, or one.

    Args:
        part: the description of a board.
        system: how many, and how they are linked; a lone board if None.
        horizon: what the whole run will ask for; None for single operators.
    """

    family = "fpga"

    def __init__(self, part: FpgaPart, system: FpgaSystem | None = None, horizon: Horizon | None = None) -> None:
        self.chip = part
        self.layout = Layout.of(part, system)
        self._mapper = FpgaMapper(self.layout)
        self._cache_bytes = horizon.cache_bytes if horizon else 0.0

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Units and ports; see `accelsim.mapping.fpga.layout`."""
        return self.layout.resources

    @property
    def capacity_bytes(self) -> float:
        """HBM of all boards: weights, keys and values are read from there."""
        return self.layout.boards * self.chip.hbm.capacity_bytes

    @property
    def idle_w(self) -> float:
        """Power of all boards without work."""
        return self.layout.boards * self.chip.power.idle_w

    @property
    def limit_w(self) -> float:
        """Power limit of all boards."""
        return self.layout.boards * self.chip.power.limit_w

    @property
    def reference_clock_hz(self) -> float:
        """The kernel clock."""
        return self.layout.clock_hz

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return CONSTANTS

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """Resource that stands for each bound of the closed form."""
        bounds = {"compute": MATRIX, "vector": VECTOR, "memory": HBM, "link": RING}
        return {bound: self.layout.name(resource) for bound, resource in bounds.items()}

    def misfit(self, graph: Graph) -> Infeasible | None:
        """Why a model does not lie in the HBM of these boards, or None."""
        return misfit(self.layout, graph, self._cache_bytes)

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a pass."""
        return self._mapper.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator that stands alone."""
        return self._mapper.kernel(op)

    def kernel_in(self, graph: Graph, op: Operator) -> Kernel | Infeasible:
        """The kernel that a pass has for one of its operators."""
        return self._mapper.kernel(op, Context.of(graph))

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """Closed form of one operator."""
        return self._mapper.refusal or self._mapper.unsupported(op) or price(op, self.layout)

    def event_cost(self, event_: str) -> EventCost:
        """Counters: "tensor:AxB:ACC" (FLOP), "vector" (FLOP), "special" (operation), bytes of memories and links."""
        if event_.startswith("tensor:"):
            return EventCost("tensor", self.layout.name(MATRIX), self.chip.matrix.energy_j_per_flop)
        component, resource, figure = _SERVES[event_]
        table = self.chip.vector if component == "vector" else self.chip.energy
        return EventCost(component, self.layout.name(resource), float(getattr(table, figure)))

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """Printed bandwidth of the HBM in B/s; lanes and multipliers in FLOP/s."""
        found = {
            "memory": self.layout.boards * self.chip.hbm.bandwidth_bytes_per_s,
            "vector": float(self.layout.boards * self.chip.vector.width * self.layout.clock_hz),
        }
        if event(self.chip) in set(events):
            found[" x ".join(self.chip.matrix.operands)] = self.layout.peak_flops_per_s
        return found

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        return provenance.status(self.chip, constants)

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        return provenance.constant(self.chip, path)


def resized(
    chip: FpgaPart | FpgaSystem, chips: int | str, work: Graph, cache_bytes: float
) -> FpgaPart | FpgaSystem | Infeasible:
    """A system of the same boards, but another number of them.

    Args:
        chip: the system, or a lone board.
        chips: how many, or "auto" for as few as hold the model and divide its heads.
        work: the model's first pass.
        cache_bytes: KV cache at its longest.
    """
    if isinstance(chip, FpgaPart):
        if chips == "auto":
            return chip
        return Infeasible(
            "unsupported",
            f"{chips} chips: {chip.name} is a lone board, of which no links are described",
            set_by=("chips",),
            levers=(f"a description of family fpga-system with part = {chip.name!r}", "chips = 1"),
        )
    if chips != "auto":
        return chip.with_(count=chips)
    part = catalog.part(chip)
    assert isinstance(part, FpgaPart)
    needed = needed_bytes(work, cache_bytes)
    count = fewest(part, work, needed)
    return unfit(part, work, needed) if count is None else chip.with_(count=count)
