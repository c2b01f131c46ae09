"""Reference arithmetics: float64, float32, exact sums, or one accumulator for everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Target, Unit
from accelsim.graph.operator import Graph, Kind, Operator
from accelsim.mapping.sums import Sums
from accelsim.numerics.accumulator import HINT, accumulator, presets
from accelsim.spec.format import Format
from accelsim.spec.format.names import from_name
from accelsim.spec.infeasible import Infeasible

REFERENCES: Final = ("fp64", "fp32", "exact")
EXACT: Final = accumulator("exact")


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

    def sums(self, op: Operator, graph: Graph) -> Sums:
        """In one part; tiles as given."""
        return Sums(tile=self.keys_per_tile if op.kind is Kind.ATTENTION else None)

    def table(self, op: Operator) -> int:
        """None: functions by their formula."""
        return 0


@dataclass(frozen=True)
class ExactSums:
    """A target with its formats, conversions and element-wise arithmetic, but with exact sums, each rounded once.

    What is left between the two is the effect of accumulators and orders alone.

    Attributes:
        of: the target.
    """

    of: Target

    @property
    def name(self) -> str:
        """Of the target, and that sums are exact."""
        return f"{self.of.name}, exact sums"

    def lanes(self, op: Operator, phase: str) -> Lanes:
        """Its own; reductions of fp32 lanes are exact."""
        found = self.of.lanes(op, phase)
        return replace(found, exact=True) if found.width == "fp32" else found

    def unit(self, op: Operator, phase: str) -> Unit | Infeasible:
        """Its own operands, added exactly and rounded once to fp32."""
        found = self.of.unit(op, phase)
        if isinstance(found, Infeasible):
            return found
        return replace(found, accumulator=EXACT, source="by definition", status="derived")

    def sums(self, op: Operator, graph: Graph) -> Sums:
        """In one part; P is rounded where the target rounds it."""
        return Sums(lanes=self.of.sums(op, graph).lanes)

    def table(self, op: Operator) -> int:
        """Its own."""
        return self.of.table(op)


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
