"""The figures of a GPU that closed forms use, as numbers or as columns of many design points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.graph.numbers import Number
from accelsim.mapping.gpu.pairs import Pair
from accelsim.spec.device import GpuChip

_READ: Final[Mapping[str, Callable[[GpuChip], Number]]] = {
    "sm.count": lambda chip: chip.sm.count,
    "clock.sm.frequency": lambda chip: chip.clock.sm.frequency_hz,
    "vector.rate": lambda chip: chip.vector.flops_per_clock,
    "vector.special": lambda chip: chip.vector.special_ops_per_clock,
    "l2.bandwidth": lambda chip: chip.l2.bytes_per_clock,
    "memory.bandwidth": lambda chip: chip.memory.bandwidth_bytes_per_s,
    "memory.capacity": lambda chip: chip.memory.capacity_bytes,
    "power.idle": lambda chip: chip.power.idle_w,
    "energy.register": lambda chip: chip.energy.register_j_per_byte,
    "energy.shared": lambda chip: chip.energy.shared_j_per_byte,
    "energy.l2": lambda chip: chip.energy.l2_j_per_byte,
    "energy.memory": lambda chip: chip.energy.memory_j_per_byte,
    "energy.link": lambda chip: chip.energy.link_j_per_byte,
    "vector.energy": lambda chip: chip.vector.energy_j_per_flop,
    "vector.special_energy": lambda chip: chip.vector.special_energy_j_per_op,
}

COLUMNS: Final = tuple(_READ)
"""Dotted chip figures that may differ from point to point in a vectorised evaluation."""


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """A chip whose figures may be columns.

    Attributes:
        chip: the description.
        columns: SI values that replace the description's, by dotted path.
    """

    chip: GpuChip
    columns: Mapping[str, Number]

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in _READ:
                raise UnknownNameError("chip column", name, _READ, hint=f"columns: {', '.join(_READ)}")

    def __getitem__(self, path: str) -> Number:
        found = self.columns.get(path)
        return _READ[path](self.chip) if found is None else found

    @property
    def cycles_per_s(self) -> Number:
        """Cycles of all SMs together."""
        return self["sm.count"] * self["clock.sm.frequency"]

    def tensor_flops_per_s(self, pair: Pair) -> Number:
        """Peak rate of the matrix units for a pair of operands."""
        return self.cycles_per_s * pair.peak.flops_per_clock

    @property
    def vector_flops_per_s(self) -> Number:
        """Peak rate of the vector lanes."""
        return self.cycles_per_s * self["vector.rate"]

    @property
    def special_ops_per_s(self) -> Number:
        """Peak rate of the special-function units."""
        return self.cycles_per_s * self["vector.special"]

    @property
    def l2_bytes_per_s(self) -> Number:
        """Bandwidth of the last-level cache."""
        return self["l2.bandwidth"] * self["clock.sm.frequency"]
