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
    seen = False
    one = np.uint64(1)
    half = (one << (cut - one)) - one
    for i in range(bits.size):
        u = bits[i]
        minus = u >> np.uint32(31)
        magnitude = u & np.uint32(0x7FFFFFFF)
        if magnitude >= np.uint32(0x7F800000):
            isnan = magnitude > np.uint32(0x7F800000)
            seen |= isnan
            codes[i] = fixed[minus] if isnan else fixed[np.uint32(2) + minus]
            continue
        if magnitude == 0:
            codes[i] = 0
            continue
        place = np.int64(magnitude >> np.uint32(23)) + np.int64(22)
        fraction = np.uint64(magnitude & np.uint32(0x7FFFFF))
        if place == 22:  # subnormal: make it 1.f
            place = np.int64(23)
            while fraction < np.uint64(0x800000):
                fraction <<= one
                place -= np.int64(1)
            fraction &= np.uint64(0x7FFFFF)
        text = starts[place] + (fraction << shifts[place])
        number = (text + half + ((text >> cut) & one)) >> cut
        number = max(min(number, last), one)
        codes[i] = np.uint64(2) * (last + one) - number if minus else number
    return seen
