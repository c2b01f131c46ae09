"""Arithmetic that reads the same for one number and for an array of design points.

The counting formulas are written once and used both ways: with Python numbers for one run, and with
numpy arrays (one element per point) for a sweep.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Number: TypeAlias = int | float | npt.NDArray[Any]
"""A Python number, or an array with one element per design point; arrays broadcast."""


def minimum(a: Number, b: Number) -> Number:
    """The smaller of two, element by element."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return min(a, b)
    return np.minimum(a, b)


def maximum(a: Number, b: Number) -> Number:
    """The larger of two, element by element."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return max(a, b)
    return np.maximum(a, b)


def prod(values: tuple[Number, ...]) -> Number:
    """The product of a shape; 1 for the empty shape."""
    result: Number = 1
    for value in values:
        result = result * value
    return result


def same(a: Number, b: Number) -> bool:
    """Whether two numbers or arrays are equal throughout."""
    return a is b or bool(np.array_equal(a, b))
