"""Integers: scale by the implied power of two, round, clip."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import jit
from accelsim.numerics.fast import integer_kernels
from accelsim.numerics.fast.codec import CHUNK, Draws, ElementCodec, Floats, widened
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.integer import IntegerGrid
from accelsim.spec.format import IntegerFormat


def build(record: IntegerFormat, policy: Policy, grid: IntegerGrid) -> IntegerCodec:
    """The codec of an integer format."""
    return IntegerCodec(record, policy, grid)


class IntegerCodec(ElementCodec):
    """Values are whole multiples of 2^-fraction_bits; beyond the ends they saturate, as they have no other codes."""

    def __init__(self, record: IntegerFormat, policy: Policy, grid: IntegerGrid) -> None:
        super().__init__(record.bits, policy)
        self._scale = 2.0**record.fraction_bits
        self._low, self._high = float(grid.smallest) * self._scale, float(grid.largest) * self._scale
        self._signed = record.signed

    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = widened(x) * self._scale
        # beyond 2^52 every float64 is whole; what underflows keeps its sign and its being nonzero with this
        lost = (scaled == 0) & (x != 0)
        scaled = np.where(lost, np.copysign(5e-324, x), scaled)
        whole = np.clip(self.rounded(scaled, draws), self._low, self._high)
        nan = self._high if self.policy.nan == "max" else 0.0
        whole = np.where(np.isnan(whole), nan, whole)
        codes[...] = whole.astype(np.int64) & ((1 << self.bits) - 1)

    def rounded(self, x: NDArray[np.float64], draws: NDArray[np.uint64] | None) -> NDArray[np.float64]:
        """Whole numbers that float64 values round to, without ends."""
        low = np.floor(x)
        with np.errstate(invalid="ignore"):
            part = x - low  # exact, except below 2^-53 beside -1, where it becomes 1
        match self.policy.rounding:
            case "nearest-even":
                return np.rint(x)
            case "nearest-away":
                return np.where(np.abs(x) < 1 << 52, np.copysign(_nearest_away(np.abs(x)), x), x)
            case "nearest-up":
                return np.where(part >= 0.5, low + 1, low)
            case "toward-zero":
                return np.trunc(x)
            case "up":
                return np.ceil(x)
            case "down":
                return low
            case "odd":
                even = np.floor(low / 2) * 2 == low
                return np.where((low != x) & even, low + 1, low)
        return self._drawn(np.abs(x), draws) * np.sign(x)

    def _drawn(self, magnitude: NDArray[np.float64], draws: NDArray[np.uint64] | None) -> NDArray[np.float64]:
        if draws is None or not isinstance(self.policy.rounding, Stochastic):
            raise RequestError("stochastic rounding needs random integers")
        steps = float(1 << self.policy.rounding.bits)
        toward = np.floor(magnitude)
        with np.errstate(invalid="ignore"):
            share = np.floor((magnitude - toward) * steps)
        return np.where(share + draws >= steps, toward + 1, toward)

    @cached_property
    def decoded(self) -> NDArray[np.float64]:
        """The value of every code, for codes of at most 16 bits."""
        return self._values(np.arange(1 << self.bits, dtype=np.uint32))

    def _values(self, codes: Codes) -> NDArray[np.float64]:
        wide = codes.astype(np.int64)
        if self._signed:
            wide -= (wide >> self.bits - 1) << self.bits
        return wide / self._scale

    @property
    def wide(self) -> bool:
        """Whether some value is no float32."""
        return self.bits > 24 or super().wide if self.bits <= 16 else self.bits - self._signed > 24

    def decode(self, codes: Codes, out: Floats) -> None:
        """Write the values of codes."""
        if self.bits <= 16:
            super().decode(codes, out)
            return
        for start in range(0, codes.size, CHUNK):
            out[start : start + CHUNK] = self._values(codes[start : start + CHUNK])

    def _compiled(self, x: Floats, draws: Draws | None) -> bool:
        usual = self.policy.rounding == "nearest-even" and self.policy.nan == "error"
        exact = self.bits <= 24 and 1 <= self._scale <= 1 << 24  # a smaller scale could make float32 underflow
        return usual and exact and draws is None and x.dtype == np.float32 and jit.enabled()

    def _arguments(self) -> tuple[Any, ...]:
        return np.float32(self._scale), np.float32(self._low), np.float32(self._high)

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        if not self._compiled(x, draws):
            return super().encode(x, codes, draws)
        mask = np.int32((1 << self.bits) - 1)
        return bool(jit.compiled(integer_kernels.encode32)(x, codes, *self._arguments(), mask))

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to; returns what `encode` does."""
        if not self._compiled(x, draws):
            return super().quantize(x, out, draws)
        inverse = np.float32(1 / self._scale)
        return bool(jit.compiled(integer_kernels.quantize32)(x, out, *self._arguments(), inverse))


def _nearest_away(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.floor(magnitude)
    with np.errstate(invalid="ignore"):
        return np.where(magnitude - low >= 0.5, low + 1, low)
