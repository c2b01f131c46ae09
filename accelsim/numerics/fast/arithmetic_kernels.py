"""Kernels of dot products, every sum in its written order; compiled by `jit.compiled`, without contraction.

Each has a numpy form in `accelsim.numerics.arithmetic` that gives the same bits.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np

_BLOCK = 256  # columns that are worked on at a time


def reach(x, low, high, most):
    """How far the bits of the nonzero elements of each column reach.

    Args:
        x: finite float64 [k, n].
        low, high: int64 [n], `most` and -`most` before; exponents of the lowest bits and above the highest afterwards.
        most: for columns of zeros.

    Returns:
        Most bits from the lowest to the highest of one element, at least 1.
    """
    k, n = x.shape
    significant = np.int64(1)
    for i in range(k):
        row = x[i]
        for j in range(n):
            u = np.float64(row[j]).view(np.int64)
            field = (u >> 52) & 0x7FF
            digits = (u & 0xFFFFFFFFFFFFF) | (np.int64(field != 0) << 52)
            unit = field + np.int64(field == 0) - 1075
            # whole numbers below 2^53 are exact in float64, whose exponent counts their bits
            lowest = unit + ((np.float64(digits & -digits).view(np.int64) >> 52) - 1023)
            highest = unit + ((np.float64(digits).view(np.int64) >> 52) - 1022)
            zero = digits == 0
            lowest, highest = most if zero else lowest, -most if zero else highest
            low[j] = min(low[j], lowest)
            high[j] = max(high[j], highest)
            significant = max(significant, highest - lowest)
    return significant


def distil(stack):
    """Make the rows of [parts, n] float64 an expansion: passes of error-free sums until nothing moves.

    Args:
        stack: rows that are added, from the largest on where that is known; changed in place.
    """
    parts, n = stack.shape
    for _ in range(parts):
        moved = 0
        for i in range(parts - 1, 0, -1):
            x, y = stack[i - 1], stack[i]
            for j in range(n):
                total = x[j] + y[j]
                shadow = total - x[j]
                error = (x[j] - (total - shadow)) + (y[j] - shadow)
                moved |= int(total != x[j])
                x[j] = total
                y[j] = error
        if moved == 0:
            break


def plain32(a, b, sums):
    """Sums of float32 products, each rounded by the machine; k in sequence, four at a time.

    Args:
        a, b: float32 [m, k] and [k, n].
        sums: float32 [m, n], what to add to; changed in place.
    """
    m, count = a.shape
    n = b.shape[1]
    whole = count - count % 4
    for start in range(0, whole, 64):
        for i in range(m):
            row = sums[i]
            for k in range(start, min(start + 64, whole), 4):
                x0, x1, x2, x3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                y0, y1, y2, y3 = b[k], b[k + 1], b[k + 2], b[k + 3]
                for j in range(n):
                    total = row[j] + x0 * y0[j]
                    total = total + x1 * y1[j]
                    total = total + x2 * y2[j]
                    row[j] = total + x3 * y3[j]
    for i in range(m):
        row = sums[i]
        for k in range(whole, count):
            x = a[i, k]
            y = b[k]
            for j in range(n):
                row[j] = row[j] + x * y[j]


def cut32(a, b, sums, mask, product_mask):
    """As `plain32`, with sums and products cut by masks.

    Args:
        a, b, sums: as there.
        mask, product_mask: uint32, the bits of sums and of products that stay.
    """
    m, count = a.shape
    n = b.shape[1]
    whole = count - count % 4
    for start in range(0, whole, 64):
        for i in range(m):
            row = sums[i]
            for k in range(start, min(start + 64, whole), 4):
                x0, x1, x2, x3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                y0, y1, y2, y3 = b[k], b[k + 1], b[k + 2], b[k + 3]
                for j in range(n):
                    p0 = np.uint32(np.float32(x0 * y0[j]).view(np.uint32) & product_mask).view(np.float32)
                    p1 = np.uint32(np.float32(x1 * y1[j]).view(np.uint32) & product_mask).view(np.float32)
                    p2 = np.uint32(np.float32(x2 * y2[j]).view(np.uint32) & product_mask).view(np.float32)
                    p3 = np.uint32(np.float32(x3 * y3[j]).view(np.uint32) & product_mask).view(np.float32)
                    total = np.uint32(np.float32(row[j] + p0).view(np.uint32) & mask).view(np.float32)
                    total = np.uint32(np.float32(total + p1).view(np.uint32) & mask).view(np.float32)
                    total = np.uint32(np.float32(total + p2).view(np.uint32) & mask).view(np.float32)
                    row[j] = np.uint32(np.float32(total + p3).view(np.uint32) & mask).view(np.float32)
    for i in range(m):
        row = sums[i]
        for k in range(whole, count):
            x = a[i, k]
            y = b[k]
            for j in range(n):
                product = np.uint32(np.float32(x * y[j]).view(np.uint32) & product_mask).view(np.float32)
                row[j] = np.uint32(np.float32(row[j] + product).view(np.uint32) & mask).view(np.float32)


def narrow32(a, b, sums, lowest, highest, add, largest):
    """Sums and products rounded to nearest even in a width of at most 10 fraction bits; k in sequence.

    The machine's rounding to float32 comes first and does no harm: 24 >= 2 x 11 + 2 (Figueroa, When is double
    rounding innocuous?, 1995).

    Args:
        a, b: float32 [m, k] and [k, n], whose products are exact in float32.
        sums: float32 [m, n], what to add to; changed in place.
        lowest, highest: exponent fields, in place, of the smallest normal value and of one binade above the largest.
        add: 23 less the fraction bits, in the place of an exponent field.
        largest: largest finite value.
    """
    m, count = a.shape
    n = b.shape[1]
    infinity = np.float32(np.inf)
    for i in range(m):
        row = sums[i]
        for k in range(count):
            x = a[i, k]
            y = b[k]
            for j in range(n):
                u = np.float32(x * y[j]).view(np.uint32)
                v = u & np.uint32(0x7FFFFFFF)
                magic = np.uint32(min(max(v & np.uint32(0x7F800000), lowest), highest) + add).view(np.float32)
                r = (np.uint32(v).view(np.float32) + magic) - magic
                r = infinity if r > largest else r
                term = np.uint32(np.float32(r).view(np.uint32) | (u & np.uint32(0x80000000))).view(np.float32)
                u = np.float32(row[j] + term).view(np.uint32)
                v = u & np.uint32(0x7FFFFFFF)
                magic = np.uint32(min(max(v & np.uint32(0x7F800000), lowest), highest) + add).view(np.float32)
                r = (np.uint32(v).view(np.float32) + magic) - magic
                r = infinity if r > largest else r
                row[j] = np.uint32(np.float32(r).view(np.uint32) | (u & np.uint32(0x80000000))).view(np.float32)


def ordered64(a, b, sums, fraction, lowest, highest, nearest, round_products):
    """Sums of exact products, rounded to a narrow width after every addition; k in sequence.

    Args:
        a, b: float64 [m, k] and [k, n], whose products are exact.
        sums: float64 [m, n], what to add to; changed in place.
        fraction: fraction bits of the width.
        lowest, highest: biased float64 exponents of its smallest normal and largest value.
        nearest: 1 for nearest even with infinities, 0 for toward zero up to the largest value.
        round_products: 1 if products are rounded to the width first.
    """
    m, count = a.shape
    n = b.shape[1]
    one = np.uint64(1)
    top = np.uint64(0x8000000000000000)
    field = np.uint64(0x7FF0000000000000)
    zero = np.uint64(0)
    places = np.uint64(52)
    cut = np.uint64(52 - fraction)
    magic = np.uint64((52 - fraction) << 52)
    low = np.uint64(lowest << 52)
    high = np.uint64((highest + 1) << 52)
    largest = np.uint64(high - (one << cut))  # its bits
    over = field if nearest else largest
    odd = np.empty(n, dtype=np.uint64)
    term = np.empty(n, dtype=np.float64)
    for i in range(m):
        row = sums[i]
        for k in range(count):
            x = a[i, k]
            y = b[k]
            for j in range(n):
                term[j] = x * y[j]
            for stage in range(1 - round_products, 2):
                if stage == 0:
                    odd[:] = term.view(np.uint64)
                else:
                    for j in range(n):
                        total = row[j] + term[j]
                        shadow = total - row[j]
                        error = (row[j] - (total - shadow)) + (term[j] - shadow)
                        u = np.float64(total).view(np.uint64)
                        above, below = error > 0.0, error < 0.0  # neither, if the sum is infinite
                        toward = above if u & top else below
                        odd[j] = (u - np.uint64(toward)) | np.uint64(above | below)
                made = row if stage else term
                if nearest:
                    for j in range(n):
                        u = odd[j] & ~top
                        big = np.uint64(min(max(u & field, low), high) + magic).view(np.float64)
                        r = np.float64((np.uint64(u).view(np.float64) + big) - big).view(np.uint64)
                        r = over if r > largest else r
                        r = u if u >= field else r
                        made[j] = np.uint64(r | (odd[j] & top)).view(np.float64)
                else:
                    for j in range(n):
                        u = odd[j] & ~top
                        e = u & field
                        below_low = np.uint64((low - e) >> places) if low > e else zero
                        shift = np.uint64(min(cut + below_low, np.uint64(63)))
                        r = np.uint64(np.uint64(u >> shift) << shift)
                        r = zero if shift > places else r
                        r = over if r > largest else r
                        r = u if u >= field else r
                        made[j] = np.uint64(r | (odd[j] & top)).view(np.float64)


def fused(a, exponent_a, b, exponent_b, sums, group, bits, fraction, lowest, highest, nearest, zero):
    """Fused dot-adds, group by group.

    Args:
        a, b: float32 or float64 [m, k] and [k, n], whose products are exact and finite, and whose group sums, cut
            and in units of the last bit, are exact in that type.
        exponent_a, exponent_b: int16 of the same shapes, exponents that align the products.
        sums: float64 [m, n], the accumulator; changed in place.
        group: products of a group.
        bits: fraction bits below the largest exponent that stay.
        fraction, lowest, highest: of the accumulator's width, exponents without bias.
        nearest: 1 for nearest even, 0 for toward zero; either ends at infinity.
        zero: exponent of a zero accumulator.
    """
    m, count = a.shape
    n = b.shape[1]
    top = np.empty(_BLOCK, dtype=np.int16)
    scale = np.empty(_BLOCK, dtype=b.dtype)
    cuts = np.empty(_BLOCK, dtype=b.dtype)
    limit = 2.0**highest * (2.0 - 2.0**-fraction)
    most = 1000 if b.itemsize == 8 else 120  # exponents of what products are scaled by; beyond it they are all zero
    for first in range(0, n, _BLOCK):
        columns = min(_BLOCK, n - first)
        last = first + columns
        for start in range(0, count, group):  # a group for all rows, so that its part of b stays in the nearest cache
            stop = min(start + group, count)
            whole = stop - (stop - start) % 4
            for i in range(m):
                row = sums[i, first:last]
                for j in range(columns):
                    held = row[j]
                    e = (np.int64(np.float64(held).view(np.int64) >> 52) & 0x7FF) - 1023
                    top[j] = zero if held == 0.0 else max(e, lowest)
                for k in range(start, whole, 4):
                    e0, e1, e2, e3 = exponent_a[i, k], exponent_a[i, k + 1], exponent_a[i, k + 2], exponent_a[i, k + 3]
                    f0, f1 = exponent_b[k, first:last], exponent_b[k + 1, first:last]
                    f2, f3 = exponent_b[k + 2, first:last], exponent_b[k + 3, first:last]
                    for j in range(columns):
                        upper = max(np.int16(e0 + f0[j]), np.int16(e1 + f1[j]))
                        lower = max(np.int16(e2 + f2[j]), np.int16(e3 + f3[j]))
                        top[j] = max(top[j], upper, lower)
                for k in range(whole, stop):
                    e0 = exponent_a[i, k]
                    f0 = exponent_b[k, first:last]
                    for j in range(columns):
                        top[j] = max(top[j], np.int16(e0 + f0[j]))
                for j in range(columns):
                    scale[j] = np.int64(np.int64(1023 + min(bits - top[j], most)) << 52).view(np.float64)
                    cuts[j] = np.trunc(row[j] * np.int64(np.int64(1023 + bits - top[j]) << 52).view(np.float64))
                for k in range(start, whole, 4):
                    x0, x1, x2, x3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                    y0, y1, y2, y3 = b[k, first:last], b[k + 1, first:last], b[k + 2, first:last], b[k + 3, first:last]
                    for j in range(columns):
                        unit = scale[j]
                        upper = np.trunc(x0 * y0[j] * unit) + np.trunc(x1 * y1[j] * unit)
                        lower = np.trunc(x2 * y2[j] * unit) + np.trunc(x3 * y3[j] * unit)
                        cuts[j] = cuts[j] + (upper + lower)
                for k in range(whole, stop):
                    x0 = a[i, k]
                    y0 = b[k, first:last]
                    for j in range(columns):
                        cuts[j] = cuts[j] + np.trunc(x0 * y0[j] * scale[j])
                for j in range(columns):
                    value = cuts[j] * np.int64(np.int64(1023 - bits + top[j]) << 52).view(np.float64)
                    e = max((np.int64(np.float64(value).view(np.int64) >> 52) & 0x7FF) - 1023, lowest)
                    e = min(e, highest + 1)
                    unit = np.int64(np.int64(1023 + e - fraction) << 52).view(np.float64)
                    steps = value * np.int64(np.int64(1023 - e + fraction) << 52).view(np.float64)
                    made = (np.rint(steps) if nearest else np.trunc(steps)) * unit
                    made = np.copysign(np.inf, made) if abs(made) > limit else made
                    row[j] = row[j] if np.isinf(row[j]) else made
