"""Reference arithmetics: float64, float32, exact sums, or one accumulator for everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Unit
from accelsim.graph.operator import Operator
from accelsim.numerics.accumulator import HINT, accumulator, presets
from accelsim.spec.format import Format
from accelsim.spec.format.names import from_name

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
        """The same for every product; operands are dequantised, without another rounding but for a quire's posits."""
        if self.name in REFERENCES:
            return Unit(self.name)
        found = accumulator(self.name)
        taken = posit_of(self.name)
        return Unit(found, taken, taken, source=found.source, status=found.status)

    def tile(self, op: Operator) -> int | None:
        """As given."""
        return self.keys_per_tile

    def table(self, op: Operator) -> int:
        """None: functions by their formula."""
        return 0


def posit_of(accumulator: str) -> Format | None:
    """The posit whose products a quire takes: a quire refuses other numbers; None for every other accumulator."""
    if not accumulator.startswith("quire"):
        return None
    bits, _, exponent = accumulator.removeprefix("quire").partition("-")
    return from_name("_".join(filter(None, (f"posit{bits}", exponent))))


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
