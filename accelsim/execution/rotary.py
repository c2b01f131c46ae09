"""Rotary positions: frequencies, the table of cosines and sines, and the rotation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.lanes import Lanes
from accelsim.numerics import functions
from accelsim.spec.model import Values

Array = NDArray[Any]


def frequencies(values: Values, width: int) -> NDArray[np.float64]:
    """Radians per position of each pair of a rotated part `width` wide, float64."""
    steps = np.arange(0, width, 2, dtype=np.float64) / width
    made = np.asarray(functions.exp(-steps * functions.log(np.asarray(values.rope_theta))))
    scaling = values.rope_scaling
    if scaling is None:
        slowed: NDArray[np.float64] = made / values.rope_factor
        return slowed
    turns = scaling.original_positions * made / (2.0 * math.pi)  # over the original context
    share = np.clip((turns - scaling.low) / (scaling.high - scaling.low), 0.0, 1.0)
    mixed: NDArray[np.float64] = (1.0 - share) * made / scaling.factor + share * made
    return mixed


def table(values: Values, width: int, past: int, count: int) -> tuple[Array, Array]:
    """Cosines and sines of the positions from `past` on, float64 [count, width / 2]."""
    angles = (past + np.arange(count, dtype=np.float64))[:, None] * frequencies(values, width)
    return np.asarray(functions.cos(angles)), np.asarray(functions.sin(angles))


def rotated(x: Array, cosine: Array, sine: Array, lanes: Lanes) -> Array:
    """Each element of the first half of a rotated part with its fellow of the second half.

    Args:
        x: [batch, positions, heads, width]; what is wider than the table stays.
        cosine: [positions, half], at the width of the lanes.
        sine: likewise.
        lanes: two products, each rounded, and their sum.
    """
    half = cosine.shape[1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    c, s = cosine[:, None, :], sine[:, None, :]
    made = (
        lanes.subtract(lanes.multiply(first, c), lanes.multiply(second, s)),
        lanes.add(lanes.multiply(second, c), lanes.multiply(first, s)),
        rest,
    )
    return np.concatenate(made, axis=-1)
