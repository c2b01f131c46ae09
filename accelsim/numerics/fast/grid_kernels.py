"""Kernels of the engine for any grid; compiled by `jit.compiled`, also correct as plain Python."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def largest(x):
    """The bits of the largest magnitude among float32 values; above those of infinity if there is a NaN."""
    bits, found = x.view(np.uint32), np.uint32(0)
    for i in range(bits.size):
        found = max(found, np.uint32(bits[i] & np.uint32(0x7FFFFFFF)))
    return found


def any_below(x, least):
    """Whether a float32 that is not zero has a magnitude below the one with these bits."""
    bits, found = x.view(np.uint32), np.uint32(0)
    for i in range(bits.size):
        beside = np.uint32(np.uint32(bits[i] & np.uint32(0x7FFFFFFF)) - np.uint32(1))  # zero becomes the largest
        found = max(found, ~beside)
    return found > ~np.uint32(least - np.uint32(1))


def values_by_table(x, table, out):
    """What a table has for float32 values, by upper half and sticky bit."""
    bits = x.view(np.uint32)
    for i in range(bits.size):
        u = bits[i]
        carry = np.uint32(np.uint32((u & np.uint32(0xFFFF)) + np.uint32(0xFFFF)) & np.uint32(0x10000))
        out[i] = table[np.uint32(u | carry) >> np.uint32(16)]


def codes_by_table(x, table, codes):
    """As `values_by_table`; places are found some thousand at a time, which processors do many at once."""
    places = np.empty(2048, dtype=np.uint16)
    for start in range(0, x.size, places.size):
        bits = x[start : start + places.size].view(np.uint32)
        made = codes[start : start + places.size]
        for i in range(bits.size):
            u = bits[i]
            carry = np.uint32(np.uint32((u & np.uint32(0xFFFF)) + np.uint32(0xFFFF)) & np.uint32(0x10000))
            places[i] = np.uint32(np.uint32(u | carry) >> np.uint32(16))
        for i in range(made.size):
            made[i] = table[places[i]]


def by_one_step(x, shift, steps, sides, out):
    """Codes or values of float32 values, of which each run of upper bits has at most one step.

    Args:
        x: float32 values.
        shift: bits that are no upper bits.
        steps: float32, the step of each run.
        sides: what lies below and what lies above the step of each run, in turn.
        out: as many as x.
    """
    bits = x.view(np.uint32)
    for i in range(bits.size):
        run = np.uint32(bits[i] >> (shift & np.uint32(31)))
        out[i] = sides[np.uint32(2) * run + np.uint32(x[i] >= steps[run])]


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
