"""A problem and an accumulator: the outputs, infinities and NaN included."""

from __future__ import annotations

import numpy as np

from accelsim.numerics.accumulator import AnyAccumulator, Exact, Fixed, Fused, Rounded, Staged
from accelsim.numerics.arithmetic import slow
from accelsim.numerics.arithmetic.exact import exact_odd
from accelsim.numerics.arithmetic.fused import fused, staged
from accelsim.numerics.arithmetic.ordered import fixed, rounded
from accelsim.numerics.arithmetic.problem import BeyondError, Problem
from accelsim.numerics.fast.expansion import Floats


def compute(problem: Problem, how: AnyAccumulator) -> Floats:
    """The accumulator after all products, float64 [m, n], inexact values rounded to odd; zeros are +0.

    Raises:
        RequestError: terms or scales that the accumulator refuses.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if problem.finite():
            return _finite(problem, how) + 0.0
        scales = (problem.scale_a, problem.scale_b)
        if any(bool(np.isinf(scale).any()) for scale in scales if scale is not None):
            return slow.everywhere(problem, how)
        special = problem.specials()
        usual = _finite(problem.zeroed(), how)
        made = np.where(special == 0, usual, special) + 0.0
        # overflow and the opposite infinity: their order tells which; NaN stays what it is
        places = np.nonzero(np.isinf(special) & ~np.isfinite(usual))
        made[places] = slow.exactly(problem, how, *places)
        return made


def _finite(problem: Problem, how: AnyAccumulator) -> Floats:
    try:
        match how:
            case Exact():
                return exact_odd(problem)
            case Rounded():
                return rounded(problem, how)
            case Fixed():
                return fixed(problem, how)
            case Fused():
                return fused(problem, how)
            case Staged():
                return staged(problem, how)
    except BeyondError:
        return slow.everywhere(problem, how)
