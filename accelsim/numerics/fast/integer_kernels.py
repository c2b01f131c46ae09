"""Kernels for integers under nearest-even; compiled by `jit.compiled`."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def quantize32(x, out, scale, low, high, inverse):
    """Float32 values rounded to multiples of `inverse`, clipped; whether there was a NaN."""
    seen = False
    for i in range(x.size):
        r = np.rint(x[i] * scale)
        seen |= x[i] != x[i]
        r = low if r < low else r
        r = high if r > high else r
        out[i] = (r + np.float32(0)) * inverse  # no negative zero
    return seen


def encode32(x, codes, scale, low, high, mask):
    """Two's complement of float32 values, rounded and clipped; whether there was a NaN."""
    seen = False
    for i in range(x.size):
        r = np.rint(x[i] * scale)
        isnan = x[i] != x[i]
        seen |= isnan
        r = low if r < low else r
        r = high if r > high else r
        r = np.float32(0) if isnan else r
        codes[i] = np.int32(r) & mask
    return seen
