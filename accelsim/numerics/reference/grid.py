"""A grid of values with a code each, and the one procedure that rounds a number to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from functools import cached_property

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, Stochastic


class Special(Enum):
    """What is no plain number."""

    NAN = "nan"
    NEGATIVE_NAN = "-nan"
    INFINITY = "inf"
    NEGATIVE_INFINITY = "-inf"
    NEGATIVE_ZERO = "-0"


Exact = Fraction | Special
"""A value without rounding: a fraction, or one of the special values."""

_NANS = (Special.NAN, Special.NEGATIVE_NAN)
_INFINITIES = (Special.INFINITY, Special.NEGATIVE_INFINITY)
HALF = Fraction(1, 2)


class Grid(ABC):
    """The values of a format without scales. Values of the grid are fractions; what is beyond its ends may go on.

    Attributes:
        bits: of a code.
        default_overflow: what overflow means where the policy does not say.
        rounds_to_zero: whether a nonzero number may become zero; posits and E8M0 take the smallest value instead.
        linear: whether `position` is the fraction of the distance between two neighbours.
    """

    bits: int
    default_overflow: Overflow = "saturate"
    rounds_to_zero: bool = True
    linear: bool = True

    @abstractmethod
    def value(self, code: int) -> Exact:
        """What a code means, for every code from 0 to 2^bits - 1; for an unused code, NAN."""

    @abstractmethod
    def code(self, value: Fraction) -> int:
        """The code of a value of the grid; of positive zero where there are two."""

    @abstractmethod
    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The largest value <= x and the smallest >= x, equal where x is a value; goes on beyond the ends or not."""

    @abstractmethod
    def even(self, value: Fraction) -> bool:
        """Whether ties go to this value rather than to its neighbour."""

    @property
    @abstractmethod
    def smallest(self) -> Fraction:
        """The most negative value that is ever written."""

    @property
    @abstractmethod
    def largest(self) -> Fraction:
        """The most positive value."""

    def infinity(self, negative: bool) -> int | None:
        """The code of an infinity, if there is one."""
        return None

    def nan(self, negative: bool, ones: bool) -> int | None:
        """The code of NaN, if there is one: with the given sign and all mantissa bits set, if there are several."""
        return None

    @property
    def negative_zero(self) -> int | None:
        """The code of -0, if there is one."""
        return None

    def position(self, x: Fraction, low: Fraction, high: Fraction) -> Fraction:
        """How far x is on its way from one neighbour to the next, 0 to 1."""
        return (x - low) / (high - low)

    def split(self, low: Fraction, high: Fraction) -> Fraction:
        """The number half-way between two neighbours, in the sense of `position`."""
        return (low + high) / 2

    @cached_property
    def levels(self) -> list[Fraction]:
        """The values that are written, in ascending order, and one beyond each end where the grid goes on."""
        values = {v for code in range(1 << self.bits) if isinstance(v := self.value(code), Fraction)}
        inside = sorted(v for v in values if self.smallest <= v <= self.largest)
        first, last = ((inside[at] - inside[at - 1]) / (1 << 64) for at in (1, -1))
        return sorted({self.neighbours(inside[0] - first)[0], *inside, self.neighbours(inside[-1] + last)[1]})

    @property
    def has_infinity(self) -> bool:
        """Whether infinities have codes."""
        return self.infinity(False) is not None

    @property
    def has_nan(self) -> bool:
        """Whether NaN has a code."""
        return self.nan(False, False) is not None

    @property
    def has_negative_zero(self) -> bool:
        """Whether there is a second zero."""
        return self.negative_zero is not None


