"""Fused dot-adds: tensor cores and matrix cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulator import FP32, Fused, Staged
from accelsim.numerics.arithmetic.exact import exact_odd, exact_sum
from accelsim.numerics.arithmetic.problem import BeyondError, Problem
from accelsim.numerics.arithmetic.rounding import add, to_width
from accelsim.numerics.fast import arithmetic_kernels as kernels
from accelsim.numerics.fast.expansion import Floats, exponents, power
from accelsim.numerics.jit import compiled, enabled

_INFINITE: Final = 2.0**128
_SINGLE_BITS: Final = 24
_NARROW_EXPONENT: Final = 40

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Aligned:
    """Operands with powers of two as scales multiplied in, and the exponents that align their products."""

    a: Floats
    b: Floats
    exponent_a: Integers
    exponent_b: Integers

    def term(self, k: int) -> tuple[Floats, Integers]:
        """Products and sums of exponents, [m, n]."""
        return self.a[:, k, None] * self.b[None, k], self.exponent_a[:, k, None] + self.exponent_b[None, k]


def _exponents(x: Floats, least: int | None, zero: int) -> Integers:
    found = exponents(x) if least is None else np.maximum(exponents(x), least)
    return np.where(x == 0, zero, found)


def _aligned(problem: Problem, zero: int) -> _Aligned:
    if not problem.exact_products():
        raise BeyondError
    a = _exponents(problem.a, problem.limits.a, zero)
    b = _exponents(problem.b, problem.limits.b, zero)
    if problem.scale_a is None or problem.scale_b is None:
        return _Aligned(problem.a, problem.b, a, b)
    shifts = []
    for scale, axis in ((problem.scale_a, 1), (problem.scale_b, 0)):
        if np.any(scale != power(exponents(scale))):
            raise BeyondError  # the reference says why
        shifts.append(np.repeat(exponents(scale), problem.lengths, axis=axis))
    return _Aligned(problem.scaled_a[0], problem.scaled_b[0], a + shifts[0], b + shifts[1])


def fused(problem: Problem, how: Fused) -> Floats:
    """C + a b by fused dot-adds of groups.

    Raises:
        BeyondError: operands with too many bits, or scales that the accumulator refuses.
    """
    if how.promotion:
        return _promoted(problem, how)
    made = problem.started(how.type, how.rounding, infinite=True)
    if how.fraction_bits is None:
        return _unaligned(problem, how, made)
    if how.exact:
        each = _sums(problem, how)
        for at in range(0, len(each), how.group // how.exact):
            made = _group(made, each[at : at + how.group // how.exact], how, how.fraction_bits)
        return made
    operands = _aligned(problem, how.zero_exponent)
    if enabled():
        width = how.type
        dtype = np.float32 if _narrow(problem, operands, how, how.fraction_bits) else np.float64
        compiled(kernels.fused)(
            operands.a.astype(dtype, order="C"), operands.exponent_a.astype(np.int16),
            operands.b.astype(dtype, order="C"), operands.exponent_b.astype(np.int16), made, how.group,
            how.fraction_bits, width.fraction_bits, width.lowest, width.highest, int(how.rounding == "nearest-even"),
            how.zero_exponent,
        )  # fmt: skip
        return made
    for at in range(0, problem.shape[2], how.group):
        group = [operands.term(k) for k in range(at, min(at + how.group, problem.shape[2]))]
        made = _group(made, group, how, how.fraction_bits)
    return made


def _narrow(problem: Problem, operands: _Aligned, how: Fused, bits: int) -> bool:
    """Whether float32 holds products exactly, and sums of a group in units of the last bit that stays."""
    a, b = problem.reach_a, problem.reach_b
    small = max(np.abs(operands.a).max(initial=0), np.abs(operands.b).max(initial=0)) < 2.0**_NARROW_EXPONENT
    low = min(int(a.low.min(initial=0)), int(b.low.min(initial=0)))
    fits = a.significant + b.significant <= _SINGLE_BITS and bits + 2 + how.group.bit_length() <= _SINGLE_BITS
    return bool(small and fits and low > -_NARROW_EXPONENT)


def _group(held: Floats, group: Sequence[tuple[Floats, Integers]], how: Fused, bits: int) -> Floats:
    top = _exponents(held, how.type.lowest, how.zero_exponent)
    for _, e in group:
        top = np.maximum(top, e)
    scale = power(bits - top)
    total = np.trunc(held * scale)
    for x, _ in group:
        total = total + np.trunc(x * scale)
    made = to_width(total * power(top - bits), how.type, how.rounding, infinite=True)
    return np.where(np.isinf(held), held, made)


def _sums(problem: Problem, how: Fused) -> list[tuple[Floats, Integers]]:
    """Exact sums of `exact` products with their scales, and the exponents of these."""
    m, n, k = problem.shape
    bounds = list(problem.bounds) or [0, k]
    scale_a = np.ones((m, 1)) if problem.scale_a is None else problem.scale_a
    scale_b = np.ones((1, n)) if problem.scale_b is None else problem.scale_b
    of_a = _exponents(scale_a, problem.limits.scale_a, how.zero_exponent)
    of_b = _exponents(scale_b, problem.limits.scale_b, how.zero_exponent)
    made = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        if (stop - start) % how.exact and stop != k:
            raise BeyondError  # the reference says why
        for at in range(start, stop, how.exact):
            part = slice(at, min(at + how.exact, stop))
            one = replace(
                problem, a=problem.a[:, part], b=problem.b[part], c=None, bounds=(0, part.stop - part.start),
                scale_a=scale_a[:, number : number + 1], scale_b=scale_b[number : number + 1],
            )  # fmt: skip
            lead, rest = exact_sum(one)
            if rest is not None and rest.any():
                raise BeyondError
            made.append((lead, of_a[:, number, None] + of_b[None, number]))
    return made


def _unaligned(problem: Problem, how: Fused, made: Floats) -> Floats:
    """Groups whose sums, with the accumulator, are exact until they are rounded."""
    left, right = problem.scaled_a, problem.scaled_b
    if len(left) > 1 or len(right) > 1:
        raise BeyondError
    for at in range(0, problem.shape[2], how.group):
        part = slice(at, at + how.group)
        found = exact_odd(Problem(left[0][:, part], right[0][part], np.where(np.isinf(made), 0.0, made)))
        made = np.where(np.isinf(made), made, to_width(found, how.type, how.rounding, infinite=True))
    return made


def _promoted(problem: Problem, how: Fused) -> Floats:
    plain = replace(how, promotion=0)
    made = problem.started(FP32, "nearest-even", infinite=True)
    k = problem.shape[2]
    bounds = list(problem.bounds) or [0, k]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        if (stop - start) % how.promotion and stop != k and problem.scale_a is not None:
            raise BeyondError  # the reference says why
        scale = np.ones((1, 1))
        if problem.scale_a is not None and problem.scale_b is not None:
            exact = problem.scale_a[:, number, None] * problem.scale_b[None, number]  # of 24 bits each
            scale = to_width(exact, FP32, "nearest-even", infinite=True)
        for at in range(start, stop, how.promotion):
            part = slice(at, min(at + how.promotion, stop))
            one = Problem(problem.a[:, part], problem.b[part], limits=problem.limits)
            made = add(made, fused(one, plain) * scale, FP32, "nearest-even")
    return made


def staged(problem: Problem, how: Staged) -> Floats:
    """C + a b by the stages of CDNA3.

    Raises:
        BeyondError: operands with too many bits, or scales that are no powers of two.
    """
    operands = _aligned(problem, how.zero_exponent)
    made = problem.started(FP32, "nearest-even", infinite=True)
    for at in range(0, problem.shape[2], how.group):
        group = [operands.term(k) for k in range(at, min(at + how.group, problem.shape[2]))]
        found = _stage(made, group, how)
        made = np.where(np.isfinite(made), found, made)
    return made


def _stage(held: Floats, group: Sequence[tuple[Floats, Integers]], how: Staged) -> Floats:
    bits = how.fraction_bits
    plus = np.logical_or.reduce([x >= _INFINITE for x, _ in group])
    minus = np.logical_or.reduce([x <= -_INFINITE for x, _ in group])
    if how.halves and len(group) > 1:
        parts = [_cut(half, bits) for half in (group[0::2], group[1::2])]
        top = np.maximum(parts[0][1], parts[1][1])
        whole = sum((_down(x, bits - top) for x, _ in parts), np.zeros_like(held))
    else:
        whole, top = _cut(group, bits)
        whole = _down(whole, bits - top) if how.halves else whole
    at = _exponents(held, FP32.lowest, how.zero_exponent)
    both = np.maximum(top, at)
    kept = _down(held, bits - both)
    if how.reach:
        kept = np.where(at >= both - how.reach, kept, 0.0)
    made = to_width(_down(whole, how.sum_bits - both) + kept, FP32, "nearest-even", infinite=True)
    made = np.where(plus, np.inf, np.where(minus, -np.inf, made))
    return np.where(plus & minus, np.nan, made)


def _cut(group: Sequence[tuple[Floats, Integers]], bits: int) -> tuple[Floats, Integers]:
    top = group[0][1]
    for _, e in group[1:]:
        top = np.maximum(top, e)
    total = np.zeros_like(group[0][0])
    for x, _ in group:
        total = total + np.trunc(x * power(bits - top))
    return total * power(top - bits), top


def _down(x: Floats, bits: Integers) -> Floats:
    made: Floats = np.floor(x * power(bits)) * power(-bits)
    return made
