"""What a node's cells cost, fitted to the node's published integer operations and fp16 units."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from accelsim.cost import gates
from accelsim.cost.arithmetic import float_adder, float_multiplier
from accelsim.cost.gates import Gates
from accelsim.cost.terms import Style, Term
from accelsim.spec.format import FloatFormat, IntegerFormat
from accelsim.spec.format.names import from_name
from accelsim.spec.node import Node, Operation


@dataclass(frozen=True, slots=True)
class Fit:
    """The constants of a node.

    Attributes:
        node: whose they are.
        joules_per_m2: energy of one working of a circuit, by the area of its cells: the geometric mean over the
            node's integer operations.
        energy_factor: published energy of the fp16 adder and multiplier by that of their cells.
        area_factor: published area of them by that of their cells; empty where the node has none.
    """

    node: Node
    joules_per_m2: float
    energy_factor: dict[Style, float]
    area_factor: dict[Style, float]

    def energy_j(self, terms: Iterable[Term]) -> float:
        """Energy per element."""
        return sum(
            term.gates.area_m2(self.node.cells)
            * self.joules_per_m2
            * self.energy_factor[term.style]
            * term.activity
            / term.per
            for term in terms
        )

    def area_m2(self, terms: Iterable[Term]) -> float | None:
        """Area per element; none if a part's style has no published area at the node."""
        parts = list(terms)
        if any(term.style not in self.area_factor for term in parts):
            return None
        return sum(term.gates.area_m2(self.node.cells) * self.area_factor[term.style] / term.per for term in parts)


def circuit(row: Operation) -> Gates:
    """The cells of the unit that a published figure is about."""
    record = from_name(row.format)
    if isinstance(record, IntegerFormat):
        return gates.adder(record.bits) if row.name == "add" else gates.multiplier(record.bits, record.bits)
    if not isinstance(record, FloatFormat):
        raise ValueError(f"{row.format}: operations of a node are those of integers and floats")
    make = float_adder if row.name == "add" else float_multiplier
    return make(record.mantissa_bits + 1, record.exponent_bits)


@cache
def fit(node: Node) -> Fit:
    """The constants of a node."""
    integers = [row for row in node.operation if isinstance(from_name(row.format), IntegerFormat)]
    logs = [math.log(row.energy_j / circuit(row).area_m2(node.cells)) for row in integers]
    joules_per_m2 = math.exp(math.fsum(logs) / len(logs))
    energy: dict[Style, float] = {"plain": 1.0}
    area: dict[Style, float] = {"plain": 1.0}
    styles: tuple[Style, ...] = ("add", "multiply")
    for style in styles:
        row = node.find("add" if style == "add" else "multiply", "fp16")
        if row is None:
            raise ValueError(f"{node.name} has no {style} of fp16")  # a Node is refused without
        cells_m2 = circuit(row).area_m2(node.cells)
        energy[style] = row.energy_j / (cells_m2 * joules_per_m2)
        if row.area_m2:
            area[style] = row.area_m2 / cells_m2
    return Fit(node, joules_per_m2, energy, area)
