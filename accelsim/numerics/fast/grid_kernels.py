"""Kernels of the engine for any grid; compiled by `jit.compiled`, also correct as plain Python."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def by_table(x, table, out):
    """What a table has for float32 values, by upper half and sticky bit: codes or values."""
    bits = x.view(np.uint32)
    for i in range(bits.size):
        u = bits[i]
        out[i] = table[(u >> np.uint32(16)) | np.uint32((u & np.uint32(0xFFFF)) != 0)]


def decode_by_table(codes, table, out):
    """The values of codes."""
    for i in range(codes.size):
        out[i] = table[codes[i]]


def encode_by_search(x, steps, level_codes, buckets, fixed, codes):
    """Codes of float32 values by a search among the steps within their upper half.

    `fixed` holds the codes of NaN, -NaN, infinity, -infinity, -0 and 0.
    """
    bits = x.view(np.uint32)
    for i in range(bits.size):
        u = bits[i]
        magnitude = u & np.uint32(0x7FFFFFFF)
        minus = u >> np.uint32(31)
        if magnitude > np.uint32(0x7F800000):
            codes[i] = fixed[minus]
            continue
        if magnitude == np.uint32(0x7F800000):
            codes[i] = fixed[2 + minus]
            continue
        value = x[i]
        at = np.int64(magnitude >> np.uint32(16))
        if minus:
            low, high = buckets[32769 + at + 1], buckets[32769 + at]
        else:
            low, high = buckets[at], buckets[at + 1]
        while low < high:
            middle = (low + high) // 2
            if steps[middle] <= value:
                low = middle + 1
            else:
                high = middle
        code = level_codes[low]
        codes[i] = fixed[4] if minus and code == fixed[5] else code
