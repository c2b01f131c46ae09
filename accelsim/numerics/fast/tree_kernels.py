"""Adder trees and lanes of narrow floats: plain Python that `jit.compiled` compiles, columns side by side."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,assignment"
from __future__ import annotations

import numpy as np

_BLOCK = 128  # columns whose partial sums stay in the nearest cache
_HEIGHTS = 48


def _rounded(s, error, fraction, low, largest):
    """S + error, where s is that sum rounded to nearest, rounded to a width, to nearest even; beyond it infinite."""
    u = np.float64(s).view(np.int64)
    e = (u >> 52) & 0x7FF
    above, below = error > 0.0, error < 0.0
    toward = above if u < 0 else below
    odd = (u - toward) | (above | below)  # rounding to odd first makes the second rounding right
    magic = np.int64((max(e, low) + 52 - fraction) << 52).view(np.float64)
    x = abs(np.int64(odd).view(np.float64))
    r = (x + magic) - magic
    r = np.inf if r > largest else r
    r = x if e == 0x7FF else r
    return -r if u < 0 else r


def _sum(x, y, fraction, low, largest):
    """X + y, rounded once."""
    total = x + y
    shadow = total - x
    return _rounded(total, (x - (total - shadow)) + (y - shadow), fraction, low, largest)


def _push(node, levels, filled, columns, fraction, low, largest):
    """One more leaf: equal subtrees join; the mask of heights that are held."""
    h = 0
    while (filled >> h) & 1:
        held = levels[h]
        for j in range(columns):
            node[j] = _sum(held[j], node[j], fraction, low, largest)
        filled ^= 1 << h
        h += 1
    levels[h, :columns] = node[:columns]
    return filled | (1 << h)


def _finish(node, levels, filled, row, fraction, low, largest):
    """Subtrees from the lowest on, then what was there before."""
    first = True
    for h in range(_HEIGHTS):
        if (filled >> h) & 1:
            held = levels[h]
            for j in range(len(row)):
                node[j] = held[j] if first else _sum(held[j], node[j], fraction, low, largest)
            first = False
    for j in range(len(row)):
        row[j] = _sum(row[j], node[j], fraction, low, largest)


def trees(a, b, made, width, lanes, fraction, lowest, highest, rounds):
    """Made += a b by adder trees, every sum rounded to a narrow width, to nearest even.

    Args:
        a, b: float64 [m, k] and [k, n], whose products are exact.
        made: float64 [m, n], changed in place.
        width: terms of a tree, or number of lanes; 0 for one tree over all terms.
        lanes: 1 for lanes that are added by a tree at the end, 0 for trees.
        fraction, lowest, highest: of the width, exponents without bias; at most 10 fraction bits.
        rounds: 1 where products are rounded first.
    """
    m, count = a.shape
    n = b.shape[1]
    low = lowest + 1023
    largest = 2.0**highest * (2.0 - 2.0**-fraction)
    levels = np.empty((_HEIGHTS, _BLOCK))
    held = np.empty((max(width, 1), _BLOCK))
    node = np.empty(_BLOCK)
    for i in range(m):
        for first in range(0, n, _BLOCK):
            row = made[i, first : first + _BLOCK]
            columns = len(row)
            filled = 0
            terms = 0
            held[:] = 0.0
            for k in range(count):
                x = a[i, k]
                y = b[k, first : first + columns]
                for j in range(columns):
                    term = x * y[j]
                    node[j] = _rounded(term, 0.0, fraction, low, largest) if rounds else term
                if lanes:
                    lane = held[k % width]
                    for j in range(columns):
                        lane[j] = _sum(lane[j], node[j], fraction, low, largest)
                    continue
                filled = _push(node, levels, filled, columns, fraction, low, largest)
                terms += 1
                if terms == width:
                    _finish(node, levels, filled, row, fraction, low, largest)
                    filled = 0
                    terms = 0
            if lanes and count:
                for lane in held:
                    node[:columns] = lane[:columns]
                    filled = _push(node, levels, filled, columns, fraction, low, largest)
            if filled:
                _finish(node, levels, filled, row, fraction, low, largest)
