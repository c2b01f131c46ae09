"""Values of codes in blocks with scales, in one pass: float32 from elements and scales that float32 holds."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit
from accelsim.numerics.fast import scaled_values_kernels
from accelsim.numerics.fast.codec import ElementCodec, Floats
from accelsim.numerics.packing import Codes
from accelsim.spec.format import FloatFormat

_MOST_BITS = 16


class ScaledValues:
    """The values of an element's codes times scales; a product is rounded once.

    Args:
        element: its codec.
        record: its description, if floats may be computed from fields.
    """

    def __init__(self, element: ElementCodec, record: Any) -> None:
        self.element, self.record = element, record

    def write(self, codes: Codes, scales: NDArray[Any], out: Floats, length: int) -> bool:
        """Write the values of [rows, n] codes under [rows, blocks] scales; False where numpy has to."""
        if out.dtype != np.float32 or not out.flags.c_contiguous or not out.size or not jit.enabled():
            return False
        if self.element.bits > _MOST_BITS or self.element.wide:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            factors = np.ascontiguousarray(scales, dtype=np.float32)
        if scales.dtype != np.float32 and not np.array_equal(factors, scales, equal_nan=True):
            return False
        kernel, more = self._way
        flat = np.ascontiguousarray(codes).reshape(-1)
        jit.compiled(kernel)(flat, *out.shape, factors, out.reshape(-1), length, *more)
        return True

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """The value of every code."""
        return self.element.decoded.astype(np.float32)

    @cached_property
    def _way(self) -> tuple[Any, tuple[Any, ...]]:
        """The kernel that has the right value for every code, quicker ones first, and its last arguments."""
        ways = [(scaled_values_kernels.of_integers, self._integer)]
        if isinstance(self.record, FloatFormat) and self.record.mantissa_bits < 23 and self.element.bits > 1:
            ways.append((scaled_values_kernels.of_floats, self._float))
        return next((way for way in ways if self._right(*way)), (scaled_values_kernels.by_table, (self.table,)))

    @property
    def _integer(self) -> tuple[Any, ...]:
        unit = self.table[1] if self.table.size > 1 else np.float32(0)
        return np.uint32(32 - self.element.bits), np.int32(0), unit

    @property
    def _float(self) -> tuple[Any, ...]:
        record, bits = self.record, self.element.bits
        mask = (1 << bits - 1) - 1
        beyond = np.flatnonzero(~np.isfinite(self.table[: mask + 1]))
        finite = int(beyond[0]) - 1 if beyond.size else mask
        shift = 23 - record.mantissa_bits
        place = (127 - record.bias << 23) % (1 << 32)
        fields = place, shift, 32 - bits, 1 << record.mantissa_bits, finite, mask
        return self.table, np.array(fields, dtype=np.uint32), self.table[1]

    def _right(self, kernel: Any, more: tuple[Any, ...]) -> bool:
        codes = np.arange(self.table.size, dtype=self.element.code_dtype)
        made = np.empty(codes.size, dtype=np.float32)  # each code in a block of its own
        jit.compiled(kernel)(codes, 1, codes.size, np.ones((1, codes.size), dtype=np.float32), made, 1, *more)
        same = made.view(np.uint32) == self.table.view(np.uint32)
        return bool((same | (np.isnan(made) & np.isnan(self.table))).all())
