"""Weights of several formats side by side, group by group, with positions of those that N:M sparsity has kept."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from accelsim.spec.format.base import Format, Structure


class MixtureFormat(Format):
    """What a mixture takes in memory: priced, not computed, and therefore of no file of its own.

    Attributes:
        bits: of the widest code.
        element_bits: of a code, on average over the groups.
        stored_bits: for each element of the dense matrix: codes and scales of kept ones, and their positions.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["mixture"] = "mixture"
    bits: int = Field(ge=1, le=64)
    element_bits: float = Field(gt=0)
    stored_bits: float = Field(gt=0)

    @property
    def bits_per_element(self) -> float:
        """Bits stored per element of the dense matrix."""
        return self.stored_bits

    @property
    def structure(self) -> Structure:
        """No one element stands for it."""
        return Structure(None)
