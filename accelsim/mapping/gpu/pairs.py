"""Which matrix rate a pair of operand formats gets, and what must be widened first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from accelsim.mapping.gpu.steps import figures, widening
from accelsim.spec.device import Conversion, GpuChip, Peak
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible


@dataclass(frozen=True, slots=True)
class Pair:
    """How two operands meet on the matrix unit.

    Attributes:
        peak: the row of the description that prices it.
        first: conversion of the activation operand, None where it is native.
        second: conversion of the weight (or KV) operand, None where it is native.
        operands: formats that reach the matrix unit, activation first.
    """

    peak: Peak
    first: Conversion | None
    second: Conversion | None
    operands: tuple[str, str]

    @property
    def event(self) -> str:
        """Key of the energy counter."""
        return f"tensor:{self.peak.operands[0]}x{self.peak.operands[1]}:{self.peak.accumulator}"

    @property
    def figures(self) -> tuple[str, ...]:
        """Tables of the chip behind the conversions."""
        rows = [row for row in (self.first, self.second) if row is not None]
        return tuple(dict.fromkeys(path for row in rows for path in figures(row)))

    def label(self, activation: str, weight: str) -> str:
        """What is converted, for `priced_by`: empty, or `+convert(mxfp4->bf16)`."""
        parts = []
        if self.first is not None:
            parts.append(f"{activation}->{self.operands[0]}")
        if self.second is not None:
            parts.append(f"{weight}->{self.operands[1]}")
        return f"+convert({','.join(parts)})" if parts else ""


@lru_cache(maxsize=4096)
def resolve(chip: GpuChip, activation: Format, weight: Format) -> Pair | Infeasible:
    """The native pair if there is one, else the cheapest that conversions reach.

    Cheapest: fewest converted operands, then fewest operations per element, then the highest rate.
    """
    found: list[tuple[tuple[int, float, float, int], Pair]] = []
    for index, row in enumerate(chip.peak):
        if row.sparsity != "dense":
            continue
        for operands in dict.fromkeys((row.operands, row.operands[::-1])):
            steps = [widening(chip, activation, operands[0]), widening(chip, weight, operands[1])]
            if None in steps:
                continue
            used = [step for step in steps if isinstance(step, Conversion)]
            cost = sum(step.flops_per_element for step in used)
            first, second = (step if isinstance(step, Conversion) else None for step in steps)
            found.append(((len(used), cost, -row.flops_per_clock, index), Pair(row, first, second, operands)))
    if found:
        return min(found, key=lambda item: item[0])[1]
    pairs = sorted({" x ".join(row.operands) for row in chip.peak})
    return Infeasible(
        kind="unsupported",
        reason=(
            f"{chip.name} has no matrix rate for {activation.name} x {weight.name} and no conversion that leads to one"
        ),
        set_by=("peak", "convert", "software"),
        levers=(
            f"a native pair: {', '.join(pairs)}",
            f"a [[convert]] row in the description for {activation.name} or {weight.name}",
        ),
    )
