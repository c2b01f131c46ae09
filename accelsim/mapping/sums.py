"""In which parts a kernel adds: what its price follows from, and what its execution does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sums:
    """How a matrix kernel cuts the axis that it adds along.

    Every part begins at zero, on the accumulator of the unit. Parts of plain products are then added in fp32, the
    first to the last; those of keys are joined by their maxima and sums (log-sum-exp), likewise in fp32.

    Attributes:
        parts: of the axis; 1 adds along all of it.
        extent: elements of k, or keys, in every part but the last; 0 where there is one part. Parts that the axis
            does not reach are left out.
        tile: keys of a step of an online softmax, counted from absolute position 0; None takes all keys of a part.
        lanes: the vector unit multiplies, in place of the matrix unit.
    """

    parts: int = 1
    extent: int = 0
    tile: int | None = None
    lanes: bool = False

    def bounds(self, length: int, start: int = 0) -> tuple[tuple[int, int], ...]:
        """First element and end of each part of an axis that is used from `start` on; the last takes what is left."""
        if self.parts == 1 or start + self.extent >= length:
            return ((start, length),)
        starts = range(start, length, self.extent)[: self.parts]
        return tuple(zip(starts, [*starts[1:], length], strict=True))


WHOLE: Final = Sums()
"""One sum along the whole axis."""
