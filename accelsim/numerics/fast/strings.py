"""Posits and takums by integers: the string of a binary64 in 63 bits, cut off and rounded under any policy."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit
from accelsim.numerics.fast import string_kernels
from accelsim.numerics.fast.codec import CHUNK, Draws, ElementCodec, Floats
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Special, encode
from accelsim.numerics.reference.strings import StringGrid

MOST_TABLED: Final = 10
"""Bits of the largest format for which the engine of all grids is the faster one to build and to run."""

_SPECIALS: Final = (Special.NAN, Special.NEGATIVE_NAN, Special.INFINITY, Special.NEGATIVE_INFINITY)
_ONE = np.uint64(1)
_MANTISSA = np.uint64((1 << 52) - 1)
_FIRST32: Final = -149  # exponent of the smallest float32


def tabled(grid: StringGrid, policy: Policy) -> GridCodec | None:
    """The engine of all grids, where it serves."""
    small = grid.bits <= MOST_TABLED and not isinstance(policy.rounding, Stochastic)
    return GridCodec(grid, policy) if small else None


class StringCodec(ElementCodec):
    """A subclass gives the string of an exponent and a fraction, and the values of codes."""

    def __init__(self, grid: StringGrid, policy: Policy) -> None:
        super().__init__(grid.bits, policy)
        self.grid = grid
        self._cut = np.uint64(64 - grid.bits)
        self._last = np.uint64((1 << grid.bits - 1) - 1)

    @abstractmethod
    def _string(
        self, exponent: NDArray[np.int64], fraction: NDArray[np.uint64], width: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """The 63 bits after the sign of 2^exponent (1 + fraction / 2^width), and whether a one follows them."""

    @abstractmethod
    def _magnitudes(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The values of positive codes."""

    @cached_property
    def _fixed(self) -> NDArray[Any]:
        nan_refused = self.policy.nan == "error"
        codes = [0 if nan_refused and at < 2 else encode(self.grid, x, self.policy) for at, x in enumerate(_SPECIALS)]
        return np.array(codes, dtype=self.code_dtype)

    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        wide = x.astype(np.float64)
        bits, minus = wide.view(np.uint64), np.signbit(wide)
        exponent = ((bits >> np.uint64(52)) & np.uint64(0x7FF)).astype(np.int64) - 1023
        text, sticky = self._string(exponent, bits & _MANTISSA, 52)
        number = text >> self._cut
        rest = text - (number << self._cut)
        number = number + self._up(number, rest, sticky, minus, draws)
        number = np.clip(number, _ONE, self._last)
        code = np.where(minus, np.uint64(1 << self.bits) - number, number)
        code[wide == 0] = 0
        if not np.isfinite(wide).all():
            isnan = np.isnan(wide)
            for of, fixed in zip(
                (isnan & ~minus, isnan & minus, wide == np.inf, wide == -np.inf), self._fixed, strict=True
            ):
                code[of] = fixed
        codes[...] = code

    def _up(
        self,
        number: NDArray[np.uint64],
        rest: NDArray[np.uint64],
        sticky: NDArray[np.bool_],
        minus: NDArray[np.bool_],
        draws: NDArray[np.uint64] | None,
    ) -> NDArray[Any]:
        """1 where the magnitude moves away from zero."""
        rounding = self.policy.rounding
        if isinstance(rounding, Stochastic) and draws is not None:
            bits = np.uint64(rounding.bits)
            return np.asarray((rest >> (self._cut - bits)) + draws >= (_ONE << bits))
        half, odd = _ONE << (self._cut - _ONE), (number & _ONE) == 1
        inexact: NDArray[np.bool_] = (rest > 0) | sticky
        match rounding:
            case "nearest-even":
                return np.asarray((rest > half) | ((rest == half) & (sticky | odd)))
            case "nearest-away":
                return rest >= half
            case "nearest-up":
                return np.asarray((rest > half) | ((rest == half) & (sticky | ~minus)))
            case "up":
                return np.asarray(inexact & ~minus)
            case "down":
                return np.asarray(inexact & minus)
            case "odd":
                return np.asarray(inexact & ~odd)
        return np.zeros_like(number)

    # values

    @cached_property
    def decoded(self) -> NDArray[np.float64]:
        """The value of every code, for codes of at most 16 bits."""
        return self._values(np.arange(1 << self.bits, dtype=np.uint32))

    def _values(self, codes: Codes) -> NDArray[np.float64]:
        wide = codes.astype(np.int64)
        nar = 1 << self.bits - 1
        minus = wide > nar
        usual = (wide != 0) & (wide != nar)
        value = self._magnitudes(np.where(usual, np.where(minus, 2 * nar - wide, wide), 1))
        return np.where(usual, np.where(minus, -value, value), np.where(wide == 0, 0.0, np.nan))

    @property
    def wide(self) -> bool:
        """Whether some value is no float32."""
        if self.bits <= 16:
            return super().wide
        first, second = (
            self.grid.magnitude(code, self.bits) for code in (1 << self.bits - 2, (1 << self.bits - 2) + 1)
        )
        finest = second / first - 1  # at 10...0, where the fraction is longest
        info = np.finfo(np.float32)
        extremes = float(self.grid.largest), float(self.grid.magnitude(1, self.bits))
        return bool(finest < info.eps or extremes[0] > float(info.max) or extremes[1] < float(info.smallest_normal))

    def decode(self, codes: Codes, out: Floats) -> None:
        """Write the values of codes."""
        if self.bits <= 16:
            super().decode(codes, out)
            return
        for start in range(0, codes.size, CHUNK):
            with np.errstate(over="ignore", under="ignore"):
                out[start : start + CHUNK] = self._values(codes[start : start + CHUNK])

    # compiled

    @cached_property
    def _starts(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The strings of all exponents of float32 without a fraction, and the places of the fraction's last bit."""
        exponent = np.arange(_FIRST32, 128, dtype=np.int64)
        none = np.zeros(exponent.size, dtype=np.uint64)
        starts, ends = (self._string(exponent, none + np.uint64(f), 23)[0] for f in (0, 1))
        steps = ends - starts  # a power of two, or 0 beyond the ends
        return starts, np.where(steps > 0, np.frexp(steps.astype(np.float64))[1] - 1, 0).astype(np.uint64)

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        if draws or x.dtype != np.float32 or self.policy.rounding != "nearest-even" or not jit.enabled():
            return super().encode(x, codes, draws)
        kernel = jit.compiled(string_kernels.encode32)
        seen = kernel(x, *self._starts, self._cut, self._last, self._fixed, codes)
        return bool(seen) and self.policy.nan == "error"

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to; returns what `encode` does."""
        if draws:
            return super().quantize(x, out, draws)
        seen = False
        codes = np.empty(min(x.size, CHUNK), dtype=self.code_dtype)
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK]
            now = codes[: part.size]
            seen |= self.encode(part, now)
            self.decode(now, out[start : start + CHUNK])
        return seen


def bit_length(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of bits of integers from 0 to 2^53."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)
