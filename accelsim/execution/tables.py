"""Functions by table, as chips without the formula have them."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.lanes import Lanes

Array = NDArray[Any]

_REACH: Final = 8.0


@cache
def _gelu(entries: int, width: str) -> Array:
    grid = np.linspace(-_REACH, _REACH, entries)
    return Lanes(width).round(Lanes("fp64").gelu_exact(grid))


def gelu_by_table(x: Array, entries: int, lanes: Lanes) -> Array:
    """GELU by linear interpolation between equidistant entries on [-8, 8]; 0 below, x above.

    Hong et al., DFX (MICRO 2022), section V: a table of 2,048 entries on [-8, 8]. That the ends belong to the table
    and that fraction, product and sum are each rounded to the width of the lanes is assumed.
    """
    samples = _gelu(entries, lanes.width)
    steps = (np.clip(x.astype(np.float64), -_REACH, _REACH) + _REACH) * ((entries - 1) / (2.0 * _REACH))
    low = np.minimum(steps.astype(np.intp), entries - 2)
    fraction = lanes.round(steps - low)
    rise = lanes.subtract(samples[low + 1], samples[low])
    made = lanes.add(samples[low], lanes.multiply(fraction, rise))
    return np.where(x <= -_REACH, 0, np.where(x >= _REACH, x, made)).astype(lanes.dtype)
