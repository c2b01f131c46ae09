"""Kernels for floats under nearest-even; compiled by `jit.compiled`.

Adding 2^(e + width - m) to a magnitude of exponent e and taking it away again rounds it to m fraction bits, by the
machine's own rounding; e is held at the lowest binade of the format, so that subnormals come out as well.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np

_31 = np.uint32(31)
"""Of a shift count, so that the compiler knows it to stay within 32-bit lanes."""


def quantize32(x, out, lowest, highest, add, largest, over, keep):
    """Rounded float32 values; whether there was a NaN.

    Args:
        x, out: float32 arrays of one length.
        lowest, highest: exponent fields of the lowest binade and of one above the highest, in place.
        add: width - m, in the place of an exponent field.
        largest: largest finite value.
        over: what lies beyond becomes this.
        keep: 1 if zeros keep their sign, 0 if not.
    """
    bits, made, worst = x.view(np.uint32), out.view(np.uint32), np.uint32(0)
    for i in range(bits.size):
        u = bits[i]
        a = np.uint32(u & np.uint32(0x7FFFFFFF))
        worst = max(worst, a)
        magic = np.uint32(min(max(a & np.uint32(0x7F800000), lowest), highest) + add).view(np.float32)
        r = (np.uint32(a).view(np.float32) + magic) - magic
        r = over if r > largest else r
        b = np.float32(r).view(np.uint32)
        made[i] = b | (u & np.uint32(0x80000000) if (b | keep) else np.uint32(0))
    return worst > np.uint32(0x7F800000)


def quantize64(x, out, lowest, highest, add, largest, over, keep):
    """As `quantize32`, for float64."""
    bits, made, worst = x.view(np.uint64), out.view(np.uint64), np.uint64(0)
    for i in range(bits.size):
        u = bits[i]
        a = u & np.uint64(0x7FFFFFFFFFFFFFFF)
        worst = max(worst, a)
        magic = np.uint64(min(max(a & np.uint64(0x7FF0000000000000), lowest), highest) + add).view(np.float64)
        r = (np.uint64(a).view(np.float64) + magic) - magic
        r = over if r > largest else r
        b = np.float64(r).view(np.uint64)
        made[i] = b | (u & np.uint64(0x8000000000000000) if (b | keep) else np.uint64(0))
    return worst > np.uint64(0x7FF0000000000000)


def quantize32_wide(x, out, shift, finite, over, keep):
    """As `quantize32`, for formats with the exponents of float32, of which they are the upper bits.

    Args:
        x, out, keep: as there.
        shift: bits that are dropped.
        finite, over: bits of the largest finite value and of what lies beyond.
    """
    bits, made, worst = x.view(np.uint32), out.view(np.uint32), np.uint32(0)
    one = np.uint32(1)
    half = np.uint32((one << (np.uint32(shift - one) & _31)) - one)
    mask = np.uint32(0xFFFFFFFF) << (shift & _31)
    for i in range(bits.size):
        u = bits[i]
        a = np.uint32(u & np.uint32(0x7FFFFFFF))
        worst = max(worst, a)
        odd = np.uint32(np.uint32(a >> (shift & _31)) & one)
        b = np.uint32(np.uint32(a + half + odd) & mask)
        b = np.uint32(over if b > finite else b)
        b = np.uint32(np.uint32(0x7FC00000) if a > np.uint32(0x7F800000) else b)
        made[i] = b | (u & np.uint32(0x80000000) if (b | keep) else np.uint32(0))
    return worst > np.uint32(0x7F800000)


def encode32(x, codes, lowest, shift, magic, sign_shift, finite, above, nan, nan_sign, keep):
    """Codes of float32 values; whether there was a NaN.

    Args:
        x: float32 values.
        codes: unsigned integers, as many.
        lowest: exponent field of the lowest binade in float32.
        shift: 23 - m.
        magic: bits of the constant whose last place is the quantum of the lowest binade.
        sign_shift: place of the sign bit.
        finite: number of the largest finite magnitude.
        above: number of what lies beyond; it keeps its sign.
        nan: code of NaN.
        nan_sign: all ones if NaN keeps its sign, 0 if not.
        keep: 1 if zeros keep their sign, 0 if not.
    """
    bits, worst = x.view(np.uint32), np.uint32(0)
    one = np.uint32(1)
    constant = np.uint32(magic).view(np.float32)
    half = np.uint32((one << (np.uint32(shift - one) & _31)) - one)
    offset = np.uint32((lowest - one) << np.uint32(23 - shift))
    normal = np.uint32(lowest << np.uint32(23))
    for i in range(bits.size):
        u = bits[i]
        a = np.uint32(u & np.uint32(0x7FFFFFFF))
        worst = max(worst, a)
        sign = np.uint32(np.uint32(u >> np.uint32(31)) << (sign_shift & _31))
        odd = np.uint32(np.uint32(a >> (shift & _31)) & one)
        rounded = np.uint32(np.uint32(np.uint32(a + half + odd) >> (shift & _31)) - offset)
        small = np.uint32(np.float32(np.uint32(a).view(np.float32) + constant).view(np.uint32) - magic)
        number = np.uint32(rounded if a >= normal else small)
        number = np.uint32(above if number > finite else number)
        isnan = a > np.uint32(0x7F800000)
        number = np.uint32(nan if isnan else number)
        sign &= np.uint32(nan_sign if isnan else np.uint32(0xFFFFFFFF))
        codes[i] = np.uint32(number | np.uint32(sign if (number | keep) else np.uint32(0)))
    return worst > np.uint32(0x7F800000)
