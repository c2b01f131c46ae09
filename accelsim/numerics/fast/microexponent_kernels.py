"""Kernels for block floating point under nearest-even; compiled by `jit.compiled`."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def quantize(x, rows, n, out, left, length, fine, most, magnitude_bits):
    """Values of [rows, n] float32 in blocks that share an 8-bit exponent.

    Args:
        x, out: float32 arrays, flat.
        rows, n: their shape.
        left: [rows, blocks], 1 where a block has exponents near the ends of float32 or an infinity and is not done.
        length, fine: elements that share an exponent, and a microexponent.
        most: largest microexponent.
        magnitude_bits: of an element.
    """
    source, target = x.view(np.uint32), out.view(np.uint32)
    add = np.int32(24) - magnitude_bits
    for r in range(rows):
        for b in range(left.shape[1]):
            width = min(length, n - b * length)
            base = r * n + b * length
            amax = np.uint32(0)
            for i in range(np.uint64(width)):
                m = np.uint32(source[np.uint64(base) + i] & np.uint32(0x7FFFFFFF))
                amax = np.uint32(m if m > amax else amax)
            shared = np.int32(amax >> np.uint32(23))
            if amax != 0 and (shared < 1 + most or shared + add > 254):
                left[r, b] = 1
                continue
            shared = np.int32(1 + most if amax == 0 else shared)
            for first in range(0, width, fine):
                size = np.uint64(min(fine, width - first))
                begin = np.uint64(base + first)
                mine = np.uint32(0)
                for i in range(size):
                    m = np.uint32(source[begin + i] & np.uint32(0x7FFFFFFF))
                    mine = np.uint32(m if m > mine else mine)
                shift = min(shared - np.int32(mine >> np.uint32(23)), most)
                unit = np.uint32(np.uint32(shared - shift) << np.uint32(23))
                magic = np.uint32(unit + (np.uint32(add) << np.uint32(23))).view(np.float32)
                quantum = np.uint32(np.uint32(shared - shift - magnitude_bits + 1) << np.uint32(23)).view(np.float32)
                top = np.float32(unit.view(np.float32) * np.float32(2.0)) - quantum
                for i in range(size):
                    u = source[begin + i]
                    a = np.uint32(u & np.uint32(0x7FFFFFFF)).view(np.float32)
                    v = (a + magic) - magic
                    v = top if v > top else v
                    target[begin + i] = np.uint32(np.float32(v).view(np.uint32) | np.uint32(u & np.uint32(0x80000000)))
