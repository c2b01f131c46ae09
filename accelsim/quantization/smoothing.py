"""Scales moved between activations and weights: SmoothQuant and AWQ.

Both multiply the inputs of a group of matrices by 1 / s per channel, in the norm before them, and the matrices'
columns by s: `accelsim.weights.rescaled(checkpoint, model, {norm: 1 / s})`. They differ in how s is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError
from accelsim.numerics.format import DataFormat

_LEAST: Final = 1e-5  # of a factor: channels that are never used

Doubles = NDArray[np.float64]


def smooth_factors(maxima: ArrayLike, weights: Sequence[ArrayLike], alpha: float = 0.5) -> Doubles:
    """SmoothQuant's factors: part of the outliers of the activations goes to the weights.

    s_j = max |x_j|^alpha / max |w_j|^(1 - alpha), Xiao et al., arXiv 2211.10438, equation 4.

    Args:
        maxima: [in] largest magnitudes of the activations' channels on calibration text.
        weights: the matrices [out, in] that read them.
        alpha: 0 leaves the difficulty to the activations, 1 to the weights.

    Returns:
        [in] positive factors; a norm's outputs are to be divided by them.

    Raises:
        RequestError: shapes that do not go together, or alpha outside of 0 to 1.
    """
    x = np.abs(np.asarray(maxima, dtype=np.float64))
    columns = [np.abs(w).max(axis=0) for w in _matrices(weights, x.shape)]
    if not 0 <= alpha <= 1:
        raise RequestError(f"alpha = {alpha!r}: from 0 to 1 is allowed")
    w = np.max(columns, axis=0)
    used = (x > 0) & (w > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(used, x**alpha / w ** (1 - alpha), 1.0)
    return np.asarray(np.maximum(factors, _LEAST))


def awq_factors(inputs: ArrayLike, weights: Sequence[ArrayLike], form: DataFormat, *, steps: int = 20) -> Doubles:
    """AWQ's factors: salient channels, those of large activations, are enlarged before the weights are rounded.

    s_j = (mean |x_j|)^alpha, normalised by sqrt(max s min s), with the alpha of 0, 1 / steps, ... 1 whose outputs are
    nearest: Lin et al., arXiv 2306.00978, section 3.2. alpha = 0 is rounding to nearest, so that nothing gets worse on
    these inputs.

    Args:
        inputs: [samples, in] of calibration text.
        weights: the matrices [out, in] that read them.
        form: that the weights will be rounded to, along `in`.
        steps: of the grid.

    Returns:
        [in] positive factors; a norm's outputs are to be divided by them.

    Raises:
        RequestError: shapes that do not go together.
    """
    x = np.asarray(inputs, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0:
        raise RequestError(f"inputs [samples, in] are needed, not {x.shape}")
    matrices = _matrices(weights, x.shape[1:])
    size = np.maximum(np.abs(x).mean(axis=0), _LEAST)
    hessian = x.T @ x
    best: Doubles = np.ones_like(size)
    least = np.inf
    for step in range(steps + 1):
        factors = size ** (step / steps)
        factors /= np.sqrt(factors.max() * factors.min())
        lost = 0.0
        for w in matrices:
            error = form.quantize(w * factors) / factors - w
            lost += float(np.einsum("ij,jk,ik->", error, hessian, error, optimize=True))
        if lost < least:
            best, least = factors, lost
    return best


def _matrices(weights: Sequence[ArrayLike], width: tuple[Any, ...]) -> list[Doubles]:
    made = [np.asarray(w, dtype=np.float64) for w in weights]
    if len(width) != 1 or not made or any(w.ndim != 2 or w.shape[1:] != width for w in made):
        raise RequestError(
            f"activations of {width} channels and at least one weight [out, in] of as many inputs are needed, "
            f"not {[w.shape for w in made]}"
        )
    return made
