"""A part of a circuit, with how often it works and in which style it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.cost.gates import Gates

Style = Literal["plain", "add", "multiply"]


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a decoder, encoder or multiply-accumulate unit.

    Attributes:
        name: what it does.
        gates: the cells that it takes.
        per: elements that share one working of it; its area is divided among them as well, as in a unit that takes
            a whole block at once.
        activity: share of the elements for which it works.
        style: `plain` logic; or part of a floating-point `add` or `multiply` unit, whose published costs exceed
            those of its cells by a factor that is fitted for the node.
    """

    name: str
    gates: Gates
    per: float = 1
    activity: float = 1
    style: Style = "plain"