class TableGrid(Grid):
    """A finite grid that is known by the values of its codes; nothing lies beyond its ends.

    A subclass gives `bits` and `value`. Ties go to the even code. Several codes of one value: the first is written.
    """

    @cached_property
    def _codes(self) -> dict[Fraction, int]:
        found: dict[Fraction, int] = {}
        for code in range(1 << self.bits):
            value = self.value(code)
            if isinstance(value, Fraction):
                found.setdefault(value, code)
        return found

    @cached_property
    def _values(self) -> list[Fraction]:
        return sorted(self._codes)

    def code(self, value: Fraction) -> int:
        """The code of a value of the grid."""
        return self._codes[value]

    def neighbours(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """The values beside x; the end for what lies beyond."""
        at = bisect_right(self._values, x)
        low = self._values[max(at - 1, 0)]
        high = low if low == x else self._values[min(at, len(self._values) - 1)]
        return low, high

    def even(self, value: Fraction) -> bool:
        """Whether the code is even."""
        return self._codes[value] % 2 == 0

    @property
    def smallest(self) -> Fraction:
        """The first of the values."""
        return self._values[0]

    @property
    def largest(self) -> Fraction:
        """The last of the values."""
        return self._values[-1]

    @cached_property
    def _special(self) -> dict[Special, int]:
        found: dict[Special, int] = {}
        for code in range(1 << self.bits):
            value = self.value(code)
            if isinstance(value, Special):
                found.setdefault(value, code)
        return found

    @property
    def negative_zero(self) -> int | None:
        """The code of -0, if there is one."""
        return self._special.get(Special.NEGATIVE_ZERO)


def encode(grid: Grid, x: Exact, policy: Policy, draw: int = 0) -> int:
    """The code of a number.

    Args:
        grid: what to round to.
        x: the number.
        policy: complete, as `Policy.resolve` gives it.
        draw: the random integer of stochastic rounding, 0 to 2^bits - 1.

    Raises:
        RequestError: NaN, where the policy calls that an error.
    """
    if x in _NANS:
        return _nan(grid, policy, x is Special.NEGATIVE_NAN)
    if x in _INFINITIES:
        rule = policy.overflow if policy.infinity == "overflow" else policy.infinity
        return _beyond(grid, policy, str(rule), x is Special.NEGATIVE_INFINITY)
    if isinstance(x, Special):
        return _zero(grid, policy, policy.zero == "keep", draw)
    rounded = round_to(grid, x, policy, draw)
    if rounded > grid.largest or rounded < grid.smallest:
        return _beyond(grid, policy, str(policy.overflow), rounded < grid.smallest)
    return _zero(grid, policy, x < 0) if rounded == 0 else grid.code(rounded)


def round_to(grid: Grid, x: Fraction, policy: Policy, draw: int = 0) -> Fraction:
    """The value of the grid, gone on beyond its ends, that a number rounds to."""
    low, high = grid.neighbours(x)
    if low == high:
        return low
    if not grid.rounds_to_zero and 0 in (low, high) and x != 0:
        return low or high
    toward, away = (low, high) if abs(low) <= abs(high) else (high, low)
    share = grid.position(x, low, high)
    if isinstance(policy.rounding, Stochastic):
        share = share if toward == low else 1 - share
        steps = 1 << policy.rounding.bits
        return away if int(share * steps) + draw >= steps else toward
    if policy.rounding.startswith("nearest") and share != HALF:
        return high if share > HALF else low
    return {
        "nearest-even": low if grid.even(low) else high,
        "nearest-away": away,
        "nearest-up": high,
        "toward-zero": toward,
        "up": high,
        "down": low,
        "odd": high if grid.even(low) else low,
    }[policy.rounding]


def _nan(grid: Grid, policy: Policy, negative: bool) -> int:
    if policy.nan == "code":
        found = grid.nan(_nan_sign(policy, negative), policy.nan_code == "ones")
        if found is not None:
            return found
    if policy.nan == "max":
        return grid.code(grid.largest)
    if policy.nan in ("zero", "-0"):
        return _zero(grid, policy, policy.nan == "-0")
    raise RequestError("NaN has no code in this format")


def _beyond(grid: Grid, policy: Policy, rule: str, negative: bool) -> int:
    infinity = grid.infinity(negative)
    nan = grid.nan(_nan_sign(policy, negative), policy.nan_code == "ones")
    if rule == "infinity" and infinity is not None:
        return infinity
    if rule == "nan" and nan is not None:
        return nan
    end = grid.smallest if negative else grid.largest
    return _zero(grid, policy, negative) if end == 0 else grid.code(end)


def _nan_sign(policy: Policy, negative: bool) -> bool:
    return policy.nan_sign == "set" or (negative and policy.nan_sign == "keep")


def _zero(grid: Grid, policy: Policy, negative: bool, draw: int = 0) -> int:
    if negative and policy.zero != "positive" and grid.negative_zero is not None:
        return grid.negative_zero
    return encode_zero(grid, policy, draw)


def encode_zero(grid: Grid, policy: Policy, draw: int = 0) -> int:
    """The code of zero, or of what a grid without one has in its place."""
    rounded = round_to(grid, Fraction(0), policy, draw)
    if rounded < grid.smallest:
        return _beyond(grid, policy, str(policy.overflow), True)
    return grid.code(rounded)


def signed(code: int, width: int, magnitude: Callable[[int], Fraction]) -> Exact:
    """The value of a code whose bits above `width` are a sign, by the magnitude of the lower ones."""
    number = code & (1 << width) - 1
    found = magnitude(number)
    if number == code:
        return found
    return -found if found else Special.NEGATIVE_ZERO
