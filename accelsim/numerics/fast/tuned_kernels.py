"""Kernel of formats with one bias for a tensor; compiled by `jit.compiled`, also correct as plain Python."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np


def largest(bits):
    """The bits of the largest magnitude among those of float32 values; above those of infinity if there is a NaN."""
    found = np.uint32(0)
    for i in range(bits.size):
        found = max(found, bits[i] & np.uint32(0x7FFFFFFF))
    return found
