"""Posits by integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.fast.strings import StringCodec, bit_length, tabled
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.posit import PositGrid
from accelsim.spec.format import PositFormat


def build(record: PositFormat, policy: Policy, grid: PositGrid) -> ElementCodec:
    """The codec of a posit format."""
    return tabled(grid, policy) or PositCodec(record, policy, grid)


class PositCodec(StringCodec):
    """Regime, exponent and fraction as one integer."""

    def __init__(self, record: PositFormat, policy: Policy, grid: PositGrid) -> None:
        super().__init__(grid, policy)
        self._es, self._shift = record.es, record.exponent_shift
        self._limit = record.regime_limit or record.bits - 1

    def _string(
        self, exponent: NDArray[np.int64], fraction: NDArray[np.uint64], width: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        whole = exponent - self._shift
        k = whole >> self._es
        e = (whole - (k << self._es)).astype(np.uint64)
        run = np.where(k >= 0, k + 1, -k)
        beyond = run > self._limit
        run = np.minimum(run, self._limit)
        ended = (run < self._limit).astype(np.int64)  # the regime ends with the opposite bit
        ones = ((np.int64(1) << run) - 1) << ended
        prefix = np.where(k >= 0, ones, ended).astype(np.uint64)
        left = 63 - run - ended
        tail = (e << np.uint64(width)) | fraction
        more = left - (self._es + width)
        up, down = np.maximum(more, 0).astype(np.uint64), np.maximum(-more, 0).astype(np.uint64)
        cut = tail >> down
        text = (prefix << left.astype(np.uint64)) | (cut << up)
        text = np.where(beyond, np.where(k >= 0, np.uint64((1 << 63) - 1), np.uint64(0)), text)
        return text, beyond | ((cut << down) != tail)

    def _magnitudes(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        width = self.bits - 1
        ones = (codes >> width - 1) == 1
        run = width - bit_length(np.where(ones, (1 << width) - 1 - codes, codes))
        run = np.minimum(run, self._limit)
        left = width - run - (run < self._limit)
        tail = codes & ((np.int64(1) << left) - 1)
        fraction_bits = np.maximum(left - self._es, 0)
        e = np.where(left >= self._es, tail >> fraction_bits, tail << np.maximum(self._es - left, 0))
        whole = (np.where(ones, run - 1, -run) << self._es) + e + self._shift
        hidden = np.int64(1) << fraction_bits
        values: NDArray[np.float64] = np.ldexp(
            (hidden | (tail & (hidden - 1))).astype(np.float64), whole - fraction_bits
        )
        return values
