"""A number format as far as traffic and capacity need it: a name and the bits it takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from accelsim.spec.base import Description, Name

FormatKind = Literal["float", "integer", "block", "codebook", "posit", "flint"]


class Format(Description):
    """A storage format.

    Attributes:
        name: the field's own word in snake_case, such as `fp8_e4m3` or `mxfp4`.
        kind: the family of the format.
        bits: bits of one element's code.
        bits_per_element: bits stored per element, scales included; the limit for a long tensor.
        block: elements that share one scale; 1 where there is none.
        element: for a block format, the format of its elements.
    """

    name: Name
    kind: FormatKind
    bits: float = Field(gt=0, le=64)
    bits_per_element: float = Field(gt=0, le=64)
    block: int = Field(default=1, ge=1)
    element: str | None = None

    @property
    def bytes_per_element(self) -> float:
        """Bytes stored per element, scales included."""
        return self.bits_per_element / 8
