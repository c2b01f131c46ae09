"""Kernels for blocks under nearest-even; compiled by `jit.compiled`.

Blocks of the OCP MX kind: the exponent of the largest magnitude, raised by one where its fraction is above a threshold,
gives the scale; adding a power of two and taking it away again rounds the elements, as in `float_kernels`. What needs
more care (NaN, infinities, exponents near the ends of float32) is marked in `left` and not written.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def quantize_float(x, rows, n, out, left, length, threshold, largest_field, lowest, add, top):
    """Values of [rows, n] float32 in blocks of floats with a power of two.

    Args:
        x, out: float32 arrays, flat.
        rows, n: their shape.
        left: [rows, blocks], 1 where a block is not done.
        length: elements of a block.
        threshold: fraction of the largest magnitude above which the exponent is one higher.
        largest_field: floor(log2) of the element's largest value.
        lowest: exponent of the element's lowest binade.
        add: 23 - mantissa bits.
        top: largest element.
    """
    source, target = x.view(np.uint32), out.view(np.uint32)
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            field = np.int32(amax >> np.uint32(23))
            bump = np.int32((amax & np.uint32(0x7FFFFF)) > threshold)
            scale = field + bump - largest_field  # exponent field of the scale
            low = scale + lowest
            if amax != 0 and (low < 1 or scale < 1 or field + add > 254 or scale > 254):
                left[r, b] = 1
                continue
            low = np.int32(1) if amax == 0 else low
            place = np.uint32(np.uint32(low) << np.uint32(23))
            step = np.uint32(np.uint32(add) << np.uint32(23))
            factor = np.uint32(np.uint32(max(scale, 1)) << np.uint32(23)).view(np.float32)
            most = factor * top
            for i in range(width):
                u = source[base + i]
                a = np.uint32(u & np.uint32(0x7FFFFFFF))
                e = np.uint32(a & np.uint32(0x7F800000))
                magic = np.uint32(np.uint32(e if e > place else place) + step).view(np.float32)
                v = (a.view(np.float32) + magic) - magic
                v = most if v > most else v
                target[base + i] = np.uint32(np.float32(v).view(np.uint32) | np.uint32(u & np.uint32(0x80000000)))


def encode_float(x, rows, n, codes, scales, left, length, threshold, largest_field, lowest, add, finite, sign_shift):
    """Codes and scale codes as `quantize_float`; `finite` is the number of the largest element."""
    source = x.view(np.uint32)
    one = np.uint32(1)
    shift = np.uint32(add)
    half = np.uint32((one << (shift - one)) - one)
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            field = np.int32(amax >> np.uint32(23))
            bump = np.int32((amax & np.uint32(0x7FFFFF)) > threshold)
            scale = field + bump - largest_field
            low = scale + lowest
            if amax != 0 and (low < 1 or scale < 1 or field + add > 254 or scale > 254):
                left[r, b] = 1
                continue
            low = np.int32(1) if amax == 0 else low
            scales[r, b] = 0 if amax == 0 else scale
            place = np.uint32(np.uint32(low) << np.uint32(23))
            magic = np.uint32(place + (shift << np.uint32(23)))
            constant = np.uint32(magic).view(np.float32)
            offset = np.uint32(np.uint32(low - np.int32(1)) << np.uint32(23 - add))
            for i in range(width):
                u = source[base + i]
                a = np.uint32(u & np.uint32(0x7FFFFFFF))
                even = np.uint32(np.uint32(a >> shift) & one)
                rounded = np.uint32(np.uint32(np.uint32(a + half + even) >> shift) - offset)
                small = np.uint32(np.float32(a.view(np.float32) + constant).view(np.uint32) - magic)
                number = np.uint32(rounded if a >= place else small)
                number = np.uint32(finite if number > finite else number)
                codes[base + i] = np.uint32(number | np.uint32((u >> np.uint32(31)) << sign_shift))


def quantize_integer(x, rows, n, out, left, length, threshold, largest_field, quantum, low, high):
    """As `quantize_float` for integers in units of 2^quantum of the scale, `low` to `high`."""
    source = x.view(np.uint32)
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            field = np.int32(amax >> np.uint32(23))
            bump = np.int32((amax & np.uint32(0x7FFFFF)) > threshold)
            unit = field + bump - largest_field + quantum  # exponent field of the scale times the quantum
            if amax == 0:
                for i in range(width):
                    out[base + i] = np.float32(0)
                continue
            if unit < 1 or unit > 253 or field > 253:
                left[r, b] = 1
                continue
            one = np.uint32(np.uint32(unit) << np.uint32(23)).view(np.float32)
            inverse = np.uint32(np.uint32(254 - unit) << np.uint32(23)).view(np.float32)
            for i in range(width):
                v = np.rint(x[base + i] * inverse)
                v = low if v < low else v
                v = high if v > high else v
                out[base + i] = (v + np.float32(0)) * one


def encode_integer(x, rows, n, codes, scales, left, length, threshold, largest_field, quantum, low, high, mask):
    """Codes and scale codes as `quantize_integer`; `mask` has the bits of a code."""
    source = x.view(np.uint32)
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            field = np.int32(amax >> np.uint32(23))
            bump = np.int32((amax & np.uint32(0x7FFFFF)) > threshold)
            scale = field + bump - largest_field
            unit = scale + quantum
            if amax == 0:
                scales[r, b] = 0
                for i in range(width):
                    codes[base + i] = 0
                continue
            if unit < 1 or unit > 253 or field > 253 or scale < 0:
                left[r, b] = 1
                continue
            scales[r, b] = scale
            inverse = np.uint32(np.uint32(254 - unit) << np.uint32(23)).view(np.float32)
            for i in range(width):
                v = np.rint(x[base + i] * inverse)
                v = low if v < low else v
                v = high if v > high else v
                codes[base + i] = np.int32(v) & mask


def largest(x, rows, n, out, length):
    """Bits of the largest magnitude of each block of [rows, n] float32; above 0x7F800000 where there is NaN."""
    source = x.view(np.uint32)
    for r in range(rows):
        for b in range(out.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            out[r, b] = amax


def divide_integer(x, rows, n, scales, out, length, low, high):
    """Values of [rows, n] float32 over given scales, rounded to integers from low to high, times the scales.

    Scales are float32. A quotient that binary32 rounds to a half may lie on either side of it: runs of elements with
    one are done again in binary64, where quotients of binary32 values lie on the sides that the exact ones lie on.
    """
    for r in range(rows):
        for b in range(scales.shape[1]):
            first, end = r * n + b * length, r * n + min((b + 1) * length, n)
            scale = scales[r, b]
            for start in range(first, end, 1024):
                source, made = x[start : min(start + 1024, end)], out[start : min(start + 1024, end)]
                if scale == 0:
                    made[:] = np.float32(0)
                    continue
                halves = np.uint32(0)
                for i in range(source.size):
                    q = np.divide(source[i], scale)
                    v = np.rint(q)
                    halves |= np.uint32(np.abs(np.float32(q - v)) == np.float32(0.5))
                    v = low if v < low else v
                    v = high if v > high else v
                    made[i] = (v + np.float32(0)) * scale
                if halves:
                    for i in range(source.size):
                        w = np.rint(np.float64(source[i]) / np.float64(scale))
                        w = np.float64(low) if w < low else w
                        w = np.float64(high) if w > high else w
                        made[i] = np.float32((w + 0.0) * np.float64(scale))


def divide_integer_codes(x, rows, n, scales, codes, length, low, high, mask):
    """Codes as `divide_integer`."""
    for r in range(rows):
        for b in range(scales.shape[1]):
            first, end = r * n + b * length, r * n + min((b + 1) * length, n)
            scale = scales[r, b]
            for start in range(first, end, 1024):
                source, made = x[start : min(start + 1024, end)], codes[start : min(start + 1024, end)]
                if scale == 0:
                    made[:] = 0
                    continue
                halves = np.uint32(0)
                for i in range(source.size):
                    q = np.divide(source[i], scale)
                    v = np.rint(q)
                    halves |= np.uint32(np.abs(np.float32(q - v)) == np.float32(0.5))
                    v = low if v < low else v
                    v = high if v > high else v
                    made[i] = np.int32(v) & mask
                if halves:
                    for i in range(source.size):
                        w = np.rint(np.float64(source[i]) / np.float64(scale))
                        w = np.float64(low) if w < low else w
                        w = np.float64(high) if w > high else w
                        made[i] = np.int32(w) & mask
