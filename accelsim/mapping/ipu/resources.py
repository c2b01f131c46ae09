"""The resources of a system of IPUs, from its description."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from accelsim.mapping.kernel import Demand, Resource
from accelsim.spec.ipu import IpuPart

SYNC: Final = "chip.sync"
EXCHANGE: Final = "chip.exchange"
SRAM: Final = "chip.tile.sram"
AMP: Final = "chip.tile.amp"
ISSUE: Final = "chip.tile.issue"
VECTOR: Final = "chip.tile.vector"
LINK: Final = "chip.link"
STREAMING: Final = "chip.streaming"


def resources(part: IpuPart, chips: int) -> dict[str, Resource]:
    """Units and ports by name; the tiles of all chips are one resource, and one chip draws its share of it."""
    clock = part.clock.tile.frequency_hz
    tiles = part.tile.count * chips
    found = [
        Resource(SYNC, "clk", clock, 1, "sync", ""),
        Resource(EXCHANGE, "B", tiles * clock * part.exchange.bytes_per_clock, tiles, "exchange", "link"),
        Resource(SRAM, "B", tiles * clock * part.tile.load_bytes_per_clock, tiles, "sram", "shared"),
        Resource(AMP, "clk", tiles * clock, tiles, "compute", "tensor"),
        Resource(ISSUE, "clk", tiles * clock, tiles, "issue", ""),
        Resource(VECTOR, "clk", tiles * clock, tiles, "vector", "vector"),
        Resource(LINK, "B", chips * part.link.lanes * part.link.bytes_per_s, chips, "link", "link"),
    ]
    if part.streaming is not None:
        found.append(Resource(STREAMING, "B", chips * part.streaming.bytes_per_s, chips, "memory", "memory"))
    return {resource.name: resource for resource in found}


@dataclass(frozen=True, slots=True)
class Crew:
    """The chips that work on an operator together.

    Attributes:
        part: one chip.
        chips: of the system.
        together: of them that do equal shares of the work at the same time.
    """

    part: IpuPart
    chips: int
    together: int

    def demand(self, resource: str, amount: float, tiles: int) -> Demand:
        """Work of `tiles` tiles of each chip, `amount` on each, in whole units."""
        units = ceil(amount * (1 - 1e-12)) * tiles * self.together
        return Demand(resource, units, tiles * self.together / (self.part.tile.count * self.chips))

    def link(self, size: float, lanes: int) -> Demand:
        """Bytes that each chip sends over `lanes` of its links."""
        return Demand(LINK, ceil(size) * self.together, lanes * self.together / (self.part.link.lanes * self.chips))

    def streaming(self, size: float) -> Demand:
        """Bytes that each chip fetches from its memory beside the tiles."""
        return Demand(STREAMING, ceil(size) * self.together, self.together / self.chips)
