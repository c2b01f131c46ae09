"""Kernels for the values of codes in blocks with scales; compiled by `jit.compiled`.

Products are of binary32: of two exact factors they are what a product in binary64 rounds to. Arguments of all: flat
codes of [rows, n], their shape, [rows, blocks] float32 scales, the flat float32 result, elements of a block.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def by_table(codes, rows, n, scales, out, length, table):
    """What a table has for codes, times the scales."""
    for r in range(rows):
        for b in range(scales.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            scale = scales[r, b]
            for i in range(width):
                out[base + i] = table[codes[base + i]] * scale


def of_integers(codes, rows, n, scales, out, length, up, offset, unit):
    """Integers in two's complement, whose sign lies `up` bits below bit 31, less an offset, in units."""
    up = np.uint32(up & np.uint32(31))
    for r in range(rows):
        for b in range(scales.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            scale = scales[r, b]
            for i in range(width):
                left = np.int32(np.uint32(np.uint32(codes[base + i]) << up))
                v = np.int32(np.int32(left >> np.int32(up)) - offset)
                out[base + i] = np.float32(np.float32(v) * unit) * scale


def of_floats(codes, rows, n, scales, out, length, table, fields, unit):
    """Floats, from their fields; blocks with codes beyond the largest finite number by the table.

    Args:
        codes, rows, n, scales, out, length, table: as in `by_table`.
        fields: uint32: what is added to a number once it lies where fp32 has its exponent, by how much it is shifted
            there and its sign to bit 31, the first number that is not subnormal and the largest finite one, the mask
            of numbers.
        unit: float32, of subnormal numbers.
    """
    place, shift, sign, normal, finite, mask = fields
    shift, sign = np.uint32(shift & np.uint32(31)), np.uint32(sign & np.uint32(31))
    for r in range(rows):
        for b in range(scales.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            scale = scales[r, b]
            most = np.uint32(0)
            for i in range(width):
                code = np.uint32(codes[base + i])
                m = np.uint32(code & mask)
                most = np.uint32(m if m > most else most)
                large = np.uint32(np.uint32(m << shift) + place)
                small = np.float32(np.float32(np.int32(m)) * unit).view(np.uint32)
                v = np.uint32(small if m < normal else large)
                v = np.uint32(v | np.uint32(np.uint32(code << sign) & np.uint32(0x80000000)))
                out[base + i] = v.view(np.float32) * scale
            if most > finite:
                for i in range(width):
                    out[base + i] = table[codes[base + i]] * scale
