"""Reference arithmetics: float64, float32, exact sums, or one accumulator for everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Unit
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.sums import Sums
from accelsim.numerics.accumulator import HINT, accumulator, presets

REFERENCES: Final = ("fp64", "fp32", "exact")


@dataclass(frozen=True)
class Reference:
    """One arithmetic for all operators of both phases.

    Attributes:
        name: "fp64", "fp32", "exact", or the name of an accumulator; vectors are then fp32.
        keys_per_tile: of fused attention; None takes all keys at once.
    """

    name: str
    keys_per_tile: int | None = None

    def lanes(self, op: Operator, phase: str) -> Lanes:
        """Of the width of the name; fp32 for accumulators."""
        return Lanes("fp64" if self.name == "fp64" else "fp32", exact=self.name == "exact")

    def unit(self, op: Operator, phase: str) -> Unit:
        """The same for every product; operands are dequantised, without another rounding."""
        if self.name in REFERENCES:
            return Unit(self.name)
        found = accumulator(self.name)
        return Unit(found, source=found.source, status=found.status)

    def sums(self, op: Operator) -> Sums:
        """In one part; tiles as given."""
        return Sums(tile=self.keys_per_tile if op.kind is Kind.ATTENTION else None)

    def table(self, op: Operator) -> int:
        """None: functions by their formula."""
        return 0


def reference(name: str, keys_per_tile: int | None = None) -> Reference:
    """A reference arithmetic by name.

    Raises:
        UnknownNameError: neither a mode nor an accumulator.
    """
    if name not in REFERENCES:
        try:
            accumulator(name)
        except UnknownNameError:
            hint = f"fp64, fp32; {HINT}{', '.join(presets())}"
            raise UnknownNameError("numerics", name, [*REFERENCES, *presets()], hint=hint) from None
    return Reference(name, keys_per_tile)
