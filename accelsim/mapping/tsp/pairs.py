"""Which rate of the planes a pair of operand formats gets, and what the vector slice must convert first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.tsp import TspConversion, TspPart, TspPeak


@dataclass(frozen=True, slots=True)
class Pair:
    """How two operands meet on the planes.

    Attributes:
        row: the rate.
        first: conversion of the activations, None where they are native; a pass of its own.
        second: conversion of the stored operand on its way to the planes, None where it is native.
        label: what is converted, for `priced_by`: empty, or `+convert(int8->fp16)`.
    """

    row: TspPeak
    first: TspConversion | None
    second: TspConversion | None
    label: str

    @property
    def event(self) -> str:
        """Key of the energy counter."""
        return event(self.row)


def event(row: TspPeak) -> str:
    """Key of the energy counter of a rate."""
    return f"tensor:{row.operands[0]}x{row.operands[1]}:{row.accumulator}"


@lru_cache(maxsize=1024)
def resolve(part: TspPart, activation: Format, stored: Format) -> Pair | Infeasible:
    """The native pair if there is one, else what the fewest conversions reach."""
    found: list[tuple[tuple[int, int, int], Pair]] = []
    for index, row in enumerate(part.peak):
        for target, other in dict.fromkeys((row.operands, row.operands[::-1])):
            first, second = conversion(part, activation.name, target), conversion(part, stored.name, other)
            if first is None or second is None:
                continue
            used = [(rule, name) for rule, name in ((first, activation), (second, stored)) if rule != ()]
            cost = sum(rule.operations for rule, _ in used if isinstance(rule, TspConversion))
            steps = [f"{name.name}->{to}" for (rule, name), to in zip(
                ((first, activation), (second, stored)), (target, other), strict=True) if rule != ()]  # fmt: skip
            pair = Pair(
                row,
                first if isinstance(first, TspConversion) else None,
                second if isinstance(second, TspConversion) else None,
                f"+convert({','.join(steps)})" if steps else "",
            )
            found.append(((len(used), cost, index), pair))
    if found:
        return min(found, key=lambda item: item[0])[1]
    native = ", ".join(" x ".join(row.operands) for row in part.peak)
    return Infeasible(
        kind="unsupported",
        reason=f"{part.name} multiplies no {activation.name} x {stored.name} and converts them to nothing that it does",
        set_by=("peak", "convert"),
        levers=(f"a native pair: {native}", f"a [[convert]] row for {activation.name} or {stored.name}"),
    )


def conversion(part: TspPart, source: str, target: str) -> TspConversion | tuple[()] | None:
    """How a format becomes another one: () if it is that one already, None if there is no way."""
    if source == target:
        return ()
    return next((rule for rule in part.convert if source in rule.sources and target in rule.targets), None)
