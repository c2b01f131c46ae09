"""Arrays by the exact reference, output by output: for what is too wide for float64."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import inf, isfinite, isnan

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulator import AnyAccumulator
from accelsim.numerics.arithmetic.problem import Problem
from accelsim.numerics.fast.expansion import Floats
from accelsim.numerics.reference.arithmetic import Segment, dot, nearest_odd
from accelsim.numerics.reference.grid import Exact, Special


def number(x: float) -> Exact:
    """A float as the reference has it."""
    if isfinite(x):
        return Fraction(x)
    return Special.NAN if isnan(x) else Special.INFINITY if x > 0 else Special.NEGATIVE_INFINITY


def as_float(x: Exact) -> float:
    """What the reference gives, rounded to odd."""
    if isinstance(x, Fraction):
        return nearest_odd(x)
    return {Special.INFINITY: inf, Special.NEGATIVE_INFINITY: -inf}.get(x, np.nan)


def exactly(problem: Problem, how: AnyAccumulator, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """The outputs at some places, rounded to odd."""
    made = np.empty(len(rows))
    for at, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        made[at] = as_float(dot(_segments(problem, i, j), how, number(float(problem.start[i, j])), problem.limits))
    return made


def everywhere(problem: Problem, how: AnyAccumulator) -> Floats:
    """All outputs."""
    m, n, _ = problem.shape
    rows, columns = np.indices((m, n))
    return exactly(problem, how, rows.reshape(-1), columns.reshape(-1)).reshape(m, n)


def _segments(problem: Problem, i: int, j: int) -> list[Segment]:
    a = [number(x) for x in problem.a[i].tolist()]
    b = [number(x) for x in problem.b[:, j].tolist()]
    if problem.scale_a is None or problem.scale_b is None:
        return [Segment(a, b)]
    scales = zip(problem.scale_a[i].tolist(), problem.scale_b[:, j].tolist(), strict=True)
    return [
        Segment(a[start:stop], b[start:stop], number(of_a), number(of_b), scaled=True)
        for (start, stop), (of_a, of_b) in zip(pairwise(problem.bounds), scales, strict=True)
    ]
