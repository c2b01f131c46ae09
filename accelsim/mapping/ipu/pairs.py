"""Which rate of the matrix unit a pair of operand formats gets, and what must be widened first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from accelsim.graph.operator import Kind, Operator
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import AmpPeak, IpuPart

_STORED = ("fp16", "fp32")
"""Formats that results have without further work."""

_COPIES = frozenset({Kind.DISPATCH, Kind.SEND, Kind.ALL_REDUCE})
"""Operators that move elements as they are."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How two operands meet on the matrix unit.

    Attributes:
        row: the row of the description that prices it.
        operands: formats that reach the matrix unit, activation first.
        first_flops: vector work to widen one activation; 0 where it is native.
        second_flops: of one weight, key or value.
        label: what is converted, for `priced_by`.
    """

    row: AmpPeak
    operands: tuple[str, str]
    first_flops: float
    second_flops: float
    label: str

    @property
    def event(self) -> str:
        """Key of the energy counter."""
        return f"tensor:{'x'.join(self.row.operands)}:{self.row.accumulator}"

    @property
    def constants(self) -> tuple[str, ...]:
        """Tables of the chip behind the conversions."""
        return ("convert",) if self.label else ()


@lru_cache(maxsize=1024)
def resolve(part: IpuPart, activation: Format, weight: Format) -> Pair | Infeasible:
    """The native pair if there is one, else the one that takes the fewest and cheapest conversions."""
    found: list[tuple[tuple[int, float, float], Pair]] = []
    for first, first_flops in _reach(part, activation.name):
        for second, second_flops in _reach(part, weight.name):
            row = next((r for r in part.peak if sorted(r.operands) == sorted((first, second))), None)
            if row is None:
                continue
            names = ((activation.name, first), (weight.name, second))
            converted = [f"{source}->{target}" for source, target in names if source != target]
            label = f"+convert({','.join(converted)})" if converted else ""
            order = (len(converted), first_flops + second_flops, -row.flops_per_clock)
            found.append((order, Pair(row, (first, second), first_flops, second_flops, label)))
    if found:
        return min(found, key=lambda item: item[0])[1]
    rates = ", ".join(" x ".join(row.operands) for row in part.peak)
    return Infeasible(
        "unsupported",
        f"{part.name} has no rate for {activation.name} x {weight.name} and no conversion to a pair that has one: "
        f"{rates}",
        set_by=("weights", "activations", "kv_cache"),
        levers=(f"--weights {part.native.weights} --activations {part.native.activations}",),
    )


def rounding(part: IpuPart, op: Operator) -> tuple[float, str] | Infeasible:
    """Vector work to bring an operator's results into their format, and its label; none for fp16 and fp32."""
    flops, label = 0.0, ""
    read = {tensor.format.name for tensor in op.inputs}
    for tensor in op.outputs:
        name = tensor.format.name
        if name in _STORED or (name in read and op.kind in _COPIES):
            continue
        row = next((row for row in part.convert if name in row.sources), None)
        if row is None:
            known = sorted({*_STORED, *(source for row in part.convert for source in row.sources)})
            return Infeasible(
                "unsupported",
                f"{part.name} cannot round results to {name}: it stores {', '.join(known)}",
                set_by=("activations", "kv_cache"),
                levers=(f"--activations {part.native.activations} --kv-cache {part.native.kv_cache}",),
            )
        flops += row.flops_per_element * float(tensor.elements)
        label = f"+round({name})"
    return flops, label


def _reach(part: IpuPart, name: str) -> Iterator[tuple[str, float]]:
    """A format and those that it can be widened to, with the work of one element."""
    yield name, 0.0
    for row in part.convert:
        if name in row.sources:
            yield from ((target, row.flops_per_element) for target in row.targets)
