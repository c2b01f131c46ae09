"""Formats that keep few large values apart from the many small ones."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar, Final, Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format, Reference, Structure, bare
from accelsim.spec.format.plain import IntegerFormat

COUNT_BITS: Final = 32
"""Of a page in a list of outliers: how many it has."""


class OutlierPairFormat(Format):
    """OliVe's pairs: an outlier takes a wide-range code and its neighbour, the victim, becomes an identifier.

    Elements 2i and 2i + 1 of a row are a pair; a last one without a partner is never an outlier. The tensor has one
    scale, (|mean| + 3 standard deviations) / the largest normal value unless it is given. An element is an outlier
    where its magnitude lies nearer to the smallest outlier than to the largest normal value.

    Attributes:
        normal: format of normal elements.
        outlier: format of outliers, equally wide; without zero.
        identifier: code in the victim's place, unused by normal elements and by outliers.
        both: which of two outliers of a pair survives: the `first` (the published code) or the `larger`, the first
            of equal ones.
        scale: format of the tensor's scale.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["outlier_pair"] = "outlier_pair"
    normal: Reference
    outlier: Reference
    identifier: int = Field(ge=0)
    both: Literal["first", "larger"]
    scale: Reference

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return self.normal.bits

    @property
    def structure(self) -> Structure:
        """Any of two may be an outlier, which only its neighbour's code tells."""
        return Structure(self.normal, 0, 1.0)

    @model_validator(mode="after")
    def _possible(self) -> OutlierPairFormat:
        for role in ("normal", "outlier", "scale"):
            bare(getattr(self, role), f"the {role} format")
        if self.normal.bits != self.outlier.bits:
            raise ValueError(f"normal has {self.normal.bits} bits, outlier {self.outlier.bits}: they must be equal")
        if self.identifier >> self.normal.bits:
            raise ValueError(f"identifier = {self.identifier} does not fit into {self.normal.bits} bits")
        if self.normal.bits > 8:
            raise ValueError(f"normal has {self.normal.bits} bits: pairs take at most 8")
        return self


class OutlierListFormat(Format):
    """Normal elements in few bits, and few outliers in many with their places (GOBO, OLAccel).

    The elements of a tensor, rows along the axis one after the other, lie in pages of 2^index_bits. Candidates are
    elements farther from a centre than a cut; a page keeps those that lie farthest, earlier ones first among equals,
    as many as it has room for: outlier_fraction of its elements, rounded up. All others are normal, clipped if need be.

    With centroids (GOBO): the centre is the mean, the cut the distance at which the logarithm of the normal density
    with the tensor's mean and variance is the threshold, both rounded to fp32; a tensor of one value has no outliers.
    Centroids start as means of runs of equal length of the sorted normal elements (a run without elements takes the
    centroid before it); then elements go to the nearest, to the smaller of two equally near, and centroids become the
    means of what they have, until none changes or 16 times. Every mean is rounded to the format of the dictionary.

    Without (OLAccel): the centre is 0, the cut the largest magnitude after leaving out the outlier_fraction of the
    elements (rounded up) that are largest. The scale is cut / the largest normal value, for a cut of 0 the largest
    magnitude / the largest outlier, for zeros 1; of a scale that is given, the cut is the multiple. Normal elements
    and outliers are both in units of the scale.

    Attributes:
        normal: format of normal elements; with centroids, unsigned integers that are their indices.
        centroids: whether normal codes are indices of centroids fitted to the tensor.
        dictionary: format of centroids or scale.
        outlier: format of an outlier.
        index_bits: bits of an outlier's place in its page.
        outlier_fraction: share of elements that there is room for in the list.
        threshold: see above; only with centroids.
        layout: `list`: codes of all elements, then the number of outliers of each page in 32 bits, all places, all
            outliers. `chunk`: each page has its codes, a pointer, the place of one outlier and its upper bits, which
            are those of a sign where there is no outlier; both formats are two's complement then.
        pointer_bits: width of the pointer of a chunk, which is zero (OLAccel's leads to upper bits of further
            outliers, which are not kept here).
    """

    scaled: ClassVar[bool] = True

    kind: Literal["outlier_list"] = "outlier_list"
    normal: Reference
    centroids: bool = False
    dictionary: Reference
    outlier: Reference
    index_bits: int = Field(ge=1, le=32)
    outlier_fraction: float = Field(gt=0, lt=1)
    threshold: float | None = None
    layout: Literal["list", "chunk"] = "list"
    pointer_bits: int = Field(default=0, ge=0, le=32)

    @property
    def bits(self) -> int:
        """Bits of a normal element's code."""
        return self.normal.bits

    @property
    def page(self) -> int:
        """Elements of a page."""
        return 1 << self.index_bits

    def room(self, elements: int) -> int:
        """Outliers that a page of so many elements has room for; also the share that OLAccel leaves out."""
        return math.ceil(Fraction(str(self.outlier_fraction)) * elements)

    @property
    def bits_per_element(self) -> float:
        """Normal codes and, for each page, all that there is room for."""
        if self.layout == "chunk":
            more = self.pointer_bits + self.index_bits + self.outlier.bits - self.normal.bits
        else:
            more = COUNT_BITS + self.room(self.page) * (self.outlier.bits + self.index_bits)
        return self.normal.bits + more / self.page

    @property
    def structure(self) -> Structure:
        """Normal elements, and a share of outliers that are put among them."""
        return Structure(None if self.centroids else self.normal, 0, self.outlier_fraction)

    @model_validator(mode="after")
    def _possible(self) -> OutlierListFormat:
        for role in ("normal", "dictionary", "outlier"):
            bare(getattr(self, role), f"the {role} format")
        if self.centroids != (self.threshold is not None):
            raise ValueError("centroids = true needs a threshold of log-probability; otherwise there is none")
        if self.normal.bits > 8 or self.outlier.bits > 32:
            raise ValueError(
                f"{self.normal.bits} and {self.outlier.bits} bits: at most 8 of a normal, 32 of an outlier"
            )
        signs = [
            r.signed if isinstance(r, IntegerFormat) and not r.fraction_bits else None
            for r in (self.normal, self.outlier)
        ]
        if self.centroids and signs[0] is not False:
            raise ValueError(
                f"normal = {self.normal.name!r}: centroids have unsigned integers as indices, such as uint3"
            )
        if self.layout == "chunk":
            if not all(signs) or self.centroids or self.normal.bits >= self.outlier.bits:
                raise ValueError("a chunk has signed integers, the outlier wider than the normal ones, and a scale")
            if self.room(self.page) > 1:
                raise ValueError(
                    f"a chunk of {self.page} has room for one outlier: lower outlier_fraction or index_bits"
                )
        elif self.pointer_bits:
            raise ValueError("pointer_bits is for layout 'chunk'")
        return self
