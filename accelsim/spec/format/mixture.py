"""Weights of several formats side by side, group by group, with positions of those that N:M sparsity has kept."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, SerializeAsAny

from accelsim.spec.format.base import Format, Structure


class MixtureFormat(Format):
    """What a mixture takes in memory, and what it is made of; of no file of its own, since parts describe theirs.

    Attributes:
        bits: of the widest code.
        element_bits: of a code, on average over the groups.
        stored_bits: for each element of the dense matrix: codes and scales of kept ones, and their positions.
        groups: formats and their shares of the groups.
        m: weights of a block of N:M sparsity.
        kept: weights that are kept of a block, and the share of such blocks.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["mixture"] = "mixture"
    bits: int = Field(ge=1, le=64)
    element_bits: float = Field(gt=0)
    stored_bits: float = Field(gt=0)
    groups: tuple[tuple[SerializeAsAny[Format], float], ...]
    m: int = Field(ge=1)
    kept: tuple[tuple[int, float], ...]

    @property
    def widest(self) -> Format:
        """The group format of most bits."""
        return max((form for form, _ in self.groups), key=lambda form: form.bits)

    @property
    def bits_per_element(self) -> float:
        """Bits stored per element of the dense matrix."""
        return self.stored_bits

    @property
    def structure(self) -> Structure:
        """No one element stands for it."""
        return Structure(None)
