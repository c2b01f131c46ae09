"""Accumulators that round after every addition, and fixed-point registers."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.accumulator import FP32, Fixed, Rounded, Width
from accelsim.numerics.arithmetic.exact import exact_odd, exact_sum
from accelsim.numerics.arithmetic.problem import BeyondError, Extent, Problem, extent
from accelsim.numerics.arithmetic.rounding import add, to_width
from accelsim.numerics.fast import arithmetic_kernels as kernels
from accelsim.numerics.fast import tree_kernels
from accelsim.numerics.fast.expansion import Floats, to_odd, two_sum
from accelsim.numerics.jit import compiled, enabled

Integers = NDArray[np.int64]

_SINGLE_BITS: Final = 24
_MOST_BITS: Final = 60
_DOUBLE_ROUNDING: Final = 10
_TOWARD_ZERO: Final = {"x86_64": 0xC00, "AMD64": 0x300, "aarch64": 0xC00000, "arm64": 0xC00000}


def terms(problem: Problem) -> Iterator[tuple[bool, Floats]]:
    """Whether a term is one product, and the exact terms [m, n], in increasing k.

    Raises:
        BeyondError: a term has more than 53 bits.
    """
    if problem.scale_a is None:
        if not problem.exact_products():
            raise BeyondError
        for k in range(problem.shape[2]):
            yield True, problem.a[:, k, None] * problem.b[None, k]
        return
    for at in range(len(problem.lengths)):
        lead, rest = exact_sum(problem.segment(at))
        if rest is not None and rest.any():
            raise BeyondError
        yield False, lead


def rounded(problem: Problem, how: Rounded) -> Floats:
    """C + a b, rounded after every addition.

    Raises:
        BeyondError: a term has more than 53 bits.
    """
    infinite = how.rounding == "nearest-even"
    start = problem.started(how.type, how.rounding, infinite=infinite)
    if how.order == "sequential" and problem.scale_a is None and enabled():
        return _compiled(problem, how, start)
    narrow = infinite and how.type.fraction_bits <= _DOUBLE_ROUNDING and problem.scale_a is None
    if how.order != "sequential" and narrow and enabled():
        return _in_trees(problem, how, start)
    each: Iterator[Floats] = (
        to_width(term, how.type, how.rounding, infinite=infinite) if single and how.product == "rounded" else term
        for single, term in terms(problem)
    )
    match how.order:
        case "tree":
            each = _trees(each, how)
        case "lanes":
            each = _lanes(each, how, start)
    for term in each:
        start = add(start, term, how.type, how.rounding)
    return start


def _trees(each: Iterator[Floats], how: Rounded) -> Iterator[Floats]:
    """Sums of neighbours, then of these: a stack of subtrees, the fuller the lower, needs no list of all terms."""
    stack: list[tuple[int, Floats]] = []
    count = 0
    for term in each:
        node, height = term, 0
        while stack and stack[-1][0] == height:
            node, height = add(stack.pop()[1], node, how.type, how.rounding), height + 1
        stack.append((height, node))
        count += 1
        if count == how.width:
            yield _top(stack, how)
            stack, count = [], 0
    if stack:
        yield _top(stack, how)


def _top(stack: list[tuple[int, Floats]], how: Rounded) -> Floats:
    node = stack.pop()[1]
    while stack:
        node = add(stack.pop()[1], node, how.type, how.rounding)
    return node


def _lanes(each: Iterator[Floats], how: Rounded, like: Floats) -> Iterator[Floats]:
    lanes = [np.zeros_like(like) for _ in range(how.width)]
    count = 0
    for term in each:
        lane = count % how.width
        lanes[lane] = add(lanes[lane], term, how.type, how.rounding)
        count += 1
    if count:
        yield from _trees(iter(lanes), how)


def _in_trees(problem: Problem, how: Rounded, start: Floats) -> Floats:
    if not problem.exact_products():
        raise BeyondError
    sums, width = start.copy(), how.type
    compiled(tree_kernels.trees)(
        np.ascontiguousarray(problem.a), np.ascontiguousarray(problem.b), sums, how.width, int(how.order == "lanes"),
        width.fraction_bits, width.lowest, width.highest, int(how.product == "rounded"),
    )  # fmt: skip
    return sums


def _compiled(problem: Problem, how: Rounded, start: Floats) -> Floats:
    if not problem.exact_products():
        raise BeyondError
    nearest = how.rounding == "nearest-even"
    if how.type.exponent_bits <= FP32.exponent_bits and _single(problem.reach_a) and _single(problem.reach_b):
        whole = _products_fit(problem, FP32)
        own = whole and _products_fit(problem, how.type)  # rounding a product then changes nothing
        if nearest and how.type == FP32 and (whole or how.product == "rounded"):
            return _run32(problem, start, how)
        if nearest and how.type.fraction_bits <= _DOUBLE_ROUNDING and whole and (own or how.product == "rounded"):
            return _run32(problem, start, how)
        wide = how.type.exponent_bits == FP32.exponent_bits and not nearest
        if wide and (whole or how.product == "rounded") and _machine_truncates():
            return _run32(problem, start, how, cut_products=how.product == "rounded" and not own)
    sums = start.copy()
    width = how.type
    compiled(kernels.ordered64)(
        np.ascontiguousarray(problem.a), np.ascontiguousarray(problem.b), sums, width.fraction_bits,
        width.lowest + 1023, width.highest + 1023, int(nearest), int(how.product == "rounded"),
    )  # fmt: skip
    return sums


def _single(reach: Extent) -> bool:
    """Whether the elements are float32."""
    low, high = int(reach.low.min(initial=0)), int(reach.high.max(initial=0))
    return reach.significant <= _SINGLE_BITS and low >= -149 and high <= 128


def _products_fit(problem: Problem, width: Width) -> bool:
    """Whether every product is a value of a width."""
    a, b = problem.reach_a, problem.reach_b
    low = int(a.low.min(initial=0)) + int(b.low.min(initial=0))
    high = int(a.high.max(initial=0)) + int(b.high.max(initial=0))
    fits = a.significant + b.significant <= width.fraction_bits + 1
    return fits and low >= width.lowest - width.fraction_bits and high <= width.highest + 1


def _run32(problem: Problem, start: Floats, how: Rounded, *, cut_products: bool = False) -> Floats:
    a, b = problem.a.astype(np.float32, order="C"), problem.b.astype(np.float32, order="C")
    sums = start.astype(np.float32)
    width = how.type
    spare = FP32.fraction_bits - width.fraction_bits
    if how.rounding == "toward-zero":
        mask = np.uint32(0xFFFFFFFF << spare & 0xFFFFFFFF)
        with _toward_zero():
            compiled(kernels.cut32)(a, b, sums, mask, mask if cut_products else np.uint32(0xFFFFFFFF))
    elif width == FP32:
        compiled(kernels.plain32)(a, b, sums)
    else:
        fields = (np.uint32(e << 23) for e in (width.lowest + 127, min(width.highest + 128, 254 - spare), spare))
        largest = np.float32(2.0**width.highest * (2.0 - 2.0**-width.fraction_bits))
        compiled(kernels.narrow32)(a, b, sums, *fields, largest)
    return sums.astype(np.float64)


@contextmanager
def _toward_zero() -> Iterator[None]:
    """The machine rounds toward zero in this thread."""
    library = ctypes.CDLL(None)
    before = library.fegetround()
    library.fesetround(_TOWARD_ZERO[platform.machine()])
    try:
        yield
    finally:
        library.fesetround(before)


@cache
def _machine_truncates() -> bool:
    """Whether compiled kernels follow the machine's rounding mode: tried out, where its name is known."""
    if platform.system() == "Windows" or platform.machine() not in _TOWARD_ZERO:
        return False
    a, b = np.full((1, 40), 1.0, dtype=np.float32), np.full((40, 40), 2.0**-40, dtype=np.float32)
    sums = np.repeat(np.array([[1.0, -1.0, 2.0, 3.0]], dtype=np.float32), 10, axis=1)
    expected = np.array([[1.0, -1.0 + 2.0**-24 * 40, 2.0, 3.0]], dtype=np.float32).repeat(10, axis=1)
    mask = np.uint32(0xFFFFFFFF)
    compiled(kernels.cut32)(a, b, sums.copy(), mask, mask)  # compiles before the mode changes
    with _toward_zero():
        compiled(kernels.cut32)(a, b, sums, mask, mask)
    return np.array_equal(sums, expected)


