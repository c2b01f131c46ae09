"""Kernels of posits and takums under nearest-even; compiled by `jit.compiled`, also correct as plain Python."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def encode32(x, starts, shifts, cut, last, fixed, codes):
    """Codes of float32 values; whether there was a NaN.

    `starts` and `shifts` say, for each exponent from -149 on, with which 63 bits the string begins and how far up the
    fraction goes in it; the code is what is left of it without its lowest `cut` bits, from 1 to `last`. `fixed` holds
    the codes of NaN, -NaN, infinity and -infinity.
    """
    bits = x.view(np.uint32)
    seen = np.uint32(0)
    one = np.uint64(1)
    half = (one << (cut - one)) - one
    nar = last + one
    for i in range(bits.size):
        u = np.uint64(bits[i])
        minus = u >> np.uint64(31)
        magnitude = u & np.uint64(0x7FFFFFFF)
        place = (magnitude >> np.uint64(23)) + np.uint64(22)  # unsigned: numba checks signed places for wrapping
        fraction = magnitude & np.uint64(0x7FFFFF)
        if magnitude == 0:
            codes[i] = 0
            continue
        if magnitude >= np.uint64(0x7F800000):
            isnan = magnitude > np.uint64(0x7F800000)
            seen |= np.uint32(isnan)
            codes[i] = fixed[minus] if isnan else fixed[np.uint64(2) + minus]
            continue
        if place == np.uint64(22):  # subnormal: make it 1.f
            place += one
            while fraction < np.uint64(0x800000):
                fraction <<= one
                place -= one
            fraction &= np.uint64(0x7FFFFF)
        text = starts[place] + (fraction << shifts[place])
        number = (text + half + ((text >> cut) & one)) >> cut
        number = max(min(number, last), one)
        codes[i] = nar + nar - number if minus else number
    return seen
