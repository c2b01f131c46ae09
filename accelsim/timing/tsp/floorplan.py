"""Where the slices of a chip are: places on a line, the vector slice at 0, east positive.

A stream moves one place per cycle, so that the distance of two places is the hops between them (delta of the rule
T = N + d_func + delta, Abts et al., ISCA 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accelsim.spec.tsp import TspPart

VXM: Final = 0
EAST: Final = 1
WEST: Final = -1
SIDES: Final = (EAST, WEST)
"""The hemispheres; also the directions of streams."""


@dataclass(frozen=True, slots=True)
class Floorplan:
    """Places of one chip.

    Attributes:
        mem: memory slices of a hemisphere; number i of 1 .. mem lies i hops from the middle.
    """

    mem: int

    @classmethod
    def of(cls, part: TspPart) -> Floorplan:
        """The places of a part."""
        return cls(part.mem.slices // 2)

    @property
    def sxm(self) -> int:
        """Hops from the middle to a switch slice; links are taken to end there, which no source says."""
        return self.mem + 1

    @property
    def mxm(self) -> int:
        """Hops from the middle to the planes of a hemisphere."""
        return self.mem + 2
