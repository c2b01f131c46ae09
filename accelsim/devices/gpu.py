"""A GPU (or a CPU) as a device: its description, the resources it offers, and how it maps operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from accelsim.devices import provenance
from accelsim.devices.base import EventCost, Priced
from accelsim.devices.gpu_roofline import CONSTANTS, of_all, price
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Graph, Operator
from accelsim.graph.parallel import copied_bytes, share
from accelsim.mapping.gpu.figures import GpuFigures
from accelsim.mapping.gpu.library import ATTENTION, CALIBRATED, COLLECTIVE, ROWS
from accelsim.mapping.gpu.memory import FIGURE, port
from accelsim.mapping.gpu.pairs import event_of
from accelsim.mapping.gpu.plan import GpuMapper
from accelsim.mapping.gpu.power import SERVES, flop_j, known, parted, supply
from accelsim.mapping.gpu.resources import L2, LINK, MEMORY, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.spec.base import STATUSES
from accelsim.spec.calibration import Calibration, Conditions
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible

_TERMS: Mapping[str, str] = {"compute": TENSOR, "vector": VECTOR, "cache": L2, "memory": MEMORY}


class Gpu:
    """One GPU or CPU.

    Args:
        chip: its description.
        bits: bits of one element by format name.
        columns: SI figures that replace the description's, numbers or one value per design point;
            used by the roofline only.
        streams: as in `accelsim.mapping.gpu.plan.GpuMapper`.
        conditions: library, residency and clock of the kernels.
        devices: equal GPUs that share every operator.
    """

    def __init__(
        self,
        chip: GpuChip,
        bits: Mapping[str, float],
        columns: Mapping[str, Number] | None = None,
        streams: str = "one",
        conditions: Conditions | None = None,
        devices: int = 1,
    ) -> None:
        self.chip, self.devices = chip, devices
        self.family: str = chip.family
        self.figures = GpuFigures(chip, columns or {})
        self._mapper = GpuMapper(chip, bits, streams, conditions, devices)
        self._tensor = {event_of(row): row for row in chip.peak}
        self._drawn = supply(chip).drawn

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Units and ports; see `accelsim.mapping.gpu.resources`."""
        return self._mapper.resources

    @property
    def capacity_bytes(self) -> Number:
        """Device memory of all GPUs."""
        return self.figures["memory.capacity"] * self.devices

    @property
    def idle_w(self) -> Number:
        """Power without work."""
        return self.figures["power.idle"] * self.devices

    @property
    def limit_w(self) -> Number:
        """Board power limit."""
        return self.chip.power.limit_w * self.devices

    @property
    def note(self) -> str:
        """How far its constants can be trusted, in words."""
        board, told = known(self.chip), self._mapper.library.note
        if self.devices > 1:
            told = f"{told}; {self._mapper.collectives.note}"
        if board is None or board.own:
            return told
        return f"{told}; energy: by the board power of {board.name}, since none was logged on this board"

    @property
    def reference_clock_hz(self) -> Number:
        """The clock whose cycles results are told in."""
        return self.figures["clock.sm.frequency"]

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """The resource behind each term of the closed form."""
        return _TERMS if self.devices == 1 else {**_TERMS, "link": LINK}

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
        """Closed form of one operator, shared by all GPUs."""
        if self.devices == 1:
            return price(op, self.figures)
        found = price(share(op, self.devices), self.figures)
        return found if isinstance(found, Infeasible) else of_all(found, op, self.devices)

    def padding_bytes(self, graph: Graph) -> tuple[float, float]:
        """Bytes of weights, and of keys and values, that GPUs hold beyond one copy of all."""
        return copied_bytes(graph, self.devices)

    def event_cost(self, event: str) -> EventCost:
        """Counters: "tensor:AxB:ACC" (FLOP), "vector" (FLOP), "special" (operation), bytes per level.

        Products with sparse weights have a counter of their own, such as "tensor:AxB:ACC:2:4". At a lower voltage, "@"
        and thousandths of the energy at the nominal one follow.
        """
        name, state = parted(event)
        if name in self._tensor:
            spent = flop_j(self._tensor[name]) * state
            return EventCost("tensor", TENSOR, spent, (self._drawn - 1) * spent)
        component, resource, figure = SERVES[name]
        joules = self.figures[figure] * state
        return EventCost(component, resource, joules, (self._drawn - 1) * joules)

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """Device memory in B/s; vector lanes and the operand pairs that were used in FLOP/s."""
        rates = {"memory": self.chip.memory.bandwidth_bytes_per_s, "vector": self.figures.vector_flops_per_s}
        for event in (parted(event)[0] for event in events):
            if event in self._tensor:
                row = self._tensor[event]
                rates[" x ".join(row.operands)] = self.chip.peak_flops_per_s(row)
        return {name: float(rate) * self.devices for name, rate in rates.items()}

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        found = [STATUSES.index(status) for path in constants for _, _, status in self.constant(path)]
        return STATUSES[max(found, default=0)]

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        if path == FIGURE:
            memory = port(self.chip)
            return [(path, memory.source, memory.status)]
        if path == COLLECTIVE:
            return [
                (f"{path}.{row.constants.operation}", row.provenance.source, "derived")
                for row in self._mapper.collectives.calibration.collective
            ]
        if path == ROWS:
            held = self._mapper.row_kernels
            return [] if held is None else [(path, held.source, held.status)]
        if path == CALIBRATED:
            record = self._mapper.library.calibration
            return [(path, record.source, record.status)]
        if path.startswith(ATTENTION):
            return [(path, *_told(self._mapper.library.attention, path))]
        return provenance.constant(self.chip, path)


def _told(record: Calibration, path: str) -> tuple[str, str]:
    """Source and status of the constants of attention."""
    known = record.attention
    assert known is not None
    fit = known.prefill_provenance if path.endswith("prefill") else known.decode_provenance
    return (record.source if fit is None else fit.source, record.status)
