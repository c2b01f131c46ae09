"""Formats that keep few large values apart from the many small ones."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format, Reference, bare


class OutlierPairFormat(Format):
    """OliVe's pairs: an outlier takes a wide-range code and its neighbour, the victim, becomes an identifier.

    Attributes:
        normal: format of normal elements.
        outlier: format of outliers, equally wide.
        identifier: code in the victim's place, unused by normal elements.
        both: which of two outliers of a pair survives: the `first` (the published code) or the `larger`.
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

    @model_validator(mode="after")
    def _possible(self) -> OutlierPairFormat:
        for role in ("normal", "outlier", "scale"):
            bare(getattr(self, role), f"the {role} format")
        if self.normal.bits != self.outlier.bits:
            raise ValueError(f"normal has {self.normal.bits} bits, outlier {self.outlier.bits}: they must be equal")
        if self.identifier >> self.normal.bits:
            raise ValueError(f"identifier = {self.identifier} does not fit into {self.normal.bits} bits")
        return self


class OutlierListFormat(Format):
    """Normal elements in few bits and a list of outliers in many, with their positions (GOBO, OLAccel).

    Attributes:
        normal_bits: bits of a normal element's code.
        centroids: whether normal codes index centroids fitted to the tensor (GOBO); otherwise they are integers
            with a scale (OLAccel).
        dictionary: format of centroids or scale.
        outlier: format of an outlier.
        index_bits: bits of an outlier's position.
        outlier_fraction: share of outliers that `bits_per_element` counts.
        threshold: an element is an outlier where its log-probability under the tensor's normal distribution is
            below this (GOBO), or, without centroids, the outlier_fraction of largest magnitudes is.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["outlier_list"] = "outlier_list"
    normal_bits: int = Field(ge=1, le=8)
    centroids: bool
    dictionary: Reference
    outlier: Reference
    index_bits: int = Field(ge=0, le=64)
    outlier_fraction: float = Field(ge=0, lt=1)
    threshold: float | None = None

    @property
    def bits(self) -> int:
        """Bits of a normal element's code."""
        return self.normal_bits

    @property
    def bits_per_element(self) -> float:
        """Normal codes and the expected share of outliers with their positions."""
        return self.normal_bits + self.outlier_fraction * (self.outlier.bits + self.index_bits)

    @model_validator(mode="after")
    def _possible(self) -> OutlierListFormat:
        bare(self.dictionary, "the dictionary")
        bare(self.outlier, "the outlier format")
        if self.centroids != (self.threshold is not None):
            raise ValueError("centroids = true needs a threshold of log-probability; otherwise there is none")
        return self
