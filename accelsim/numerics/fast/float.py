"""Floats with subnormals: rounding on the bits of binary64 under any policy, and magic additions for the usual one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit, packing
from accelsim.numerics.fast import float_kernels
from accelsim.numerics.fast.codec import Draws, ElementCodec, Floats, widened
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.float import FloatGrid
from accelsim.numerics.reference.grid import Special, encode
from accelsim.spec.format import FloatFormat

Kernel = Callable[..., Any]
_EXPONENT = np.uint64(0x7FF)
_MANTISSA = np.uint64((1 << 52) - 1)
_HIDDEN = np.uint64(1 << 52)
_BINARY32_END = 0x7F7FFFFF


def build(record: FloatFormat, policy: Policy, grid: FloatGrid) -> ElementCodec:
    """The codec of a float; without subnormals, that of any grid."""
    return FloatCodec(record, policy, grid) if record.subnormals else GridCodec(grid, policy)


class FloatCodec(ElementCodec):
    """Magnitudes are numbered from zero upwards, as in their codes; rounding yields that number."""

    def __init__(self, record: FloatFormat, policy: Policy, grid: FloatGrid) -> None:
        super().__init__(record.bits, policy)
        self.grid = grid
        self._mantissa = record.mantissa_bits
        self._first = 1 - record.bias  # exponent of the lowest binade
        self._sign_shift = record.bits - 1 if record.signed else 0
        self._signed = record.signed
        self._container = record.container_bits or record.bits
        self._fnuz = record.nan == "fnuz"
        self._finite = grid.code(grid.largest)
        self._largest = float(grid.largest)

    # codes

    def _special(self, value: Special) -> int:
        nan = value in (Special.NAN, Special.NEGATIVE_NAN)
        return 0 if nan and self.policy.nan == "error" else encode(self.grid, value, self._of_specials)

    @cached_property
    def _specials(self) -> tuple[int, ...]:
        """Codes of infinities, NaNs, negative zero, and of what lies beyond the ends."""
        beyond = [encode(self.grid, sign * 4 * self.grid.largest, self.policy) for sign in (1, -1)]
        kinds = (
            Special.INFINITY, Special.NEGATIVE_INFINITY, Special.NAN, Special.NEGATIVE_NAN, Special.NEGATIVE_ZERO,
        )  # fmt: skip
        return *map(self._special, kinds), *beyond

    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        wide = widened(x)
        minus = np.signbit(wide)
        number = self._round(wide.view(np.uint64), minus, draws)
        over = number > np.uint64(self._finite)
        infinity, negative_infinity, nan, negative_nan, negative_zero, above, below = self._specials
        if self._signed:
            code = number | (minus.astype(np.uint64) << np.uint64(self._sign_shift))
            code[(number == 0) & minus] = negative_zero
            if self._only_rounded:
                code[wide == 0] = 0
        else:
            code, over = number, over | (minus & (number != 0))
        code[over] = np.where(minus[over], np.uint64(below), np.uint64(above))
        if not np.isfinite(wide).all():
            code[np.isposinf(wide)], code[np.isneginf(wide)] = infinity, negative_infinity
            isnan = np.isnan(wide)
            code[isnan & ~minus], code[isnan & minus] = nan, negative_nan
        codes[...] = code

    def _round(
        self, bits: NDArray[np.uint64], minus: NDArray[np.bool_], draws: NDArray[np.uint64] | None
    ) -> NDArray[np.uint64]:
        """Numbers of the magnitudes that float64 values round to, without an upper end."""
        field = ((bits >> np.uint64(52)) & _EXPONENT).astype(np.int64)
        whole = (bits & _MANTISSA) | np.where(field > 0, _HIDDEN, np.uint64(0))
        place = np.maximum(field, 1)
        if self._first < -1022:
            whole, place = _raised(whole, place, self._first + 1023)
        binade = np.maximum(place - 1023, self._first)
        drop = binade - self._mantissa - (place - 1075)  # bits below the quantum, at least 22
        shift = np.minimum(drop, 60).astype(np.uint64)  # beyond 54, nothing is left but a sticky rest
        kept = whole >> shift
        rest = whole - (kept << shift)
        number = ((binade - self._first).astype(np.uint64) << np.uint64(self._mantissa)) + kept
        up = self._up(number, rest, shift, minus) if draws is None else self._drawn(rest, drop, draws)
        rounded: NDArray[np.uint64] = number + up
        return rounded

    def _up(
        self, number: NDArray[np.uint64], rest: NDArray[np.uint64], shift: NDArray[np.uint64], minus: NDArray[np.bool_]
    ) -> NDArray[Any]:
        """1 where the magnitude moves away from zero."""
        half = np.uint64(1) << (shift - np.uint64(1))
        odd = number & np.uint64(1)
        up: NDArray[Any] = np.zeros_like(number)
        match self.policy.rounding:
            case "nearest-even":
                up = rest + odd > half
            case "nearest-away":
                up = rest >= half
            case "nearest-up":
                up = rest + (~minus).astype(np.uint64) > half
            case "up":
                up = (rest > 0) & ~minus
            case "down":
                up = (rest > 0) & minus
            case "odd":
                up = (rest > 0) & (odd == 0)
        return up

    def _drawn(self, rest: NDArray[np.uint64], drop: NDArray[np.int64], draws: NDArray[np.uint64]) -> NDArray[Any]:
        bits = self.policy.rounding.bits if isinstance(self.policy.rounding, Stochastic) else 0
        lower = drop - bits
        right, left = np.clip(lower, 0, 63).astype(np.uint64), np.clip(-lower, 0, 63).astype(np.uint64)
        up: NDArray[np.bool_] = ((rest >> right) << left) + draws >= np.uint64(1 << bits)
        return up

    # values

    @cached_property
    def decoded(self) -> NDArray[np.float64]:
        """The value of every code, for codes of at most 16 bits."""
        return self._values(np.arange(1 << self.bits, dtype=np.uint32))

    def _values(self, codes: Codes) -> NDArray[np.float64]:
        wide = codes.astype(np.int64)
        number = wide & ((1 << self.bits - self._signed) - 1)
        minus = (wide != number) & self._signed
        field, mantissa = number >> self._mantissa, number & ((1 << self._mantissa) - 1)
        hidden = (field > 0).astype(np.int64)
        binade = np.maximum(field, 1) - 1 + self._first
        value = np.ldexp((mantissa + (hidden << self._mantissa)).astype(np.float64), binade - self._mantissa)
        value = np.where(minus, -value, value)
        infinite = (number == self._finite + 1) & self.grid.has_infinity
        value = np.where(number > self._finite, np.where(infinite, np.where(minus, -np.inf, np.inf), np.nan), value)
        return np.where(minus & (number == 0), np.nan if self._fnuz else -0.0, value)

    @property
    def wide(self) -> bool:
        """Whether some value is no float32."""
        lowest = self._first - self._mantissa
        return self._mantissa > 23 or self._largest > float(np.finfo(np.float32).max) or lowest < -149

    def decode(self, codes: Codes, out: Floats) -> None:
        """Write the values of codes."""
        if self.bits <= 16:
            super().decode(codes, out)
            return
        if self._binary32 and self._signed and self._finite == _BINARY32_END:
            bits = codes.astype(np.uint32, copy=False).view(np.float32)
            if not np.isnan(bits).any():
                out[...] = bits
                return
        for start in range(0, codes.size, 1 << 14):
            with np.errstate(over="ignore"):
                out[start : start + (1 << 14)] = self._values(codes[start : start + (1 << 14)])

    def pack(self, codes: Codes) -> bytes:
        """Codes in the upper end of their containers."""
        shift = self._container - self.bits
        return packing.pack(codes.astype(packing.code_dtype(self._container)) << np.uint32(shift), self._container)

    def unpack(self, data: bytes, count: int) -> Codes:
        """The codes of containers."""
        wide = packing.unpack(data, self._container, count)
        return (wide >> np.uint32(self._container - self.bits)).astype(self.code_dtype)

    def storage_bytes(self, count: int) -> int:
        """Bytes of the containers."""
        return packing.packed_bytes(count, self._container)

    # faster ways

    @cached_property
    def _table(self) -> GridCodec | None:
        """The engine of small grids, which looks up what this one computes; not for stochastic rounding."""
        small = self.bits <= 8 and not isinstance(self.policy.rounding, Stochastic)
        return GridCodec(self.grid, self.policy) if small else None

    @cached_property
    def _magic(self) -> bool:
        """Whether magic additions do: nearest even, and infinities that count as overflow."""
        infinity, negative_infinity, *_, above, below = self._specials
        return (
            self.policy.rounding == "nearest-even"
            and self.policy.nan in ("code", "error")
            and not self._only_rounded
            and self._signed
            and 0 < self._mantissa < 23
            and self._first >= -126
            and (above, below) == (infinity, negative_infinity)
            and below == above | 1 << self._sign_shift
            and jit.enabled()
        )

    @cached_property
    def _keep(self) -> bool:
        """Whether zeros keep their sign."""
        return self._specials[4] != 0

    @property
    def _binary32(self) -> bool:
        return self._mantissa == 23 and self._first == -126 and self.bits == 32

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to; returns what `encode` does."""
        if not self._magic or draws:
            return self._table.quantize(x, out) if self._table else super().quantize(x, out, draws)
        kernel, arguments = self._quantizer(x.dtype == np.float64)
        if kernel is None:
            return super().quantize(x, out, draws)
        return self._run(kernel, x, out, arguments)

    def _run(self, kernel: Kernel, x: Floats, out: NDArray[Any], arguments: tuple[Any, ...]) -> bool:
        """Call a kernel; True if it met a NaN and that is an error."""
        return bool(jit.compiled(kernel)(x, out, *arguments)) and self.policy.nan == "error"

    def _quantizer(self, double: bool) -> tuple[Kernel | None, tuple[Any, ...]]:
        """The kernel for an input dtype, and its constants."""
        over = self._values(np.array([self._specials[5]], dtype=np.uint32))[0]
        top = int(np.frexp(self._largest)[1])  # exponent of the binade above that of the largest value
        drop = np.uint32(23 - self._mantissa)
        keep = np.uint32(self._keep)
        if double and top + 52 - self._mantissa <= 1023:
            places = self._places(np.uint64, 1023, 52, top)
            return float_kernels.quantize64, (*places, self._largest, over, np.uint64(keep))
        if not double and top + 23 - self._mantissa <= 127:
            places = self._places(np.uint32, 127, 23, top)
            return float_kernels.quantize32, (*places, np.float32(self._largest), np.float32(over), keep)
        if not double and self._first == -126 and top == 128:
            ends = np.array([self._largest, over], dtype=np.float32).view(np.uint32)
            return float_kernels.quantize32_wide, (drop, *ends, keep)
        return None, ()

    def _places(self, word: Any, bias: int, width: int, top: int) -> tuple[Any, Any, Any]:
        """Exponent fields of the lowest binade and of the one above the highest, and of the step up to the magic."""
        return word(self._first + bias << width), word(top + bias << width), word(width - self._mantissa << width)

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        if self._binary32 and x.dtype == np.float32 and not np.isnan(x).any():
            codes[...] = x.view(np.uint32)
            if not self._keep or self._only_rounded:
                codes[x == 0] = 0
            codes[np.isposinf(x)], codes[np.isneginf(x)] = self._specials[0], self._specials[1]
            return False
        if not self._magic or draws or x.dtype != np.float32:
            return self._table.encode(x, codes) if self._table else super().encode(x, codes, draws)
        lowest = self._first + 127  # its exponent field in float32
        places = np.uint32(lowest), np.uint32(23 - self._mantissa), np.uint32(lowest + 23 - self._mantissa << 23)
        _, _, nan, negative_nan, _, above, _ = map(np.uint32, self._specials)
        nans = nan, np.uint32(0xFFFFFFFF if nan != negative_nan else 0)
        ends = np.uint32(self._sign_shift), np.uint32(self._finite), above, *nans, np.uint32(self._keep)
        return self._run(float_kernels.encode32, x, codes, (*places, *ends))


def _raised(
    whole: NDArray[np.uint64], place: NDArray[np.int64], lowest: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Subnormal float64 moved up to their leading bit, or to the lowest place, for formats that go on below them."""
    missing = 53 - np.frexp(whole.astype(np.float64))[1]
    shift = np.minimum(missing, place - lowest)
    return whole << shift.astype(np.uint64), place - shift
