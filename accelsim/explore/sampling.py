"""Values of ranges, and which points of a space are drawn."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.explore.targets import si
from accelsim.spec.sweep import Axis, Sampling

Floats = npt.NDArray[np.float64]


def listed(name: str, axis: Axis) -> list[Any]:
    """The values of an axis on a grid, as they are written.

    Raises:
        RequestError: a range without count or step, whose ends are no numbers, or that is empty.
    """
    if axis.values is not None:
        return list(axis.values)
    if axis.powers_of_two is not None:
        first, last = axis.powers_of_two
        return [1 << exponent for exponent in range(first.bit_length() - 1, last.bit_length())]
    first_, last_ = ends(name, axis)
    if axis.step is not None:
        step = si(axis.step)
        if not isinstance(step, int | float) or isinstance(step, bool) or step <= 0:
            raise RequestError(f"axis {name}: step = {axis.step!r}: expected a number above zero")
        count = math.floor((last_ - first_) / step * (1 + 1e-12)) + 1
        return _whole([first_ + index * step for index in range(count)], axis, first_, step)
    if axis.count is None:
        raise RequestError(f"axis {name}: a range on a grid needs count or step (or draw points: sampling.method)")
    if axis.log_range is not None:
        values = np.geomspace(first_, last_, axis.count)
        return _whole([float(value) for value in values], axis)
    return _whole([float(value) for value in np.linspace(first_, last_, axis.count)], axis)


def ends(name: str, axis: Axis) -> tuple[float, float]:
    """First and last value of a range, in SI.

    Raises:
        RequestError: they are no numbers, or fall.
    """
    given = axis.range or axis.log_range or ()
    first, last = (si(value) for value in given)
    for value in (first, last):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RequestError(f"axis {name}: {value!r} is no number with which a range could begin or end")
    if first >= last or (axis.log_range is not None and first <= 0):
        least = "; both above zero" if axis.log_range is not None else ""
        raise RequestError(f"axis {name}: the range runs from {given[0]} to {given[1]}: it must rise{least}")
    return first, last


def _whole(values: list[float], axis: Axis, *parts: float) -> list[Any]:
    """Whole numbers where that is asked for, or all parts of the range are whole."""
    if axis.integer or (parts and all(isinstance(part, int) for part in parts)):
        return list(dict.fromkeys(round(value) for value in values))
    return values


def between(axis: Axis, first: float, last: float, place: Floats) -> Floats:
    """Values of a continuous axis at places between 0 and 1."""
    if axis.log_range is not None:
        return np.exp(math.log(first) + place * (math.log(last) - math.log(first)))
    return first + place * (last - first)


def places(sampling: Sampling, dimensions: int) -> Floats:
    """Points of the unit cube, [count, dimensions].

    Sobol points come in powers of two; the first `count` of them are taken.
    """
    count = sampling.count or 0
    if sampling.method == "random":
        return np.random.default_rng(sampling.seed).random((count, dimensions))
    from scipy.stats import qmc  # half a second of import time

    if sampling.method == "latin_hypercube":
        return np.asarray(qmc.LatinHypercube(dimensions, rng=sampling.seed).random(count))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(qmc.Sobol(dimensions, rng=sampling.seed).random(count))
