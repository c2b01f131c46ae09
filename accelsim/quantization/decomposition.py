"""LLM.int8(): columns that hold outliers are multiplied in fp16, all others in int8.

Dettmers et al., LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale, arXiv 2208.07339, section 3.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError
from accelsim.formats import dataformat

THRESHOLD: Final = 6.0
"""The authors' choice."""


def int8_with_outliers(x: ArrayLike, weight: ArrayLike, threshold: float = THRESHOLD) -> NDArray[np.float64]:
    """The product x weight^T with a scale for each row of both operands, and outlier columns apart.

    The int8 part is exact in its integers; the products of fp16 numbers are added in binary64.

    Args:
        x: [tokens, in] activations.
        weight: [out, in].
        threshold: a column of x with a magnitude from this on is an outlier; 0 makes all of them so, infinity none.

    Returns:
        [tokens, out].

    Raises:
        RequestError: shapes that do not go together, numbers that are not finite, or a negative threshold.
    """
    a, w = np.asarray(x, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if a.ndim != 2 or w.ndim != 2 or a.shape[1] != w.shape[1]:
        raise RequestError(f"x [tokens, in] and weight [out, in] are needed, not {a.shape} and {w.shape}")
    if not (np.isfinite(a).all() and np.isfinite(w).all()):
        raise RequestError("x and weight must be finite")
    if not threshold >= 0:
        raise RequestError(f"threshold = {threshold!r}: a number from 0 on, or infinity, is needed")
    apart = np.abs(a).max(axis=0, initial=0) >= threshold
    half = dataformat("fp16")
    made: NDArray[np.float64] = half.quantize(a[:, apart]) @ half.quantize(w[:, apart]).T
    if not apart.all():
        (left, above), (right, beside) = (_int8(part[:, ~apart]) for part in (a, w))
        made = made + (left @ right.T) * above * beside.T
    return made


def _int8(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whole numbers of each row, and its scale [rows, 1]."""
    form = dataformat("int8_channel")
    made = form.encode(x)
    scale = dataformat("fp32").decode(made.scales, np.float64)
    return made.codes.view(np.int8).astype(np.float64), scale
