"""Formats whose codes do not lie in memory in the order of the elements, but as a kernel reads them."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from accelsim.spec.format.scaled import BlockFormat

TILE = 64
"""Rows and elements of a row that FP6-LLM's layout takes at a time."""


class PrepackedFormat(BlockFormat):
    """A block format of 5, 6 or 7 bits whose packed codes are those that FP6-LLM's kernel for tensor cores reads.

    Rows along the axis are output channels. Codes are cut into planes of 1, 2 and 4 bits as the width has them, the
    uppermost bits first (6 bits: 2 and 4), and each plane is a stream of 32-bit words: of every 16 x 16 tile, each of
    32 threads gets the eight codes that it feeds to the matrix instruction, and four bytes of a thread, reordered so
    that they are unpacked by shifts, stand beside those of the next thread. Rows and elements are filled up with zeros
    to multiples of 64. Scales follow the planes. See `BlockFormat` for the keys.
    """

    kind: Literal["prepacked"] = "prepacked"  # type: ignore[assignment]  # another record's tag

    @model_validator(mode="after")
    def _packable(self) -> PrepackedFormat:
        if not 5 <= self.element.bits <= 7:
            raise ValueError(
                f"element = {self.element.name!r} has {self.element.bits} bits: planes are cut from 5 to 7"
            )
        if self.granularity != "channel" or self.zero_point:
            raise ValueError("the kernel has one scale for each output channel: granularity = 'channel', no zero_point")
        return self
