"""A system of IPUs as a device: its resources, how it maps operators, and its closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from accelsim import catalog
from accelsim.devices import provenance
from accelsim.devices.base import EventCost, Priced
from accelsim.errors import RequestError
from accelsim.graph.counts import count
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator, Role
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.ipu.pairs import resolve
from accelsim.mapping.ipu.place import sizes, smallest
from accelsim.mapping.ipu.plan import IpuMapper
from accelsim.mapping.ipu.resources import AMP, EXCHANGE, LINK, SRAM, STREAMING, VECTOR
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem

CONSTANTS: Final = ("tile.count", "clock.tile.frequency", "peak", "vector", "tile.load")


class Ipu:
    """IPUs that run one program together.

    Args:
        system: the chips and how a model lies on them.
        part: one chip.
        bits: bits of one element by format name.
        horizon: what programs are compiled for.

    Raises:
        RequestError: a topology that takes more links than a chip has.
    """

    family = "ipu"

    def __init__(
        self, system: IpuSystem, part: IpuPart, bits: Mapping[str, float], horizon: Horizon | None = None
    ) -> None:
        wanted = system.degree() * system.neighbour_lanes
        if wanted > part.link.lanes:
            raise RequestError(
                f"{system.name}: topology {system.topology} of {system.count} chips gives one of them "
                f"{system.degree()} neighbours of {system.neighbour_lanes} links each, {wanted} in all, and "
                f"{part.name} has link.lanes = {part.link.lanes}: try fewer neighbour_lanes, or topology = ring"
            )
        self.system, self.part = system, part
        self._mapper = IpuMapper(system, part, bits, horizon)
        self._peaks = {f"tensor:{'x'.join(row.operands)}:{row.accumulator}": row for row in part.peak}

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Units and ports; see `accelsim.mapping.ipu.resources`."""
        return self._mapper.resources

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """Resource that stands for each bound of the closed form."""
        return {"compute": AMP, "vector": VECTOR, "sram": SRAM}

    @property
    def capacity_bytes(self) -> Number:
        """Memory for tensors in the tiles, and beside the chips."""
        beside = self.part.streaming.capacity_bytes if self.part.streaming else 0.0
        return self.system.count * (self.part.usable_bytes + beside)

    @property
    def idle_w(self) -> Number:
        """Power without work."""
        return self.system.count * self.part.power.idle_w

    @property
    def limit_w(self) -> Number:
        """Power limit of all chips."""
        return self.system.count * self.part.power.limit_w

    @property
    def reference_clock_hz(self) -> Number:
        """The clock of the tiles."""
        return self.part.clock.tile.frequency_hz

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses."""
        return CONSTANTS

    def misfit(self, graph: Graph) -> Infeasible | None:
        """Why a model does not lie on these chips, or None."""
        return self._mapper.misfit(graph)

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a phase."""
        return self._mapper.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        return self._mapper.kernel(op)

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """Closed form of one operator: arithmetic and weights at the peak rates of the chips that share it."""
        counts, part = count(op), self.part
        crew = self._mapper.where(op).crew
        chips = self.system.count if op.kind is Kind.ALL_REDUCE else crew.together
        tiles = chips * part.tile.count * part.clock.tile.frequency_hz
        vector_s = counts.vector_flops / (tiles * part.vector.flops_per_clock)
        special_s = counts.special_ops / (tiles * part.vector.special_ops_per_clock)
        terms: dict[str, Number] = {"vector": maximum(vector_s, special_s)}
        events: dict[str, Number] = {
            "vector": counts.vector_flops, "special": counts.special_ops, "sram": op.bytes(),
        }  # fmt: skip
        label = "roofline"
        if op.kind in MATRIX_KINDS:
            pair = resolve(part, *op.operand_formats())
            if isinstance(pair, Infeasible):
                return pair
            terms["compute"] = counts.matrix_flops / (tiles * pair.row.flops_per_clock)
            held = op.bytes(Role.WEIGHT) if op.kind in (Kind.MATMUL, Kind.EXPERTS) else op.bytes(Role.KV_CACHE)
            terms["sram"] = held / (tiles * part.tile.load_bytes_per_clock)
            events[pair.event] = counts.matrix_flops
            label += pair.label
        time: Number = 0.0
        for term in terms.values():
            time = maximum(time, term)
        return Priced(time, terms, events, counts, label)

    def event_cost(self, event: str) -> EventCost:
        """Counters: "tensor:AxB:ACC" (FLOP), "vector" (FLOP), "special" (operation), bytes of memories and ways."""
        energy, vector = self.part.energy, self.part.vector
        if event.startswith("tensor:"):
            return EventCost("tensor", AMP, self._peaks[event].energy_j_per_flop)
        return {
            "vector": EventCost("vector", VECTOR, vector.energy_j_per_flop),
            "special": EventCost("vector", VECTOR, vector.special_energy_j_per_op),
            "sram": EventCost("shared", SRAM, energy.sram_j_per_byte),
            "exchange": EventCost("link", EXCHANGE, energy.exchange_j_per_byte),
            "link": EventCost("link", LINK, energy.link_j_per_byte),
            "memory": EventCost("memory", STREAMING, energy.streaming_j_per_byte),
        }[event]

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """The chips of one group: tile memory in B/s, or what streams; vector lanes and the operand pairs in FLOP/s."""
        used, beside = set(events), self.part.streaming
        tiles = self.system.tensor_parallel * self.part.tile.count * self.part.clock.tile.frequency_hz
        rates = {
            "memory": self.system.tensor_parallel * self.part.sram_bytes_per_s,
            "vector": tiles * self.part.vector.flops_per_clock,
        }
        if beside is not None and "memory" in used:
            rates["memory"] = self.system.tensor_parallel * beside.bytes_per_s
        pairs = {
            " x ".join(row.operands): tiles * row.flops_per_clock for event, row in self._peaks.items() if event in used
        }
        return {**rates, **pairs}

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        return provenance.status(self.part, constants)

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        return provenance.constant(self.part, path)


def resized(system: IpuSystem, chips: int | str, graph: Graph, horizon: Horizon | None) -> IpuSystem | Infeasible:
    """A system of the same chips, but another number of them.

    Args:
        system: the system.
        chips: how many, or "auto" for as few as hold the model in their tiles.
        graph: the model's first phase, in which every weight occurs.
        horizon: of the run.
    """
    if chips != "auto":
        return system.with_(count=chips)
    part = catalog.part(system)
    if not isinstance(part, IpuPart):
        return system  # what makes the device says what is wrong with it
    return smallest(sizes(graph, horizon.positions if horizon else None), system, part)
