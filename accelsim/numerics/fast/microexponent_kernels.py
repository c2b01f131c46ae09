"""Kernels for block floating point; compiled by `jit.compiled`.

Each works on a block at a time: first the exponent of every element's sub-block, then the elements. Arguments of all:
flat arrays of [rows, n], their shape, elements that share an exponent (`length`) and a microexponent (`fine`).
`left` is [rows, blocks] and becomes 1 where a block has exponents near the ends of float32, an infinity or a NaN and is
not done.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def quantize(x, rows, n, out, left, length, fine, most, magnitude_bits):
    """Values of [rows, n] float32 in blocks that share an 8-bit exponent, under nearest-even.

    Args:
        most: largest microexponent.
        magnitude_bits: of an element.
    """
    source, target = x.view(np.uint32), out.view(np.uint32)
    fields, add = np.empty(length, dtype=np.uint32), np.uint32(24 - magnitude_bits)
    step, less = np.uint32(add << np.uint32(23)), np.uint32(np.uint32(magnitude_bits - 1) << np.uint32(23))
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            shared = np.int32(amax >> np.uint32(23))
            if amax != 0 and (shared < 1 + most or shared + np.int32(add) > 254):
                left[r, b] = 1
                continue
            shared = np.int32(1 + most if amax == 0 else shared)
            high, low = np.uint32(shared), np.uint32(shared - most)
            if fine == 2 and width & np.uint64(1) == 0:
                for j in range(width >> np.uint64(1)):
                    at = base + j + j
                    m = np.uint32(source[at] & np.uint32(0x7FFFFFFF))
                    other = np.uint32(source[at + np.uint64(1)] & np.uint32(0x7FFFFFFF))
                    e = np.uint32(np.uint32(m if m > other else other) >> np.uint32(23))
                    e = np.uint32(np.uint32(e if e > low else low) << np.uint32(23))
                    fields[j + j] = e
                    fields[j + j + np.uint64(1)] = e
            elif most == 0:
                fields[:] = np.uint32(high << np.uint32(23))
            else:
                for first in range(np.uint64(0), width, np.uint64(fine)):
                    last = min(first + np.uint64(fine), width)
                    mine = np.uint32(0)
                    for i in range(first, last):
                        mine = max(mine, np.uint32(source[base + i] & np.uint32(0x7FFFFFFF)))
                    e = max(np.uint32(mine >> np.uint32(23)), low)
                    fields[first:last] = np.uint32(e << np.uint32(23))
            for i in range(width):
                u, unit = source[base + i], fields[i]
                a = np.uint32(u & np.uint32(0x7FFFFFFF)).view(np.float32)
                magic = np.uint32(unit + step).view(np.float32)
                top = np.uint32(unit + np.uint32(0x800000)).view(np.float32) - np.uint32(unit - less).view(np.float32)
                v = np.float32((a + magic) - magic)
                v = np.float32(v if v < top else top)
                target[base + i] = np.uint32(v.view(np.uint32) | np.uint32(u & np.uint32(0x80000000)))


def encode(x, rows, n, codes, scales, shifts, left, length, fine, most, magnitude_bits):
    """Codes, [rows, blocks] codes of exponents and [rows, sub-blocks] microexponents, as `quantize`."""
    source = x.view(np.uint32)
    fields, add = np.empty(length, dtype=np.uint32), np.uint32(24 - magnitude_bits)
    step, end = np.uint32(add << np.uint32(23)), np.uint32((1 << magnitude_bits) - 1)
    up = np.uint32(np.uint32(31 - magnitude_bits) & np.uint32(31))
    sign = np.uint32(np.uint32(1) << np.uint32(np.uint32(magnitude_bits) & np.uint32(31)))
    each = length // fine
    for r in range(rows):
        for b in range(left.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            amax = np.uint32(0)
            for i in range(width):
                m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            shared = np.int32(amax >> np.uint32(23))
            if amax != 0 and (shared < 1 + most or shared + np.int32(add) > 254):
                left[r, b] = 1
                continue
            scales[r, b] = shared
            shared = np.int32(1 + most if amax == 0 else shared)
            low = np.uint32(shared - most)
            if most == 0:
                fields[:] = np.uint32(low << np.uint32(23))
            elif fine == 2 and width & np.uint64(1) == 0:
                for j in range(width >> np.uint64(1)):
                    at = base + j + j
                    m = np.uint32(source[at] & np.uint32(0x7FFFFFFF))
                    other = np.uint32(source[at + np.uint64(1)] & np.uint32(0x7FFFFFFF))
                    m = np.uint32(m if m > other else other)
                    e = np.uint32(m >> np.uint32(23))
                    e = np.uint32(e if e > low else low)
                    shift = np.uint32(np.uint32(shared) - e)
                    shifts[r, np.uint64(b * each) + j] = np.uint32(shift if m else np.uint32(0))
                    e = np.uint32(e << np.uint32(23))
                    fields[j + j] = e
                    fields[j + j + np.uint64(1)] = e
            else:
                for first in range(np.uint64(0), width, np.uint64(fine)):
                    last = min(first + np.uint64(fine), width)
                    mine = np.uint32(0)
                    for i in range(first, last):
                        mine = max(mine, np.uint32(source[base + i] & np.uint32(0x7FFFFFFF)))
                    e = max(np.uint32(mine >> np.uint32(23)), low)
                    fields[first:last] = np.uint32(e << np.uint32(23))
                    shifts[r, b * each + first // np.uint64(fine)] = np.uint32(shared) - e if mine else np.uint32(0)
            for i in range(width):
                u = source[base + i]
                a = np.uint32(u & np.uint32(0x7FFFFFFF)).view(np.float32)
                magic = np.uint32(fields[i] + step)
                number = np.uint32(np.float32(a + magic.view(np.float32)).view(np.uint32) - magic)
                number = np.uint32(number if number < end else end)
                codes[base + i] = np.uint32(number | np.uint32(np.uint32(u >> up) & sign))


def decode(codes, rows, n, scales, shifts, out, length, fine, magnitude_bits):
    """Values of codes, exponents and [rows, sub-blocks] microexponents, rounded once; none for `fine` of 0."""
    ends, target = np.uint32((1 << magnitude_bits) - 1), out.view(np.uint32)
    up = np.uint32(np.uint32(31 - magnitude_bits) & np.uint32(31))
    fields, each = np.empty(length, dtype=np.int32), length // max(fine, 1)
    less = np.int32(magnitude_bits - 1)
    for r in range(rows):
        for b in range(scales.shape[1]):
            width = np.uint64(min(length, n - b * length))
            base = np.uint64(r * n + b * length)
            high = np.int32(np.int32(scales[r, b]) - less)
            lowest = high
            if fine == 0:
                fields[:] = high
            elif fine == 2 and width & np.uint64(1) == 0:
                for j in range(width >> np.uint64(1)):
                    e = np.int32(high - np.int32(shifts[r, np.uint64(b * each) + j]))
                    lowest = np.int32(e if e < lowest else lowest)
                    fields[j + j] = e
                    fields[j + j + np.uint64(1)] = e
            else:
                for i in range(width):
                    fields[i] = np.int32(high - np.int32(shifts[r, np.uint64(b * each) + i // np.uint64(fine)]))
                    lowest = np.int32(fields[i] if fields[i] < lowest else lowest)
            if lowest >= 1 and high <= 254:
                for i in range(width):
                    code = np.uint32(codes[base + i])
                    unit = np.uint32(np.uint32(fields[i]) << np.uint32(23)).view(np.float32)
                    v = np.float32(np.float32(np.int32(code & ends)) * unit).view(np.uint32)
                    minus = np.uint32(np.uint32(code << up) & np.uint32(0x80000000))
                    target[base + i] = np.uint32(v | minus)
            else:
                for i in range(width):
                    code = np.uint32(codes[base + i])
                    unit = np.uint64(np.uint64(fields[i] + 896) << np.uint64(52)).view(np.float64)
                    v = np.float64(np.int32(code & ends)) * unit
                    out[base + i] = np.float32(-v if code > ends else v)
