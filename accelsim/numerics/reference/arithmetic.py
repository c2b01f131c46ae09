"""Dot products by the definition of each accumulator, on fractions: slow, exact, readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, trunc

from accelsim.errors import RequestError
from accelsim.numerics.accumulator import FP32, AnyAccumulator, Exact, Fixed, Fused, Rounded, Staged, Width
from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.grid import Exact as Number
from accelsim.numerics.reference.grid import Special

_ZERO = Fraction(0)
_NAN, _INFINITY, _MINUS = Special.NAN, Special.INFINITY, Special.NEGATIVE_INFINITY


@dataclass(frozen=True, slots=True)
class Segment:
    """Products that share both scales.

    Attributes:
        a, b: the elements, in increasing k.
        scale_a, scale_b: of the elements.
        scaled: whether there are scales at all: if not, every product is a term of its own.
    """

    a: Sequence[Number]
    b: Sequence[Number]
    scale_a: Number = Fraction(1)
    scale_b: Number = Fraction(1)
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Exponents:
    """Exponents of the smallest normal values of operands and scales; None for formats that have no such limit."""

    a: int | None = None
    b: int | None = None
    scale_a: int | None = None
    scale_b: int | None = None


def add(x: Number, y: Number) -> Number:
    """The exact sum."""
    x, y = (_ZERO if v is Special.NEGATIVE_ZERO else v for v in (x, y))
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y
    special = {v for v in (x, y) if not isinstance(v, Fraction)}
    return special.pop() if len(special) == 1 and special <= {_INFINITY, _MINUS} else _NAN


def multiply(x: Number, y: Number) -> Number:
    """The exact product."""
    x, y = (_ZERO if v is Special.NEGATIVE_ZERO else v for v in (x, y))
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x * y
    if not {x, y}.isdisjoint({_NAN, Special.NEGATIVE_NAN}) or 0 in (x, y):
        return _NAN
    negative = [v is _MINUS or (isinstance(v, Fraction) and v < 0) for v in (x, y)]
    return _MINUS if negative[0] != negative[1] else _INFINITY


def round_width(x: Number, width: Width, rounding: str, overflow: str) -> Number:
    """A number rounded to a width; beyond the largest value `infinity` or the `largest`."""
    if not isinstance(x, Fraction) or x == 0:
        return x
    quantum = power(max(exponent(abs(x)), width.lowest) - width.fraction_bits)
    made = _whole(abs(x) / quantum, rounding) * quantum
    if made >= power(width.highest + 1):
        if overflow == "infinity":
            return _MINUS if x < 0 else _INFINITY
        made = power(width.highest + 1) - power(width.highest - width.fraction_bits)
    return -made if x < 0 else made


def _whole(x: Fraction, rounding: str) -> int:
    if rounding == "nearest-even":
        return round(x)
    if rounding == "down":
        return floor(x)
    return trunc(x)


def dot(
    segments: Sequence[Segment],
    accumulator: AnyAccumulator,
    c: Number = _ZERO,
    exponents: Exponents | None = None,
) -> Number:
    """The value of the accumulator after c and all products; a zero has no sign.

    Raises:
        RequestError: a term that the accumulator refuses.
    """
    limits = exponents or Exponents()
    match accumulator:
        case Exact():
            made = c
            for _, term in _terms(segments):
                made = add(made, term)
        case Rounded():
            made = _rounded(segments, accumulator, c)
        case Fixed():
            made = _fixed(segments, accumulator, c)
        case Fused():
            made = _fused(segments, accumulator, c, limits)
        case Staged():
            made = _staged(segments, accumulator, c, limits)
    return _ZERO if made is Special.NEGATIVE_ZERO else made


def _terms(segments: Sequence[Segment]) -> list[tuple[bool, Number]]:
    """Whether a term is one product, and the term."""
    made: list[tuple[bool, Number]] = []
    for segment in segments:
        products = [multiply(x, y) for x, y in zip(segment.a, segment.b, strict=True)]
        if not segment.scaled:
            made += [(True, product) for product in products]
            continue
        total: Number = _ZERO
        for product in products:
            total = add(total, product)
        made.append((False, multiply(multiply(total, segment.scale_a), segment.scale_b)))
    return made


def _rounded(segments: Sequence[Segment], how: Rounded, c: Number) -> Number:
    overflow = "largest" if how.rounding == "toward-zero" else "infinity"

    def fit(x: Number) -> Number:
        return round_width(x, how.type, how.rounding, overflow)

    def tree(values: list[Number]) -> Number:
        while len(values) > 1:
            pairs = [fit(add(x, y)) for x, y in zip(values[0::2], values[1::2], strict=False)]
            values = pairs + values[len(pairs) * 2 :]
        return values[0]

    terms = [fit(term) if single and how.product == "rounded" else term for single, term in _terms(segments)]
    made = fit(c)
    match how.order:
        case "tree":
            width = how.width or max(len(terms), 1)
            terms = [tree(terms[at : at + width]) for at in range(0, len(terms), width)]
        case "lanes":
            lanes = [_in_sequence(_ZERO, terms[lane :: how.width], fit) for lane in range(how.width)]
            terms = [tree(lanes)] if terms else []
    return _in_sequence(made, terms, fit)


def _in_sequence(start: Number, terms: Sequence[Number], fit: object) -> Number:
    assert callable(fit)
    made = start
    for term in terms:
        made = fit(add(made, term))
    return made


def _fixed(segments: Sequence[Segment], how: Fixed, c: Number) -> Number:
    ulp = power(-how.fraction_bits)
    half = 1 << (how.integer_bits + how.fraction_bits)
    special: Number = _ZERO
    held = 0
    for term in [c, *(term for _, term in _terms(segments))]:
        if not isinstance(term, Fraction):
            special = add(special, term)
            continue
        steps = term / ulp
        if how.rounding == "exact" and steps.denominator != 1:
            raise RequestError(f"{term} is no multiple of 2^-{how.fraction_bits}, the last bit of {how.name or how}")
        held += int(steps) if how.rounding == "exact" else _whole(steps, how.rounding)
        held = (held + half) % (2 * half) - half if how.overflow == "wrap" else min(max(held, -half), half - 1)
    return held * ulp if special == 0 else special


def _scaled_exponent(x: Number, limit: int | None, zero: int) -> int:
    if not isinstance(x, Fraction) or x == 0:
        return zero
    return max(exponent(abs(x)), limit) if limit is not None else exponent(abs(x))


@dataclass(frozen=True, slots=True)
class _Product:
    """Operands with their scales: what they are worth and the exponents that align them."""

    x: Number
    exponent: int


def _products(segments: Sequence[Segment], limits: Exponents, zero: int) -> list[_Product]:
    made = []
    for segment in segments:
        scale = multiply(segment.scale_a, segment.scale_b)
        shift = 0
        if segment.scaled and isinstance(scale, Fraction):
            shift = exponent(scale)
            if scale != power(shift):
                raise RequestError("alignment by exponents takes no scales but powers of two")
        for x, y in zip(segment.a, segment.b, strict=True):
            e = _scaled_exponent(x, limits.a, zero) + _scaled_exponent(y, limits.b, zero) + shift
            made.append(_Product(multiply(multiply(x, y), scale), e))
    return made


def _sums(segments: Sequence[Segment], how: Fused, limits: Exponents) -> list[_Product]:
    """Exact sums of products times their scales, aligned by the exponents of the scales."""
    made = []
    for segment in segments:
        if segment.scaled and len(segment.a) % how.exact and segment is not segments[-1]:
            raise RequestError(f"blocks of {len(segment.a)} do not consist of exact sums of {how.exact}")
        e = _scaled_exponent(segment.scale_a, limits.scale_a, how.zero_exponent)
        e += _scaled_exponent(segment.scale_b, limits.scale_b, how.zero_exponent)
        for at in range(0, len(segment.a), how.exact):
            total: Number = _ZERO
            for x, y in zip(segment.a[at : at + how.exact], segment.b[at : at + how.exact], strict=True):
                total = add(total, multiply(x, y))
            made.append(_Product(multiply(multiply(total, segment.scale_a), segment.scale_b), e))
    return made


def _fused(segments: Sequence[Segment], how: Fused, c: Number, limits: Exponents) -> Number:
    if how.promotion:
        return _promoted(segments, how, c, limits)
    terms = _sums(segments, how, limits) if how.exact else _products(segments, limits, how.zero_exponent)
    group = how.group // max(how.exact, 1)
    made = round_width(c, how.type, how.rounding, "infinity")
    for at in range(0, len(terms), group):
        held = _Product(made, _scaled_exponent(made, how.type.lowest, how.zero_exponent))
        made = round_width(_aligned([held, *terms[at : at + group]], how), how.type, how.rounding, "infinity")
    return made


def _aligned(terms: Sequence[_Product], how: Fused) -> Number:
    top = max(term.exponent for term in terms)
    total: Number = _ZERO
    for term in terms:
        x = term.x
        if isinstance(x, Fraction) and how.fraction_bits is not None:
            x = trunc(x * power(how.fraction_bits - top)) * power(top - how.fraction_bits)
        total = add(total, x)
    return total


def _promoted(segments: Sequence[Segment], how: Fused, c: Number, limits: Exponents) -> Number:
    """Parts of `promotion` products from zero each; their sums, times both scales in fp32, are added in fp32."""
    plain = Fused(
        group=how.group, fraction_bits=how.fraction_bits, type=how.type, rounding=how.rounding,
        exact=how.exact, zero_exponent=how.zero_exponent,
    )  # fmt: skip
    made = round_width(c, FP32, "nearest-even", "infinity")
    for segment in segments:
        scale = round_width(multiply(segment.scale_a, segment.scale_b), FP32, "nearest-even", "infinity")
        if segment.scaled and len(segment.a) % how.promotion and segment is not segments[-1]:
            raise RequestError(f"blocks of {len(segment.a)} do not consist of promotions after {how.promotion}")
        for at in range(0, len(segment.a), how.promotion):
            part = Segment(segment.a[at : at + how.promotion], segment.b[at : at + how.promotion])
            term = multiply(_fused([part], plain, _ZERO, limits), scale)
            made = round_width(add(made, term), FP32, "nearest-even", "infinity")
    return made


def _staged(segments: Sequence[Segment], how: Staged, c: Number, limits: Exponents) -> Number:
    terms = _products(segments, limits, how.zero_exponent)
    made = round_width(c, FP32, "nearest-even", "infinity")
    for at in range(0, len(terms), how.group):
        made = _stage(terms[at : at + how.group], how, made)
    return made


def _stage(terms: Sequence[_Product], how: Staged, held: Number) -> Number:
    total: Number = held
    for term in terms:
        total = add(total, term.x)
    if not isinstance(total, Fraction):
        return total
    assert isinstance(held, Fraction)
    beyond = [x for x in (term.x for term in terms) if isinstance(x, Fraction) and abs(x) >= power(128)]
    if beyond:
        return _NAN if min(beyond) < 0 < max(beyond) else (_INFINITY if beyond[0] > 0 else _MINUS)
    parts = [_cut(part, how.fraction_bits) for part in (terms[0::2], terms[1::2]) if part] if how.halves else []
    if parts:
        top = max(e for _, e in parts)
        whole = sum((_down(x, how.fraction_bits - top) for x, _ in parts), _ZERO)
    else:
        whole, top = _cut(terms, how.fraction_bits)
    at = _scaled_exponent(held, FP32.lowest, how.zero_exponent)
    both = max(top, at)
    kept = _down(held, how.fraction_bits - both) if not how.reach or at >= both - how.reach else _ZERO
    return round_width(_down(whole, how.sum_bits - both) + kept, FP32, "nearest-even", "infinity")


def _cut(terms: Sequence[_Product], bits: int) -> tuple[Fraction, int]:
    top = max(term.exponent for term in terms)
    total = _ZERO
    for term in terms:
        assert isinstance(term.x, Fraction)
        total += trunc(term.x * power(bits - top)) * power(top - bits)
    return total, top


def _down(x: Fraction, bits: int) -> Fraction:
    return floor(x * power(bits)) * power(-bits)


def nearest_odd(x: Fraction) -> float:
    """A fraction as float64, rounded to odd: any later rounding to at most 51 bits then is as of the fraction."""
    if x == 0:
        return 0.0
    e = exponent(abs(x))
    scaled = abs(x) * power(52 - e)
    whole = floor(scaled)
    if scaled != whole:
        whole |= 1
    made = float(whole * power(e - 52))
    return -made if x < 0 else made
