"""What a whole run will ask for, for machines whose programs are made before it starts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Horizon:
    """A run as a compiler sees it.

    Attributes:
        positions: longest sequence that any pass attends to.
        layers: of the model, those of all its stacks.
    """

    positions: int
    layers: int
