"""Weights of which N:M sparsity keeps a part, with the positions of what it keeps."""

from __future__ import annotations

from typing import ClassVar, Literal

from accelsim.spec.format.base import Format, Reference, Structure

_NARROW_BITS = 4


class SparseFormat(Format):
    """Two of four neighbours along the depth are kept, as matrix units of GPUs have it: priced, not computed.

    Each of the kept takes 2 bits more that tell its place (NVIDIA Ampere architecture whitepaper, 2020; PTX ISA,
    mma.sp). Elements of 4 bits are kept and dropped in pairs, which share those bits.

    Attributes:
        dense: format of what is kept.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["sparse"] = "sparse"
    dense: Reference

    @property
    def sparsity(self) -> str:
        """As rates of matrix units name it."""
        return "2:4"

    @property
    def bits(self) -> int:
        """Bits of the code of an element that is kept."""
        return self.dense.bits

    @property
    def bits_per_element(self) -> float:
        """For each element of the dense matrix: half a code with its scales, and half a place."""
        place = 1 if self.dense.bits <= _NARROW_BITS else 2
        return (self.dense.bits_per_element + place) / 2

    @property
    def structure(self) -> Structure:
        """Only a matrix unit that knows the sparsity can take it."""
        return Structure(None)
