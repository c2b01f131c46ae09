"""What a whole run will ask for, for machines whose programs are made before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.operator import Graph


@dataclass(frozen=True, slots=True)
class Horizon:
    """A run as a compiler sees it.

    Attributes:
        positions: longest sequence that any pass attends to.
        layers: of the model, those of all its stacks.
        first: its first pass, in which every weight occurs.
        cache_bytes: KV cache at its longest.
    """

    positions: int
    layers: int
    first: Graph | None = None
    cache_bytes: float = 0.0
