"""From an fp32 value to a code: the parts of each format's encoder, nearest value, ties to even."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from accelsim.cost import gates
from accelsim.cost.arithmetic import float_multiplier
from accelsim.cost.decoders import SINGLE_EXPONENT, SINGLE_SIGNIFICAND
from accelsim.cost.gates import Gates
from accelsim.cost.operand import operand
from accelsim.cost.terms import Term
from accelsim.errors import RequestError
from accelsim.spec import format as f

_COMPARED = 15  # bits of magnitude that a maximum over a block compares: exponent and seven of the mantissa


@singledispatch
def encoder(record: f.Format) -> Iterator[Term]:
    """The parts of what turns an fp32 value into a code; work that a block shares is divided among its elements.

    Raises:
        RequestError: a kind of format that has no hardware model.
    """
    raise RequestError(f"no hardware cost for formats of kind {record.kind!r}: accelsim/cost/encoders.py has no rule")


def _round(kept: int, code: int) -> Iterator[Term]:
    """Rounding to nearest of a significand cut to `kept` bits, in a code of so many."""
    yield Term("round", gates.any_of(max(SINGLE_SIGNIFICAND - kept, 1)) + gates.incrementer(code - 1))


def _saturate(bits: int) -> Iterator[Term]:
    yield Term("saturate", gates.any_of(SINGLE_EXPONENT) + gates.selection(bits))


@encoder.register
def _float(record: f.FloatFormat) -> Iterator[Term]:
    if (record.exponent_bits, record.mantissa_bits, record.bias) == (8, 23, 127):
        return
    significand = record.mantissa_bits + 1
    if (record.exponent_bits, record.bias) != (8, 127):
        yield Term("exponent", gates.adder(SINGLE_EXPONENT))
        if record.subnormals:
            yield Term("subnormals", gates.shifter(significand + 1, significand))
        yield from _saturate(record.bits)
    yield from _round(significand, record.bits)


@encoder.register
def _p3109(record: f.P3109Format) -> Iterator[Term]:
    return encoder(record.as_float())


@encoder.register
def _integer(record: f.IntegerFormat) -> Iterator[Term]:
    yield from _to_integer(record.bits)


def _to_integer(bits: int) -> Iterator[Term]:
    yield Term("exponent", gates.adder(SINGLE_EXPONENT))
    yield Term("shift into place", gates.shifter(bits + 1, bits))
    yield from _round(bits, bits + 1)
    yield Term("two's complement", Gates(xors=bits))
    yield from _saturate(bits)


@encoder.register
def _posit(record: f.PositFormat) -> Iterator[Term]:
    run = min(record.regime_limit or record.bits - 1, record.bits - 1)
    yield Term("regime", gates.shifter(record.bits, run) + Gates(xors=SINGLE_EXPONENT - record.es))
    if record.exponent_shift:
        yield Term("shift of the exponent", gates.adder(SINGLE_EXPONENT))
    yield from _round(record.bits - 3, record.bits)
    yield Term("two's complement", gates.negation(record.bits - 1))
    yield from _saturate(record.bits)


@encoder.register
def _takum(record: f.TakumFormat) -> Iterator[Term]:
    if record.logarithmic:
        bits = sum(operand(record).logarithm)
        yield from _logarithm(operand(record).logarithm[1])
        yield Term("base 2 to base sqrt(e)", gates.constant_multiplier(bits, bits))
    yield Term("length of the characteristic", gates.leading_count(8) + Gates(xors=8) + gates.incrementer(8))
    yield Term("characteristic", gates.shifter(record.bits, 7))
    yield from _round(max(record.bits - 5, 1), record.bits)
    yield Term("two's complement", gates.negation(record.bits - 1))
    yield from _saturate(record.bits)


@encoder.register
def _hif8(record: f.HiF8Format) -> Iterator[Term]:
    yield Term("length of the exponent", gates.leading_count(SINGLE_EXPONENT) + Gates(xors=SINGLE_EXPONENT))
    yield Term("prefix, exponent and mantissa", gates.table(8, 4) + gates.shifter(7, 4))
    yield from _round(4, 8)
    yield from _saturate(8)


def _logarithm(fraction: int) -> Iterator[Term]:
    yield Term("log2", gates.smooth_table(fraction + 1, fraction + 1))


@encoder.register
def _lns(record: f.LnsFormat) -> Iterator[Term]:
    yield from _logarithm(record.fraction_bits)
    yield from _round(record.fraction_bits + 1, record.bits)
    yield from _saturate(record.bits)


@encoder.register
def _flint(record: f.FlintFormat) -> Iterator[Term]:
    yield from _two_parts(record.bits, record.signed, "integer")


@encoder.register
def _dybit(record: f.DybitFormat) -> Iterator[Term]:
    yield from _two_parts(record.bits, record.signed, "fraction")


def _two_parts(bits: int, signed: bool, lower: str) -> Iterator[Term]:
    """Of a format whose lower half is fixed point and whose upper half is a float with a prefix."""
    magnitude = bits - signed
    yield Term("exponent", gates.adder(SINGLE_EXPONENT))
    yield Term(f"{lower}: shift into place", gates.shifter(magnitude, magnitude))
    yield Term("float: prefix", gates.shifter(magnitude, magnitude))
    yield Term(f"{lower} or float", gates.selection(magnitude))
    yield from _round(magnitude, bits)
    yield from _saturate(bits)


@encoder.register
def _power_of_two(record: f.PowerOfTwoFormat) -> Iterator[Term]:
    magnitude = record.bits - record.signed
    if record.terms == 1:
        yield Term("exponent", gates.adder(SINGLE_EXPONENT))
        yield from _round(1, record.bits)
        yield from _saturate(record.bits)
        return
    yield from _search(1 << magnitude, record.bits)


@encoder.register
def _abfloat(record: f.AbfloatFormat) -> Iterator[Term]:
    yield Term("exponent", gates.adder(SINGLE_EXPONENT))
    yield from _round(record.mantissa_bits + 1, record.bits)
    yield from _saturate(record.bits)


def _search(levels: int, bits: int) -> Iterator[Term]:
    """The nearest of some levels: a search by halves, a comparison with a boundary for each bit of the code."""
    yield Term("compare with boundaries", gates.adder(16) * bits + gates.table(levels, 16))


@encoder.register
def _codebook(record: f.CodebookFormat) -> Iterator[Term]:
    if operand(record).fixed and len(record.levels) <= 3:  # sign, and whether it is large
        yield Term("compare with boundaries", gates.adder(_COMPARED) * (len(record.levels) - 2) + Gates(ands=2))
    else:
        yield from _search(len(record.levels), record.bits)
    if record.digits_per_byte:
        yield Term("digit of a byte", gates.adder(8 + record.bits))


@encoder.register
def _adaptivfloat(record: f.AdaptivFloatFormat) -> Iterator[Term]:
    if record.scaled:
        yield from _largest()
    yield Term("exponent", gates.adder(SINGLE_EXPONENT))
    yield from _round(record.mantissa_bits + 1, record.bits)
    yield from _saturate(record.bits)


@encoder.register
def _cfloat(record: f.CFloatFormat) -> Iterator[Term]:
    if record.scaled:
        yield from _largest()
    yield Term("exponent", gates.adder(SINGLE_EXPONENT))
    significand = record.mantissa_bits + 1
    yield Term("denormals", gates.shifter(significand + 1, significand))
    yield from _round(significand, record.bits)
    yield from _saturate(record.bits)


def _largest() -> Iterator[Term]:
    yield Term("largest magnitude", gates.adder(_COMPARED) + gates.selection(_COMPARED))


def _divide() -> Iterator[Term]:
    """Each element times the reciprocal of its scale, which is computed once per block."""
    yield Term("divide by the scale", float_multiplier(SINGLE_SIGNIFICAND, SINGLE_EXPONENT))


def _reciprocal(length: int) -> Iterator[Term]:
    rows = Gates(full_adders=SINGLE_SIGNIFICAND, muxes=SINGLE_SIGNIFICAND) * SINGLE_SIGNIFICAND
    yield Term("reciprocal of the scale", rows, length)


def _scaled(element: f.Format, scale: f.Format, length: int | None) -> Iterator[Term]:
    yield from _largest()
    if operand(scale).significand == 1:
        yield Term("subtract the scale's exponent", gates.adder(SINGLE_EXPONENT))
    else:
        yield from _divide()
        if length:
            yield from _reciprocal(length)
    for term in encoder(scale) if length else ():
        yield Term(f"scale: {term.name}", term.gates, term.per * (length or 1), term.activity)
    yield from encoder(element)


@encoder.register
def _adaptive(record: f.AdaptiveFormat) -> Iterator[Term]:
    """With the candidate and its scale already chosen; the search over them runs offline."""
    yield from _divide()
    share = 1 / len(record.candidates)
    for candidate in record.candidates:
        for term in encoder(candidate):
            yield Term(f"{candidate.name}: {term.name}", term.gates, term.per, share * term.activity)
    yield Term("choice", gates.selection(record.bits, len(record.candidates)))


@encoder.register
def _block(record: f.BlockFormat) -> Iterator[Term]:
    if record.zero_point:
        yield from _largest()  # the smallest as well
    yield from _scaled(record.element, record.scale, record.length)
    if record.zero_point:
        yield Term("zero point", gates.adder(record.element.bits + 1))


@encoder.register
def _two_level(record: f.TwoLevelBlockFormat) -> Iterator[Term]:
    for _ in record.targets[1:]:
        yield Term("try another target", float_multiplier(SINGLE_SIGNIFICAND, SINGLE_EXPONENT))
        for term in encoder(record.element):
            yield Term(f"other target: {term.name}", term.gates)
    yield from _scaled(record.element, record.scale, record.length)


@encoder.register
def _microexponent(record: f.MicroexponentFormat) -> Iterator[Term]:
    yield from _largest()
    if record.sub_length:
        yield Term("microexponent", gates.adder(record.exponent_bits), record.sub_length)
    yield Term("exponent", gates.adder(record.exponent_bits))
    yield Term("shift into place", gates.shifter(record.magnitude_bits + 1, record.magnitude_bits))
    yield from _round(record.magnitude_bits, record.bits)
    yield from _saturate(record.bits)


@encoder.register
def _gguf(record: f.GgufFormat) -> Iterator[Term]:
    yield from _largest()
    if record.layout == "q4_k":
        yield from _largest()
    yield from _divide()
    yield from _reciprocal({"q4_k": 32, "q6_k": 16}.get(record.layout, record.block))
    yield from _to_integer(record.bits)


@encoder.register
def _outlier_pair(record: f.OutlierPairFormat) -> Iterator[Term]:
    yield from _divide()
    yield Term("outlier or not", gates.adder(_COMPARED))
    yield from encoder(record.normal)
    yield from encoder(record.outlier)
    yield Term("normal, outlier or victim", gates.selection(record.bits, 3))


@encoder.register
def _outlier_list(record: f.OutlierListFormat) -> Iterator[Term]:
    yield Term("outlier or not", gates.adder(_COMPARED))
    if record.centroids:
        boundaries = gates.selection(16, 1 << record.bits)  # not constants
        yield Term("compare with boundaries", gates.adder(16) * record.bits + boundaries)
    else:
        yield from _divide()
        yield from _to_integer(record.bits)
    for term in encoder(record.outlier):
        yield Term(f"outlier: {term.name}", term.gates, term.per, record.outlier_fraction)
