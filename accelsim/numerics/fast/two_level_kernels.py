"""Kernels for blocks whose elements are multiplied by given fp32 factors; compiled by `jit.compiled`."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def values(x, rows, n, before, after, out, length, lowest, add, top):
    """Values of [rows, n] float32: times a block's factor, rounded to a float, times another.

    Args:
        x, out: float32 arrays, flat.
        rows, n: their shape.
        before, after: [rows, blocks] factors; `before` is finite.
        length: elements of a block.
        lowest: exponent field of the float's lowest binade.
        add: 23 - mantissa bits.
        top: largest float.
    """
    target = out.view(np.uint32)
    end = np.float32(top).view(np.uint32)
    place = np.uint32(lowest << np.uint32(23))
    step = np.uint32(np.uint32(add) << np.uint32(23))
    for r in range(rows):
        for b in range(before.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            first, last = before[r, b], after[r, b]
            for i in range(width):
                u = np.float32(x[base + i] * first).view(np.uint32)
                m = np.uint32(u & np.uint32(0x7FFFFFFF))
                a = np.uint32(end if m > end else m)
                e = np.uint32(a & np.uint32(0x7F800000))
                magic = np.uint32(np.uint32(e if e > place else place) + step).view(np.float32)
                made = np.float32(((a.view(np.float32) + magic) - magic) * last).view(np.uint32)
                target[base + i] = np.uint32(made | np.uint32(u & np.uint32(0x80000000)))


def codes(x, rows, n, before, out, length, lowest, add, finite, top, sign_shift):
    """Codes of what `values` rounds; `finite` is the number of the largest float."""
    one = np.uint32(1)
    shift = np.uint32(add)
    half = np.uint32((one << (shift - one)) - one)
    place = np.uint32(lowest << np.uint32(23))
    magic = np.uint32(place + np.uint32(shift << np.uint32(23)))
    constant = magic.view(np.float32)
    offset = np.uint32(np.uint32(lowest - one) << np.uint32(np.uint32(23) - shift))
    for r in range(rows):
        for b in range(before.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            first = before[r, b]
            for i in range(width):
                u = np.float32(x[base + i] * first).view(np.uint32)
                a = np.uint32(u & np.uint32(0x7FFFFFFF))
                even = np.uint32(np.uint32(a >> shift) & one)
                rounded = np.uint32(np.uint32(np.uint32(a + half + even) >> shift) - offset)
                small = np.uint32(np.float32(a.view(np.float32) + constant).view(np.uint32) - magic)
                number = np.uint32(rounded if a >= place else small)
                number = np.uint32(finite if number > finite else number)
                out[base + i] = np.uint32(number | np.uint32(np.uint32(u >> np.uint32(31)) << sign_shift))
