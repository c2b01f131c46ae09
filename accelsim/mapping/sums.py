"""In which parts a kernel adds: what its price follows from, and what its execution does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from accelsim.spec.format import FloatFormat, Format


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
        within: how every part is added up by itself; None takes it in one piece.
        stored: format that every part is rounded to before it is added to others; None leaves it in fp32.
        ring: parts go from neighbour to neighbour and are rounded to `stored` after every addition. Columns are cut
            into as many equal pieces as there are parts; piece i begins with part i + 1 and ends with part i.
        group: products that enter the accumulator at once, in place of its own number; 0 leaves that.
        products: of attention whose softmax has all scores at once: how Q K^T adds along the width of a head, and P V
            along the keys, counted from the first key that a query sees. Empty for one sum each.
        assumed: what of this order is not public, in words; empty where nothing is said.
    """

    parts: int = 1
    extent: int = 0
    tile: int | None = None
    lanes: bool = False
    within: Sums | None = None
    stored: Format | None = None
    ring: bool = False
    group: int = 0
    products: tuple[Sums, ...] = ()
    assumed: str = ""

    def bounds(self, length: int, start: int = 0) -> tuple[tuple[int, int], ...]:
        """First element and end of each part of an axis that is used from `start` on; the last takes what is left."""
        if self.parts == 1 or start + self.extent >= length:
            return ((start, length),)
        starts = range(start, length, self.extent)[: self.parts]
        return tuple(zip(starts, [*starts[1:], length], strict=True))

    @property
    def stages(self) -> tuple[Sums, ...]:
        """From the parts of the whole axis to the pieces that units take."""
        return (self, *(self.within.stages if self.within is not None else ()))

    @property
    def split(self) -> bool:
        """Whether there are parts at any stage."""
        return any(stage.parts > 1 for stage in self.stages)

    @property
    def rounds(self) -> bool:
        """Whether any stage rounds parts to a format of storage."""
        return any(stage.stored is not None for stage in self.stages)

    @property
    def order(self) -> str:
        """The parts, in words; empty for one sum of the unit's own."""
        group = self.stages[-1].group
        parts = ", each of them ".join(stage._joined for stage in self.stages if stage.parts > 1)
        said = "; ".join(filter(None, (f"{group} products at once" if group else "", parts)))
        return f"{said} (assumed: {self.assumed})" if parts and self.assumed else said

    @property
    def _joined(self) -> str:
        if self.stored is None:
            how = "added in fp32"
        elif self.ring:
            how = f"passed round a ring, rounded to {self.stored.name} after every addition"
        else:
            how = f"rounded to {self.stored.name}, added in fp32"
        return f"{self.parts} parts of {self.extent}, {how}"


WHOLE: Final = Sums()
"""One sum along the whole axis."""


def partial_format(form: Format) -> Format | None:
    """The format that partial results are stored in: floats as they are; scales are found when a sum is complete."""
    return form if isinstance(form, FloatFormat) and form.name != "fp32" else None


def joined(products: Sequence[Sums]) -> Sums:
    """Attention of one product, or of both, whose softmax has all scores at once."""
    if len(products) == 1 or all(each == WHOLE for each in products):
        return products[0]
    return Sums(products=tuple(products))


def chips(whole: int, parts: int, within: Sums, stored: Format | None, *, ring: bool = False) -> Sums:
    """Chips that each have an equal part of the axis.

    Args:
        whole: elements of the axis.
        parts: chips.
        within: how each adds its part.
        stored: format in which they exchange their sums.
        ring: they exchange them with neighbours only.
    """
    if parts == 1:
        return within
    said = "; ".join(filter(None, ("which chip begins", within.assumed)))
    inner = None if within == WHOLE else replace(within, assumed="")
    return Sums(parts, ceil(whole / parts), within=inner, stored=stored, ring=ring and stored is not None, assumed=said)
