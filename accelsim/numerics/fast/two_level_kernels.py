"""Kernels for blocks whose elements are multiplied by given fp32 factors; compiled by `jit.compiled`."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def quantize(x, rows, n, out, length, target, tensor, scales, least, most, element, top):
    """Values of [rows, n] finite float32, step by step in fp32, under a given scale of the tensor.

    Some blocks at a time: their largest magnitudes, then what elements are multiplied by before and after, then the
    elements, all of it in the cache.

    Args:
        x, out: float32 arrays, flat.
        rows, n: their shape.
        length: elements of a block.
        target: element that the largest one of a block becomes.
        tensor: scale of the tensor.
        scales, element: of the scales' format and of the elements': exponent field of the lowest binade, and 23 -
            mantissa bits.
        least, most: ends of the block scales.
        top: largest element.
    """
    source, made = x.view(np.uint32), out.view(np.uint32)
    end = np.float32(top).view(np.uint32)
    scale_place, scale_step = np.uint32(scales[0] << np.uint32(23)), np.uint32(scales[1] << np.uint32(23))
    place, step = np.uint32(element[0] << np.uint32(23)), np.uint32(element[1] << np.uint32(23))
    inverse = np.divide(np.float32(1), tensor)
    before, after = np.empty(256, dtype=np.float32), np.empty(256, dtype=np.float32)
    many = -(-n // length)
    for r in range(rows):
        for start in range(0, many, before.size):
            blocks = min(before.size, many - start)
            for b in range(blocks):
                width = np.uint64(min(length, n - (start + b) * length))
                base = np.uint64(r * n + (start + b) * length)
                amax = np.uint32(0)
                for i in range(width):
                    m = np.uint32(source[base + i] & np.uint32(0x7FFFFFFF))
                    amax = np.uint32(m if m > amax else amax)
                after[b] = np.uint32(amax).view(np.float32)
            for b in range(blocks):
                wanted = np.divide(np.divide(after[b], target), tensor)
                wanted = least if wanted < least else wanted
                wanted = most if wanted > most else wanted
                e = np.uint32(np.float32(wanted).view(np.uint32) & np.uint32(0x7F800000))
                magic = np.uint32(np.uint32(e if e > scale_place else scale_place) + scale_step).view(np.float32)
                scale = np.float32((wanted + magic) - magic)
                before[b] = np.divide(inverse, scale) if scale > 0 else np.float32(0)
                after[b] = scale * tensor
            for b in range(blocks):
                width = np.uint64(min(length, n - (start + b) * length))
                base = np.uint64(r * n + (start + b) * length)
                first, last = before[b], after[b]
                for i in range(width):
                    u = np.float32(x[base + i] * first).view(np.uint32)
                    m = np.uint32(u & np.uint32(0x7FFFFFFF))
                    a = np.uint32(end if m > end else m)
                    e = np.uint32(a & np.uint32(0x7F800000))
                    magic = np.uint32(np.uint32(e if e > place else place) + step).view(np.float32)
                    v = np.float32(((a.view(np.float32) + magic) - magic) * last).view(np.uint32)
                    made[base + i] = np.uint32(v | np.uint32(u & np.uint32(0x80000000)))


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
