"""Linear takums by integers; logarithmic ones by the engine of all grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast import lns
from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.fast.strings import StringCodec, bit_length, tabled
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.strings import StringGrid
from accelsim.spec.format import TakumFormat


def build(record: TakumFormat, policy: Policy, grid: StringGrid) -> ElementCodec:
    """The codec of a takum format.

    Raises:
        RequestError: stochastic rounding of a logarithmic one.
    """
    if record.logarithmic:
        return lns.engine(record.name, policy, grid)
    return tabled(grid, policy) or TakumCodec(grid, policy)


class TakumCodec(StringCodec):
    """Direction, regime, characteristic and mantissa as one integer, which 63 bits hold in full."""

    def _string(
        self, exponent: NDArray[np.int64], fraction: NDArray[np.uint64], width: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        beyond = (exponent < -255) | (exponent > 254)
        c = np.clip(exponent, -255, 254)
        r = bit_length(np.where(c >= 0, c + 1, -c)) - 1
        whole = np.int64(1) << r
        regime = np.where(c >= 0, 8 + r, 7 - r)
        rest = np.where(c >= 0, c + 1 - whole, c - 1 + 2 * whole)
        head = ((regime << r) | rest).astype(np.uint64) << np.uint64(width)
        text = (head | fraction) << (59 - width - r).astype(np.uint64)
        ends = np.where(exponent > 0, np.uint64((1 << 63) - 1), np.uint64(0))
        return np.where(beyond, ends, text), beyond

    def _magnitudes(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        width = max(self.bits, 12)
        codes = codes << width - self.bits
        up = (codes >> width - 2) == 1
        regime = (codes >> width - 5) & 7
        r = np.where(up, regime, 7 - regime)
        left = width - 5 - r
        whole = np.int64(1) << r
        characteristic = (codes >> left) & (whole - 1)
        c = np.where(up, whole - 1 + characteristic, 1 - 2 * whole + characteristic)
        hidden = np.int64(1) << left
        values: NDArray[np.float64] = np.ldexp((hidden | (codes & (hidden - 1))).astype(np.float64), c - left)
        return values
