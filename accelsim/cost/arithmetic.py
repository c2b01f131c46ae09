"""Multiply-accumulate units as sums of parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.cost import gates
from accelsim.cost.gates import Gates
from accelsim.cost.operand import Operand, Scale
from accelsim.cost.terms import Style, Term
from accelsim.errors import AccelsimError, RequestError
from accelsim.spec.format import FloatFormat
from accelsim.spec.format.names import from_name

ALIGNED_BITS = 25  # of terms that tensor cores align before they add them (F of Hopper's and later bf16)
WIDEST_EXACT = 32  # sums up to this width are kept exact instead


@dataclass(frozen=True, slots=True)
class Accumulator:
    """How products are summed.

    Attributes:
        significand: bits of a floating-point accumulator, the hidden one included; of the final one for groups.
        exponent: bits of its exponent; 0 for fixed point.
        width: bits of a fixed-point accumulator; 0 where it is floating point.
        exact: whether the width is what the products need, with 16 bits for carries.
        group: products that are aligned and added before they are rounded into the accumulator; 1 for one at a time.
    """

    significand: int = 0
    exponent: int = 0
    width: int = 0
    exact: bool = False
    group: int = 1


def accumulator(name: str) -> Accumulator:
    """The accumulator of a name: `fp32`, `bf16` and other floats, `int32`, `exact`, or `dot16`.

    `dot16` adds groups of 16 products in fixed point, then rounds into fp32, as tensor cores do.

    Raises:
        RequestError: no such accumulator.
    """
    if name == "exact":
        return Accumulator(exact=True)
    if found := re.fullmatch(r"int([1-9]\d?)", name):
        return Accumulator(width=int(found[1]))
    if found := re.fullmatch(r"dot([1-9]\d{0,2})", name):
        return Accumulator(24, 8, group=int(found[1]))
    try:
        record = from_name(name)
    except AccelsimError:
        record = None
    if not isinstance(record, FloatFormat):
        raise RequestError(f"no accumulator named {name!r}: take a float (fp32, fp16, bf16), int32, exact or dot16")
    return Accumulator(record.mantissa_bits + 1, record.exponent_bits)


def float_adder(significand: int, exponent: int) -> Gates:
    """Sum of two floats, rounded: compare, swap, align, add, count, normalise, round, with three guard bits."""
    width = significand + 3
    return gates.total([
        gates.adder(exponent),  # difference of exponents
        gates.selection(2 * significand + exponent),  # the larger one first
        gates.shifter(width, width),
        gates.adder(width) + Gates(xors=width),
        gates.leading_count(width),
        gates.shifter(width, width),
        gates.adder(exponent),  # of the result
        gates.incrementer(significand),
        gates.any_of(4 * exponent + significand),  # infinities, NaN, sticky
    ])  # fmt: skip


def float_multiplier(significand: int, exponent: int) -> Gates:
    """Product of two floats, rounded; subnormals cost no more than their hidden bits."""
    return gates.total([
        gates.multiplier(significand, significand),
        gates.adder(exponent + 1) * 2,  # sum of exponents less the bias
        gates.selection(significand + 1),  # normalise by one place
        gates.incrementer(significand),
        gates.any_of(4 * exponent + significand),
        Gates(xors=1),
    ])  # fmt: skip


def multiply_accumulate(first: Operand, second: Operand, into: Accumulator) -> tuple[Term, ...]:
    """The parts of a unit that adds the product of two decoded elements to an accumulator."""
    if (into.width or into.exact) and not (first.scales or second.scales):
        return tuple(_fixed_point(first, second, into))
    if first.scales or second.scales or into.group > 1:
        return tuple(_grouped(first, second, into))
    style: Style = "plain" if first.fixed and second.fixed else "multiply"
    sum_ = Term("add", float_adder(into.significand, into.exponent), style="add")
    return (*_product(first, second, style), sum_)


def _product(first: Operand, second: Operand, style: Style = "plain") -> Iterator[Term]:
    if first.logarithmic and second.logarithmic:
        bits = max(sum(first.logarithm), sum(second.logarithm))
        yield Term("add logarithms", gates.adder(bits + 1) + Gates(xors=1))
        yield Term("2^x", antilogarithm(max(first.logarithm[1], second.logarithm[1])))
        return
    for one in (first, second):
        if one.logarithmic:
            yield Term("2^x", antilogarithm(one.logarithm[1]))
    product = gates.multiplier(first.significand, second.significand) + Gates(xors=1)
    yield Term("multiply", product, style=style)
    if not (first.fixed and second.fixed):
        yield Term("add exponents", gates.adder(max(first.exponent, second.exponent) + 1), style=style)
    for share, bits in {first.rare, second.rare}:
        if share:  # a few wide multipliers beside many narrow ones
            wide = gates.multiplier(bits, max(first.significand, second.significand))
            yield Term("multiply outliers", wide, per=1 / share, style=style)


def antilogarithm(fraction: int) -> Gates:
    """2^x for the fraction of x, as long again."""
    return gates.smooth_table(fraction, fraction + 1)


def _product_bits(first: Operand, second: Operand) -> int:
    if first.logarithmic and second.logarithmic:
        return max(first.significand, second.significand)
    return first.significand + second.significand


def _fixed_point(first: Operand, second: Operand, into: Accumulator) -> Iterator[Term]:
    yield from _product(first, second)
    span, bits = first.span + second.span, _product_bits(first, second)
    width = into.width or bits + span + 16
    if span:
        yield Term("shift into place", gates.placing(bits, min(span, width), width) + gates.negation(bits))
    yield Term("add", gates.adder(width))


def _grouped(first: Operand, second: Operand, into: Accumulator) -> Iterator[Term]:
    """Products of a block or group, added in fixed point; then scaled, and rounded into the accumulator."""
    scales = (*first.scales, *second.scales)
    lengths = [scale.length for scale in scales if not scale.shift] + ([into.group] if into.group > 1 else [])
    group = min(lengths)
    yield from _product(first, second)
    width = _product_bits(first, second)
    span = first.span + second.span
    if width + span > WIDEST_EXACT:
        exponent = max(first.exponent, second.exponent) + 1
        yield Term("largest exponent", gates.adder(exponent) * 2 + gates.selection(exponent))
        yield Term("align", gates.placing(width, ALIGNED_BITS, ALIGNED_BITS) + Gates(xors=min(width, ALIGNED_BITS)))
        width = ALIGNED_BITS
    elif span:
        yield Term("align", gates.placing(width, span, width + span) + Gates(xors=width))
        width += span
    for scale in scales:
        if scale.shift:
            yield Term("microexponent", gates.shifter(width + scale.length.bit_length(), scale.shift), scale.length)
            width += scale.shift
    yield Term("add", gates.adder(width + (group - 1).bit_length()))
    sum_bits = width + (group - 1).bit_length()
    yield from _scale_sums(scales, sum_bits)
    if into.width or into.exact:
        yield Term("accumulate", gates.adder(into.width or sum_bits + 16), group)
        return
    yield Term("accumulate", float_adder(into.significand, into.exponent), group, style="add")


def _scale_sums(scales: tuple[Scale, ...], sum_bits: int) -> Iterator[Term]:
    for scale in scales:
        if scale.shift:
            continue
        work = gates.adder(scale.exponent + 1 if scale.exponent else 0)
        work += gates.multiplier(min(sum_bits, ALIGNED_BITS), scale.significand)
        yield Term("scale of a block", work, scale.length)