def fixed(problem: Problem, how: Fixed) -> Floats:
    """C + a b in a register, rounded to odd.

    Raises:
        BeyondError: what neither fits 60 bits nor is proved to overflow nowhere.
    """
    with np.errstate(over="ignore"):
        most = np.abs(problem.scaled_a[0]) @ np.abs(problem.scaled_b[0]) + np.abs(problem.start)
    safe = float(most.max(initial=0.0)) * 1.001 < 2.0**how.integer_bits
    if safe and _multiples(problem, how):
        return exact_odd(problem)
    bits = how.integer_bits + how.fraction_bits
    if bits > _MOST_BITS:
        raise BeyondError
    held = _steps(problem.start, how)
    half = 1 << bits
    held = _into(held, half, how)
    for _, term in terms(problem):
        held = _into(held + _steps(term, how), half, how)
    return np.ldexp(held.astype(np.float64), -how.fraction_bits) if bits <= 53 else _wide(held, how)


def _multiples(problem: Problem, how: Fixed) -> bool:
    low = int(problem.reach_a.low.min(initial=0)) + int(problem.reach_b.low.min(initial=0))
    return min(low, int(extent(problem.start).low.min(initial=0))) >= -how.fraction_bits


def _steps(x: Floats, how: Fixed) -> Integers:
    scaled = np.ldexp(x, how.fraction_bits)
    round_off = {"nearest-even": np.rint, "down": np.floor}.get(how.rounding, np.trunc)
    whole = round_off(scaled)
    if np.any(np.abs(whole) >= 2.0**_MOST_BITS) or (how.rounding == "exact" and np.any(whole != scaled)):
        raise BeyondError
    return np.asarray(whole, dtype=np.int64)


def _into(held: Integers, half: int, how: Fixed) -> Integers:
    if how.overflow == "saturate":
        return np.clip(held, -half, half - 1)
    return ((held + half) & (2 * half - 1)) - half


def _wide(held: Integers, how: Fixed) -> Floats:
    upper = (held >> 32).astype(np.float64) * 2.0**32
    lower = (held & 0xFFFFFFFF).astype(np.float64)
    return np.ldexp(to_odd(*two_sum(upper, lower)), -how.fraction_bits)
