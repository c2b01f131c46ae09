"""What a codec of a format with scales offers: it sees rows along the axis, and returns parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.codec import Draws, Floats
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """An encoded tensor as rows.

    Attributes:
        codes: [rows, n] element codes.
        scales: [rows, blocks] scale codes, () for one of the tensor, [centroids], None where there is none.
        tensor_scale: see `Encoded`.
        indices: [rows, n], [rows, blocks] or (), see `Encoded.mask_or_indices`.
    """

    codes: Codes
    scales: Codes | None = None
    tensor_scale: float | None = None
    indices: NDArray[Any] | None = None


class ScaledCodec(ABC):
    """Conversion of [rows, n] arrays, elements that share scales lying along the last axis.

    Arrays are contiguous and native; inputs float32 or float64. A ragged tail is a short block with its own scale,
    from the elements that are there; its missing codes are packed as zero.

    Attributes:
        bits: of the widest code in `Parts.codes`.
        code_dtype: of `Parts.codes`.
        policy: of the elements, complete.
        wide: whether some value is no float32.
        of_tensor: whether scales belong to the tensor as a whole and not to blocks.
        settings: names of the keywords that `encode` takes, such as `tensor_scale` and `bias`.
    """

    bits: int
    code_dtype: np.dtype[Any]
    policy: Policy
    wide: bool = False
    of_tensor: bool = False
    settings: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes and scales of rows.

        Raises:
            RequestError: a NaN that has no place.
        """

    @abstractmethod
    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        self.decode(self.encode(x, draws, **settings), out)

    @abstractmethod
    def pack(self, parts: Parts) -> bytes:
        """The bit layout in memory."""

    @abstractmethod
    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes of exactly `storage_bytes(rows, n)`."""

    @abstractmethod
    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of packed rows: codes, scales, indices and tails."""
