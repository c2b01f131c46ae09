"""The engine for any grid of up to 16 bits, built from its exact reference.

Deterministic rounding is a step function of the input. Its steps are computed as fractions and turned into the
smallest float that lies on the upper side, so that a search among them is exact for float32 and for float64.
Where every step falls between two neighbouring bfloat16 values in the way that a sticky bit can tell, which is proved
for each grid, a table of 64 Ki entries replaces the search: its index is the upper 16 bits, made odd by any lower one.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import jit
from accelsim.numerics.fast import grid_kernels
from accelsim.numerics.fast.codec import CHUNK, Draws, ElementCodec, Floats, narrow_to_odd, widened
from accelsim.numerics.fast.runs import Runs, runs
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Exact, Grid, Special, encode

MOST_BITS = 16
_FLOATS: dict[Special, float] = {
    Special.NAN: np.nan, Special.NEGATIVE_NAN: -np.nan, Special.INFINITY: np.inf, Special.NEGATIVE_INFINITY: -np.inf,
    Special.NEGATIVE_ZERO: -0.0,
}  # fmt: skip


class GridCodec(ElementCodec):
    """A codec of a grid that has at most 16 bits, under any policy."""

    def __init__(self, grid: Grid, policy: Policy) -> None:
        super().__init__(grid.bits, policy)
        self.grid = grid

    @cached_property
    def decoded(self) -> NDArray[np.float64]:
        """The value of every code."""
        return decoded_values(self.grid)

    @property
    def levels(self) -> list[Fraction]:
        """The values that are written, in ascending order, and one beyond each end where the grid goes on."""
        return self.grid.levels

    @cached_property
    def _level_codes(self) -> NDArray[Any]:
        return self._made([encode(self.grid, level, self.policy) for level in self.levels])

    @cached_property
    def _steps(self) -> NDArray[np.float64]:
        """The smallest float64 that rounds to each level but the first."""
        pairs = zip(self.levels, self.levels[1:], strict=False)
        return np.array([float_from(*step(self.grid, low, high, str(self.policy.rounding))) for low, high in pairs])

    @cached_property
    def _steps32(self) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            near = self._steps.astype(np.float32)
        return np.where(near < self._steps, np.nextafter(near, np.float32(np.inf)), near)

    def _made(self, codes: list[int]) -> NDArray[Any]:
        return np.array(codes, dtype=self.code_dtype)

    def _special(self, value: Exact) -> int:
        nan = value in (Special.NAN, Special.NEGATIVE_NAN)
        return 0 if nan and self.policy.nan == "error" else encode(self.grid, value, self._of_specials)

    @cached_property
    def _specials(self) -> tuple[int, ...]:
        return tuple(map(self._special, _FLOATS))

    def _search(self, x: Floats) -> NDArray[Any]:
        """Codes by a search among the steps, infinities, NaN and -0 included."""
        steps = self._steps32 if x.dtype == np.float32 else self._steps
        codes = self._level_codes[np.searchsorted(as_array(steps), x, side="right")]
        return self._with_specials(x, codes)

    def _with_specials(self, x: Floats, codes: NDArray[Any]) -> NDArray[Any]:
        nan, negative_nan, infinity, negative_infinity, negative_zero = self._specials
        minus = np.signbit(x)
        if not np.isfinite(x).all():
            codes[np.isposinf(x)], codes[np.isneginf(x)] = infinity, negative_infinity
            isnan = np.isnan(x)
            codes[isnan & ~minus], codes[isnan & minus] = nan, negative_nan
        zero = self._special(Fraction(0))
        if negative_zero != zero:
            codes[minus & (codes == zero) & ~np.isnan(x)] = negative_zero
        if self._only_rounded:
            codes[x == 0] = zero
        return codes

    @cached_property
    def table(self) -> NDArray[Any] | None:
        """The code of every upper half of a float32 with sticky bit; None where that half does not decide."""
        pattern = np.arange(1 << 16, dtype=np.uint32)
        with np.errstate(invalid="ignore"):  # some of the patterns are signalling NaNs
            exact = (pattern << np.uint32(16)).view(np.float32).astype(np.float64)
        codes = self._search(exact)
        odd = np.flatnonzero(pattern[:0x7F80] & 1)
        for sign in (0, 0x8000):
            at = odd + sign
            below, above = exact[at - 1], exact[at + 1]  # the even patterns about an odd one, in magnitude
            first, last = np.nextafter(below, above), np.nextafter(above, below)
            if not np.array_equal(inner := self._search(first), self._search(last)):
                return None
            codes[at] = inner
        return codes

    @cached_property
    def table_values(self) -> NDArray[np.float32] | None:
        """The value of every entry of the table."""
        return None if self.table is None else self._decoded32[self.table]

    @cached_property
    def _runs(self) -> Runs | None:
        """Where the table does not decide: runs of at most one step."""
        return runs(self._search, self._steps32)

    def _runs_for(self, x: Floats) -> Runs | None:
        found = self._runs
        if found and found.least > 1 and jit.compiled(grid_kernels.any_below)(x, np.uint32(found.least)):
            return None
        return found

    @cached_property
    def _run_values(self) -> NDArray[np.float32]:
        assert self._runs is not None
        values: NDArray[np.float32] = self._decoded32[self._runs.sides]
        return values

    @cached_property
    def _buckets(self) -> NDArray[np.int64]:
        """Steps at or below every upper half of a float32, in the order of the numbers that they begin."""
        pattern = np.arange((1 << 15) + 1, dtype=np.uint32) << np.uint32(16)
        starts = np.minimum(pattern, np.uint32(0x7F800000)).view(np.float32)
        positive = np.searchsorted(self._steps32, starts, side="right")
        negative = np.searchsorted(self._steps32, -starts, side="right")
        return np.concatenate([positive, negative]).astype(np.int64)

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        if draws or not jit.enabled() or x.dtype != np.float32 or (self._only_rounded and self.table is None):
            return super().encode(x, codes, draws)
        seen = self._refused(x)
        if self.table is not None:
            jit.compiled(grid_kernels.codes_by_table)(x, self.table, codes)
        elif (found := self._runs_for(x)) is not None:
            jit.compiled(grid_kernels.by_one_step)(x, np.uint32(found.shift), found.steps, found.sides, codes)
        else:
            zero = self._special(Fraction(0))
            fixed = np.array([*self._specials, zero], dtype=self.code_dtype)
            kernel = jit.compiled(grid_kernels.encode_by_search)
            kernel(x, self._steps32, self._level_codes, self._buckets, fixed, codes)
        return seen

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to; returns what `encode` does."""
        tabled = not draws and jit.enabled() and x.dtype == np.float32
        if not tabled:
            return super().quantize(x, out, draws)
        seen = self._refused(x)
        if self.table is not None:
            jit.compiled(grid_kernels.values_by_table)(x, self.table_values, out)
        elif (found := self._runs_for(x)) is None:
            codes = np.empty(min(x.size, CHUNK), dtype=self.code_dtype)
            for start in range(0, x.size, CHUNK):
                part = x[start : start + CHUNK]
                self.encode(part, codes[: part.size])
                self.decode(codes[: part.size], out[start : start + CHUNK])
        else:
            jit.compiled(grid_kernels.by_one_step)(x, np.uint32(found.shift), found.steps, self._run_values, out)
        return seen

    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        if draws is not None:
            codes[...] = self._stochastic(widened(x), draws)
        elif self.table is None:
            codes[...] = self._search(x)
        else:
            bits = x.view(np.uint32) if x.dtype == np.float32 else narrow_to_odd(widened(x))
            index = (bits >> np.uint32(16)) | ((bits & np.uint32(0xFFFF)) != 0)
            self.table.take(index, out=codes, mode="clip")

    @cached_property
    def _stochastic_levels(self) -> NDArray[np.float64]:
        rounding = self.policy.rounding
        bits = rounding.bits if isinstance(rounding, Stochastic) else 0
        if not self.grid.linear or not all(
            spacing_fits(low, high, bits) for low, high in zip(self.levels, self.levels[1:], strict=False)
        ):
            raise RequestError(f"stochastic rounding with {bits} bits is not exact on this grid: take fewer bits")
        return np.array([float(level) for level in self.levels])

    def _stochastic(self, x: NDArray[np.float64], draws: NDArray[np.uint64]) -> NDArray[Any]:
        """A number moves away from zero at or above a point that the random integer chooses; the point is exact."""
        levels = self._stochastic_levels
        finite = np.where(np.isfinite(x), x, 0.0)
        at = np.clip(np.searchsorted(levels, finite, side="right") - 1, 0, len(levels) - 2)
        low, high = levels[at], levels[at + 1]
        bits = self.policy.rounding.bits if isinstance(self.policy.rounding, Stochastic) else 0
        share = (float(1 << bits) - draws.astype(np.float64)) / float(1 << bits)
        rising = np.abs(low) <= np.abs(high)
        point = np.where(rising, low + (high - low) * share, high - (high - low) * share)
        up = np.where(rising, finite >= point, finite > point) & (finite != low)
        if not self.grid.rounds_to_zero:
            up = np.where(low == 0, finite > 0, np.where(high == 0, finite >= 0, up))
        up |= finite >= high
        return self._with_specials(x, self._level_codes[at + up])


