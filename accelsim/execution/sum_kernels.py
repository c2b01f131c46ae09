"""Sums in a stated order, without contraction into fused multiply-adds: plain Python that `jit.compiled` compiles."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

_BLOCK = 256  # columns whose sums stay in the nearest cache


def products(a, b, made):
    """Made += a b; every product and every sum is rounded to the type of the arrays, in increasing k.

    Args:
        a: [m, k].
        b: [k, n], of the same type.
        made: [m, n], changed in place.
    """
    m, count = a.shape
    n = b.shape[1]
    whole = count - count % 4
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        for i in range(m):
            row = made[i, first:last]
            for k in range(0, whole, 4):
                x0, x1, x2, x3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                y0, y1, y2, y3 = b[k, first:last], b[k + 1, first:last], b[k + 2, first:last], b[k + 3, first:last]
                for j in range(last - first):
                    row[j] = (((row[j] + x0 * y0[j]) + x1 * y1[j]) + x2 * y2[j]) + x3 * y3[j]
            for k in range(whole, count):
                x0 = a[i, k]
                y0 = b[k, first:last]
                for j in range(last - first):
                    row[j] = row[j] + x0 * y0[j]


def doubled(a, b, lead, rest):
    """Dot products of rows in twice the precision: errors of products and sums are added up beside.

    Ogita, Rump and Oishi, Accurate sum and dot product, 2005, algorithm 5.3.

    Args:
        a: float64 [c, k], exponents between -480 and 480.
        b: likewise.
        lead: [c], written: the sums in float64.
        rest: [c], written: the sums of all their errors.
    """
    count, k = a.shape
    for i in range(count):
        total, errors = 0.0, 0.0
        for j in range(k):
            x, y = a[i, j], b[i, j]
            product = x * y
            wide = 134217729.0 * x  # 2^27 + 1
            x0 = wide - (wide - x)
            wide = 134217729.0 * y
            y0 = wide - (wide - y)
            x1, y1 = x - x0, y - y0
            lost = x1 * y1 - (((product - x0 * y0) - x1 * y0) - x0 * y1)
            after = total + product
            shadow = after - total
            errors += ((total - (after - shadow)) + (product - shadow)) + lost
            total = after
        lead[i] = total
        rest[i] = errors
