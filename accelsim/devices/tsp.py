"""A system of tensor streaming processors as a device: its resources, how it maps operators, and its closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from accelsim import catalog
from accelsim.devices import provenance
from accelsim.devices.base import EventCost, Priced
from accelsim.errors import RequestError
from accelsim.graph.counts import count
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import MATRIX_KINDS, Graph, Operator, Role
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.mapping.tsp.layout import Layout, smallest
from accelsim.mapping.tsp.layout import layout as place_all
from accelsim.mapping.tsp.pairs import event, resolve
from accelsim.mapping.tsp.plan import TspMapper
from accelsim.mapping.tsp.resources import CONVERT, GLOBAL, LOCAL, MXM, SRAM, STREAM, VXM
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.tsp import TspPart, TspSystem

CONSTANTS: Final = ("clock.core.frequency", "lanes", "mem", "mxm.planes", "peak", "vxm.alus")


class Tsp:
    """Chips that run one static schedule together.

    Args:
        system: the chips and how they are joined.
        part: one chip.
        horizon: what the whole run holds in memory; None for single operators.

    Raises:
        RequestError: the chip has fewer links than the system uses.
    """

    family = "tsp"

    def __init__(self, system: TspSystem, part: TspPart, horizon: Horizon | None = None) -> None:
        used = system.fabric.local_links + system.fabric.global_links
        if used > part.c2c.links and system.count > 1:
            raise RequestError(
                f"{system.name}: {system.fabric.local_links} local and {system.fabric.global_links} global links per "
                f"chip, and {part.name} has {part.c2c.links}: lower one of them, or raise c2c.links"
            )
        self.system, self.part = system, part
        self._mapper = TspMapper(system, part, horizon)
        self._peaks = {event(row): row for row in part.peak}

    def misfit(self, first: Graph) -> Infeasible | None:
        """Why the layers of a run, or the operands of an operator, do not fit the nodes."""
        found = self._mapper.layout()
        if found is None:
            cache = sum(float(t.bytes) for _, op in first for t in op.inputs if t.role is Role.KV_CACHE)
            found = place_all(self.system, self.part, Horizon(1, 1, first, cache))
        return found if isinstance(found, Infeasible) else None

    @property
    def layout(self) -> Layout | Infeasible | None:
        """Which node holds which layers, or why they do not fit; None without a whole run."""
        return self._mapper.layout()

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Slices, streams and links; see `accelsim.mapping.tsp.resources`."""
        return self._mapper.resources

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """Resource that stands for each bound of the closed form."""
        return {"compute": MXM, "vector": VXM, "sram": SRAM}

    @property
    def capacity_bytes(self) -> Number:
        """Memory slices of all chips."""
        return self.system.count * self.part.capacity_bytes

    @property
    def idle_w(self) -> Number:
        """Power without work, of all chips."""
        return self.system.count * self.part.power.idle_w

    @property
    def limit_w(self) -> Number:
        """Power limit of all cards."""
        return self.system.count * self.part.power.limit_w

    @property
    def reference_clock_hz(self) -> Number:
        """The one clock."""
        return self.part.clock.core.frequency_hz

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return CONSTANTS

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a phase, over all nodes that hold something."""
        return self._mapper.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator on one node."""
        return self._mapper.kernel(op)

    def kernel_in(self, graph: Graph, op: Operator) -> Kernel | Infeasible:
        """The kernel that a pass has for one of its operators: how it is shared depends on those before it."""
        return self._mapper.kernel_in(graph, op)

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """Closed form of one operator: everything once, at the peak rates of all chips together."""
        counts, part, chips = count(op), self.part, self.system.count
        clock = part.clock.core.frequency_hz
        operations = counts.vector_flops + counts.special_ops
        alus = chips * clock * part.vxm.alus * part.lanes.vector
        moved = op.bytes()
        terms: dict[str, Number] = {
            "vector": operations / alus,
            "sram": moved / (chips * clock * part.sram_bytes_per_clock),
        }
        events: dict[str, Number] = {"vector": operations, "memory": moved}
        label = "roofline"
        if op.kind in MATRIX_KINDS:
            pair = resolve(part, *op.operand_formats())
            if isinstance(pair, Infeasible):
                return pair
            terms["compute"] = counts.matrix_flops / (chips * part.peak_flops_per_s(pair.row))
            events[pair.event] = counts.matrix_flops
            label += pair.label
        time: Number = 0.0
        for term in terms.values():
            time = maximum(time, term)
        return Priced(time, terms, events, counts, label)

    def event_cost(self, event: str) -> EventCost:
        """Counters: "tensor:AxB:ACC" (FLOP), "vector", "convert" (operations), bytes of SRAM, links, stream hops."""
        energy, vector = self.part.energy, self.part.vxm.energy_j_per_op
        if event.startswith("tensor:"):
            return EventCost("tensor", MXM, self._peaks[event].energy_j_per_flop)
        return {
            "vector": EventCost("vector", VXM, vector),
            "convert": EventCost("vector", CONVERT, vector),
            "memory": EventCost("memory", SRAM, energy.sram_j_per_byte),
            "stream": EventCost("register", STREAM, energy.stream_j_per_byte),
            "link": EventCost("link", LOCAL, energy.link_j_per_byte),
            "global": EventCost("link", GLOBAL, energy.link_j_per_byte),
        }[event]

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """All chips: memory slices in B/s; ALUs and the operand pairs that were used in FLOP/s."""
        part, chips = self.part, self.system.count
        clock = part.clock.core.frequency_hz
        rates = {
            "memory": chips * clock * part.sram_bytes_per_clock,
            "vector": chips * clock * part.vxm.alus * part.lanes.vector,
        }
        for name in events:
            if name in self._peaks:
                row = self._peaks[name]
                rates[" x ".join(row.operands)] = chips * part.peak_flops_per_s(row)
        return rates

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        return provenance.status(self.part, constants)

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        return provenance.constant(self.part, path)


def sized(system: TspSystem, chips: int | str, horizon: Horizon | None) -> TspSystem:
    """The system with another number of chips; "auto" is the smallest that holds the run (one node for an operator).

    Raises:
        DescriptionError: chips that make no whole nodes, or more than the links join.
    """
    if chips != "auto":
        return system.with_({"count": chips})
    part = catalog.part(system)
    if horizon is None or not isinstance(part, TspPart):
        return system.with_({"count": min(system.count, system.fabric.node)})
    return smallest(system, part, horizon)