@lru_cache(maxsize=64)
def decoded_values(grid: Grid) -> NDArray[np.float64]:
    """The value of every code of a grid; read-only."""
    values = np.array([as_float(grid.value(code)) for code in range(1 << grid.bits)])
    values.flags.writeable = False
    return values


def as_array(steps: Any) -> Any:
    """An array whose dtype is known only when it runs."""
    return steps


def as_float(value: Exact) -> float:
    """A value of a grid as binary64; NaN for any NaN."""
    return _FLOATS[value] if isinstance(value, Special) else float(value)


def step(grid: Grid, low: Fraction, high: Fraction, rounding: str) -> tuple[Fraction, bool]:
    """Where rounding goes over from one level to the next, and whether the point itself belongs to the next."""
    if not grid.rounds_to_zero and 0 in (low, high):
        return (low, False) if low == 0 else (high, True)
    rising = abs(low) <= abs(high)  # the upper of the two is the one away from zero
    match rounding:
        case "nearest-even":
            return grid.split(low, high), not grid.even(low)
        case "nearest-away":
            return grid.split(low, high), rising
        case "nearest-up":
            return grid.split(low, high), True
        case "toward-zero":
            return (high, True) if rising else (low, False)
        case "up":
            return low, False
        case "odd":
            return (low, False) if grid.even(low) else (high, True)
    return high, True  # down; stochastic rounding makes no steps


def float_from(point: Fraction, inclusive: bool) -> float:
    """The smallest float64 that is at least, or greater than, a number."""
    near = float(point)
    if Fraction(near) < point or (Fraction(near) == point and not inclusive):
        return float(np.nextafter(near, np.inf))
    return near


def spacing_fits(low: Fraction, high: Fraction, bits: int) -> bool:
    """Whether every 2^bits-th between two levels is a float64."""
    if low == high:
        return True
    quantum = Fraction(1, max(low.denominator, high.denominator, (high - low).denominator) << bits)
    numbers = [abs(int(value / quantum)) for value in (low, high, high - low)]
    shared = min((n & -n).bit_length() - 1 for n in numbers if n)
    shared = min(shared, ((numbers[2] >> bits) & -(numbers[2] >> bits)).bit_length() - 1)
    return max(numbers) >> shared < 1 << 53
