"""Configurable floats on arrays: the grid of a fixed bias, or one bias for a tensor."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.codec import ElementCodec, Floats
from accelsim.numerics.fast.float import FloatCodec
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.tuned import TunedCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.cfloat import CFloatGrid, CFloatReference
from accelsim.numerics.reference.float import FloatGrid
from accelsim.numerics.reference.grid import Grid
from accelsim.spec.format import CFloatFormat

_MOST_TABLED: Final = 10
"""Bits of the largest grid that is listed value by value."""


def build(record: CFloatFormat, policy: Policy | str | None, grid: Grid | None = None) -> ElementCodec | TunedCodec:
    """The codec of a format with the grid of its fixed bias, or of one that chooses its bias."""
    reference = CFloatReference(record)
    if grid is not None and isinstance(policy, Policy):
        return element(reference, grid, policy)
    tuned = TunedCodec(reference, record.bits, policy)
    tuned.element = element(reference, reference.grid(0), tuned.policy)
    return tuned


def element(reference: CFloatReference, grid: Grid, policy: Policy) -> ElementCodec:
    """The codec of one bias."""
    if grid.bits <= _MOST_TABLED:
        return GridCodec(grid, policy)
    if isinstance(grid, FloatGrid):
        return FloatCodec(grid.record, policy, grid)
    assert isinstance(grid, CFloatGrid)
    return PrintedCodec(reference, grid, policy)


class PrintedCodec(ElementCodec):
    """Normal numbers are those of IEEE 754, denormals half of them, and a gap lies between the two."""

    def __init__(self, reference: CFloatReference, grid: CFloatGrid, policy: Policy) -> None:
        super().__init__(grid.bits, policy)
        normal = reference.as_float(grid.bias)
        self._usual = FloatCodec(normal, policy, FloatGrid(normal))
        self._sign = 1 << grid.bits - 1 if reference.record.signed else 0
        self._first = 1 << reference.record.mantissa_bits  # code of the smallest normal number
        self._low, self._high = (float(grid.value(code)) for code in (self._first - 1, self._first))  # type: ignore[arg-type]

    def _encode(self, x: Floats, codes: Codes, draws: NDArray[np.uint64] | None) -> None:
        wide = x.astype(np.float64)
        size, minus = np.abs(wide), np.signbit(wide)
        source = None if draws is None else lambda first, count: draws[first : first + count]
        self._usual.encode(np.where(size <= self._low, 2 * wide, wide), codes, source)
        gap = (size > self._low) & (size < self._high) & ((self._sign != 0) | ~minus)
        if gap.any():
            up = self._up(size[gap], minus[gap], None if draws is None else draws[gap])
            codes[gap] = np.where(up, self._first, self._first - 1) | np.where(minus[gap], self._sign, 0)

    def _up(
        self, size: NDArray[np.float64], minus: NDArray[np.bool_], draws: NDArray[np.uint64] | None
    ) -> NDArray[np.bool_]:
        """Whether magnitudes in the gap become the normal number, whose code is the even one."""
        rounding, width = self.policy.rounding, self._high - self._low
        middle = self._low + width / 2
        if isinstance(rounding, Stochastic) and draws is not None:
            steps = float(1 << rounding.bits)
            return np.asarray(size >= self._low + width * ((steps - draws.astype(np.float64)) / steps))
        match rounding:
            case "nearest-even" | "nearest-away":
                return np.asarray(size >= middle)
            case "nearest-up":
                return np.where(minus, size > middle, size >= middle)
            case "up":
                return ~minus
            case "down":
                return minus
        return np.zeros(size.shape, dtype=np.bool_)  # toward-zero; odd is the last denormal too

    @cached_property
    def decoded(self) -> NDArray[Any]:
        """The value of every code, for codes of at most 16 bits."""
        values = self._usual.decoded.copy()
        small = np.abs(values) < self._high
        values[small] /= 2
        return values
