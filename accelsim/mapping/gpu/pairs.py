"""Which matrix rate a pair of operand formats gets, and what must be widened first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from accelsim.mapping.gpu.steps import figures, widening
from accelsim.spec.device import Conversion, GpuChip, Peak
from accelsim.spec.format import Format, SparseFormat
from accelsim.spec.infeasible import Infeasible


@dataclass(frozen=True, slots=True)
class Pair:
    """How two operands meet on the matrix unit.

    Attributes:
        peak: the row of the description that prices it.
        first: conversion of the activation operand, None where it is native.
        second: conversion of the weight (or KV) operand, None where it is native.
        operands: formats that reach the matrix unit, activation first.
        rescale: vector operations per multiply-add for scales of long blocks, which are applied to partial sums.
    """

    peak: Peak
    first: Conversion | None
    second: Conversion | None
    operands: tuple[str, str]
    rescale: float = 0.0

    @property
    def event(self) -> str:
        """Key of the energy counter."""
        return event_of(self.peak)

    @property
    def figures(self) -> tuple[str, ...]:
        """Tables of the chip behind the conversions."""
        rows = [row for row in (self.first, self.second) if row is not None]
        return tuple(dict.fromkeys(path for row in rows for path in figures(row)))

    def label(self, activation: str, weight: str) -> str:
        """What is done beside the products, for `priced_by`: empty, or `+convert(mxfp4->bf16)`."""
        parts = []
        beside = "" if self.peak.sparsity == "dense" else f"+{self.peak.sparsity}"
        beside += "+rescale" if self.rescale else ""
        if self.first is not None:
            parts.append(f"{activation}->{self.operands[0]}")
        if self.second is not None:
            parts.append(f"{weight}->{self.operands[1]}")
        return beside + (f"+convert({','.join(parts)})" if parts else "")


def event_of(row: Peak) -> str:
    """Key of the energy counter of a matrix rate."""
    sparse = "" if row.sparsity == "dense" else f":{row.sparsity}"
    return f"tensor:{row.operands[0]}x{row.operands[1]}:{row.accumulator}{sparse}"


LONG_BLOCK: Final = 128
"""Elements along the depth that must share a scale, for it to be applied to partial sums of full matrix rate.

DeepSeek-V3 (arXiv 2412.19437, section 3.3.2) finds 128, four matrix instructions, the shortest at which adding up
outside the tensor cores costs little.
"""

_RESCALE_FLOPS: Final = 2


@lru_cache(maxsize=4096)
def resolve(chip: GpuChip, activation: Format, weight: Format) -> Pair | Infeasible:
    """The native pair if there is one, else the cheapest that conversions reach.

    Cheapest: fewest converted operands, then fewest operations per element, then the highest rate. Weights of N:M
    sparsity take the rates of that sparsity, and no other weights do. Operands in long blocks go the way of their
    elements, with their scales applied to partial sums, where that leads to a native pair.
    """
    kept = "dense"
    if isinstance(weight, SparseFormat):
        kept, weight = weight.sparsity, weight.dense
    blocks = [form.block for form in (activation, weight) if _long(form)]
    found: list[tuple[tuple[int, float, float, int], Pair]] = []
    for index, row in enumerate(chip.peak):
        if row.sparsity != kept:
            continue
        for operands in dict.fromkeys((row.operands, row.operands[::-1])):
            elements = [_element(activation), _element(weight)]
            native = [form.name == name for form, name in zip(elements, operands, strict=True)]
            rescale = _RESCALE_FLOPS / min(blocks) if blocks and all(native) else 0.0
            if not rescale:
                elements = [activation, weight]
            steps = [widening(chip, form, name) for form, name in zip(elements, operands, strict=True)]
            if None in steps:
                continue
            used = [step for step in steps if isinstance(step, Conversion)]
            cost = sum(step.flops_per_element for step in used)
            first, second = (step if isinstance(step, Conversion) else None for step in steps)
            found.append(((len(used), cost, -row.flops_per_clock, index), Pair(row, first, second, operands, rescale)))
    if found:
        return min(found, key=lambda item: item[0])[1]
    pairs = sorted({" x ".join(row.operands) for row in chip.peak if row.sparsity == kept})
    sparse = "" if kept == "dense" else f" with {kept} sparsity"
    return Infeasible(
        kind="unsupported",
        reason=(
            f"{chip.name} has no matrix rate for {activation.name} x {weight.name}{sparse} and no conversion that "
            "leads to one"
        ),
        set_by=("peak", "convert", "software"),
        levers=(
            f"a native pair: {', '.join(pairs)}" if pairs else "dense weights",
            f"a [[convert]] row in the description for {activation.name} or {weight.name}",
        ),
    )


def _long(form: Format) -> bool:
    """Whether a format's scales can be applied to partial sums: one for many elements, and no zero point."""
    return form.block >= LONG_BLOCK and form.structure.scales == 1 and form.structure.element is not None


def _element(form: Format) -> Format:
    """What of an operand reaches the matrix unit where scales are applied to sums."""
    element = form.structure.element
    return element if _long(form) and element is not None else form
