"""Kernels for grids with at most one step within every upper half of a float32; compiled by `jit.compiled`."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def encode_by_step(x, steps, below, above, codes):
    """Codes of float32 values: which of two the upper half stands for, a comparison says."""
    bits = x.view(np.uint32)
    for i in range(bits.size):
        at = bits[i] >> np.uint32(16)
        codes[i] = above[at] if x[i] >= steps[at] else below[at]


def quantize_by_step(x, steps, below, above, out):
    """Values of float32 values, in the same way."""
    bits = x.view(np.uint32)
    for i in range(bits.size):
        at = bits[i] >> np.uint32(16)
        out[i] = above[at] if x[i] >= steps[at] else below[at]
