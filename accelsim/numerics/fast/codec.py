"""What a codec offers, and the parts that all codecs of formats without scales share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit, packing
from accelsim.numerics.fast import grid_kernels
from accelsim.numerics.packing import Codes, code_dtype
from accelsim.numerics.policy import Policy

Floats = NDArray[np.float32] | NDArray[np.float64]
Draws = Callable[[int, int], NDArray[np.uint64]]
"""Random integers of the elements from a first one on: (first, count) -> integers below 2^bits."""

CHUNK: Final = 1 << 14
"""Elements that numpy works on at a time, so that temporaries stay in the cache."""

_INFINITY: Final = 0x7F800000
_PAIRED_BITS: Final = 8


class ElementCodec(ABC):
    """Conversion of flat arrays for a format that has a code per element and nothing else.

    A subclass gives `_encode` and `_decoded`, and overrides the rest where it is faster. Arrays are 1-D, contiguous
    and native; inputs are float32 or float64, codes uint8, uint16 or uint32.

    Attributes:
        bits: of a code.
        policy: complete.
    """

    def __init__(self, bits: int, policy: Policy) -> None:
        self.bits, self.policy = bits, policy
        self.code_dtype = code_dtype(bits)

    @abstractmethod
    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        """Write the codes of a chunk; what is written for a NaN that is an error does not matter."""

    @cached_property
    @abstractmethod
    def decoded(self) -> NDArray[np.float64]:
        """The value of every code, for codes of at most 16 bits."""

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        seen = False
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK]
            self._encode(part, codes[start : start + CHUNK], draws(start, part.size) if draws else None)
            seen = seen or self._refused(part)
        return seen

    def decode(self, codes: Codes, out: Floats) -> None:
        """Write the values of codes."""
        table = self._decoded32 if out.dtype == np.float32 else self.decoded
        if not jit.enabled():
            table.take(codes, out=out, mode="clip")
            return
        decode = jit.compiled(grid_kernels.decode_by_table)
        even = codes.size & ~1
        if self.bits > _PAIRED_BITS or out.dtype != np.float32 or even < len(self._pairs) or codes.ctypes.data % 2:
            decode(codes, table, out)
            return
        decode(codes[:even].view(np.uint16), self._pairs, out[:even].view(np.uint64))
        decode(codes[even:], table, out[even:])

    @cached_property
    def _pairs(self) -> NDArray[np.uint64]:
        """The float32 values of any two codes of a byte each, side by side."""
        values = np.full(256, np.nan, dtype=np.float32)
        values[: self._decoded32.size] = self._decoded32
        both = np.empty((256, 256, 2), dtype=np.float32)
        both[:, :, 0], both[:, :, 1] = values[None, :], values[:, None]
        return both.view(np.uint64).reshape(-1)

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to, in x's dtype; returns what `encode` does."""
        seen = False
        codes = np.empty(min(x.size, CHUNK), dtype=self.code_dtype)
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK]
            now = codes[: part.size]
            refused = self._refused(part)  # first: out may be x
            self._encode(part, now, draws(start, part.size) if draws else None)
            self.decode(now, out[start : start + CHUNK])
            seen = seen or refused
        return seen

    def pack(self, codes: Codes) -> bytes:
        """Flat codes as they lie in memory: a stream of bits, the first code lowest."""
        return packing.pack(codes, self.bits)

    def unpack(self, data: bytes, count: int) -> Codes:
        """The codes of exactly `storage_bytes(count)` bytes."""
        return packing.unpack(data, self.bits, count)

    def storage_bytes(self, count: int) -> int:
        """Bytes of packed codes."""
        return packing.packed_bytes(count, self.bits)

    @property
    def wide(self) -> bool:
        """Whether some value is no float32."""
        return self._wide

    @cached_property
    def _wide(self) -> bool:
        return not np.array_equal(self._decoded32.astype(np.float64), self.decoded, equal_nan=True)

    @cached_property
    def _decoded32(self) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            return self.decoded.astype(np.float32)

    @property
    def _only_rounded(self) -> bool:
        """Whether -0 itself loses its sign while what is rounded to zero keeps it."""
        return self.policy.zero == "rounded"

    @property
    def _of_specials(self) -> Policy:
        """The policy for special values, of which -0 stands for whatever is rounded to it."""
        return replace(self.policy, zero="keep") if self._only_rounded else self.policy

    def _refused(self, x: Floats) -> bool:
        if self.policy.nan != "error":
            return False
        if x.dtype == np.float32 and jit.enabled():
            return bool(jit.compiled(grid_kernels.largest)(x) > _INFINITY)
        return bool(np.isnan(x).any())


def widened(x: Floats) -> NDArray[np.float64]:
    """The same numbers as float64; signalling NaNs become quiet without a warning."""
    with np.errstate(invalid="ignore"):
        return x.astype(np.float64, copy=False)


def narrow_to_odd(x: NDArray[np.float64]) -> NDArray[np.uint32]:
    """The bits of float64 values rounded to float32 so that no later rounding notices: inexact ones become odd.

    Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = x.astype(np.float32)
    bits = near.view(np.uint32)
    back = near.astype(np.float64)
    inexact = back != x
    beyond = np.abs(back) > np.abs(x)  # toward zero first
    odd = (bits - beyond.astype(np.uint32)) | np.uint32(1)
    return np.where(inexact & ~np.isnan(x), odd, bits)
