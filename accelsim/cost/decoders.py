"""From a code to sign, exponent and significand: the parts of each format's decoder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from accelsim.cost import gates
from accelsim.cost.gates import Gates
from accelsim.cost.operand import Scale, operand
from accelsim.cost.terms import Term
from accelsim.errors import RequestError
from accelsim.spec import format as f
from accelsim.spec.format.names import from_name

SINGLE_SIGNIFICAND, SINGLE_EXPONENT = 24, 8


@singledispatch
def decoder(record: f.Format) -> Iterator[Term]:
    """The parts of what turns a code into a decoded element; scales are decoded once per block.

    Raises:
        RequestError: a kind of format that has no hardware model.
    """
    raise RequestError(f"no hardware cost for formats of kind {record.kind!r}: accelsim/cost/decoders.py has no rule")


def widening(record: f.Format) -> Iterator[Term]:
    """The parts of a converter to fp32: decoder, scales applied to every element, and a leading one made explicit."""
    yield from decoder(record)
    form = operand(record)
    for scale in form.scales:
        yield from _applied(scale, form.significand)
    if form.logarithmic:
        whole, fraction = form.logarithm
        yield Term("2^x", gates.smooth_table(fraction, fraction + 1) + gates.adder(whole))
        return
    if _same_as_single(record):
        return
    if form.fixed:
        yield Term("magnitude", gates.negation(form.significand))
    if form.fixed or _has_leading_zeros(record):
        width = form.significand
        yield Term("normalise", gates.leading_count(width) + gates.shifter(width, width - 1))
    if form.exponent != SINGLE_EXPONENT:
        yield Term("exponent", gates.adder(SINGLE_EXPONENT))


def _applied(scale: Scale, significand: int) -> Iterator[Term]:
    product = gates.multiplier(scale.significand, significand) if scale.significand else gates.NOTHING
    exponent = max(scale.exponent, scale.shift.bit_length())
    yield Term("scale each element", product + gates.adder(exponent))


def _same_as_single(record: f.Format) -> bool:
    """fp32 itself, or its upper part (bf16, tf32)."""
    return isinstance(record, f.FloatFormat) and (record.exponent_bits, record.nan) == (8, "ieee")


def _has_leading_zeros(record: f.Format) -> bool:
    if isinstance(record, (f.BlockFormat, f.TwoLevelBlockFormat)):
        return _has_leading_zeros(record.element)
    if isinstance(record, f.FloatFormat):
        return record.subnormals and record.mantissa_bits > 0
    return isinstance(record, (f.P3109Format, f.CFloatFormat, f.DybitFormat, f.AdaptiveFormat, f.OutlierPairFormat))


@decoder.register
def _float(record: f.FloatFormat) -> Iterator[Term]:
    exponent, mantissa = record.exponent_bits, record.mantissa_bits
    if record.subnormals or record.zero:
        yield Term("hidden bit", gates.any_of(exponent) + Gates(ands=1 if exponent and record.subnormals else 0))
    special = {"ieee": exponent + mantissa, "fn": exponent + mantissa, "fnuz": record.bits, "none": 0}[record.nan]
    if special:
        yield Term("NaN and infinity", gates.any_of(special))


@decoder.register
def _p3109(record: f.P3109Format) -> Iterator[Term]:
    return decoder(record.as_float())


@decoder.register
def _integer(record: f.IntegerFormat) -> Iterator[Term]:
    return iter(())


@decoder.register
def _posit(record: f.PositFormat) -> Iterator[Term]:
    body = record.bits - 1
    run = min(record.regime_limit or body, body)
    form = operand(record)
    yield Term("two's complement", gates.negation(body))
    yield Term("length of the regime", Gates(xors=run) + gates.leading_count(run))
    yield Term("shift the regime out", gates.shifter(max(body - 2, 0), run))
    yield Term("exponent", Gates(xors=max(form.exponent - record.es, 0)))
    if record.exponent_shift:
        yield Term("shift of the exponent", gates.adder(form.exponent))
    yield Term("zero and NaR", gates.any_of(body))


@decoder.register
def _takum(record: f.TakumFormat) -> Iterator[Term]:
    body = record.bits - 1
    yield Term("length of the regime", Gates(xors=3))
    yield Term("shift the characteristic out", gates.shifter(max(body - 4, 1), 7))
    yield Term("characteristic", gates.adder(9) + Gates(xors=9))
    yield Term("two's complement", gates.negation(body))
    yield Term("zero and NaR", gates.any_of(body))
    if record.logarithmic:
        form = operand(record)
        bits = sum(form.logarithm)
        yield Term("base sqrt(e) to base 2", gates.constant_multiplier(bits, bits))


@decoder.register
def _hif8(record: f.HiF8Format) -> Iterator[Term]:
    yield Term("prefix", gates.table(16, 3))
    yield Term("shift exponent and mantissa apart", gates.shifter(5, 3) + Gates(xors=4, ands=4))
    yield Term("denormals and specials", gates.any_of(8) + gates.selection(6))


@decoder.register
def _lns(record: f.LnsFormat) -> Iterator[Term]:
    yield Term("zero", gates.any_of(record.integer_bits + record.fraction_bits))


@decoder.register
def _flint(record: f.FlintFormat) -> Iterator[Term]:
    rest = record.bits - record.signed - 1
    yield Term("first one", gates.leading_count(rest))
    yield Term("shift to it", gates.shifter(rest, rest))
    yield Term("integer or float", gates.selection(rest) + Gates(ands=rest.bit_length() + 1))


@decoder.register
def _dybit(record: f.DybitFormat) -> Iterator[Term]:
    magnitude = record.bits - record.signed
    yield Term("run of ones", gates.leading_count(magnitude))
    yield Term("shift it out", gates.shifter(magnitude, magnitude))
    yield Term("integer or float", gates.selection(magnitude) + Gates(ands=magnitude.bit_length()))


@decoder.register
def _power_of_two(record: f.PowerOfTwoFormat) -> Iterator[Term]:
    bits = (record.bits - record.signed) // record.terms
    if record.terms == 1:
        yield Term("zero", gates.any_of(bits))
        return
    yield Term("one bit per term", Gates(ands=record.terms * ((1 << bits) - 1)))


@decoder.register
def _abfloat(record: f.AbfloatFormat) -> Iterator[Term]:
    yield Term("bias", gates.incrementer(record.exponent_bits + 1))


@decoder.register
def _codebook(record: f.CodebookFormat) -> Iterator[Term]:
    if record.digits_per_byte:
        yield Term("digit of a byte", gates.adder(8 + record.bits))
    if (form := operand(record)).fixed:
        yield Term("level", Gates(ands=record.bits))
    else:
        yield Term("table of levels", gates.table(len(record.levels), form.significand + form.exponent))


@decoder.register
def _adaptivfloat(record: f.AdaptivFloatFormat) -> Iterator[Term]:
    yield Term("zero", gates.any_of(record.bits - 1))


@decoder.register
def _cfloat(record: f.CFloatFormat) -> Iterator[Term]:
    yield Term("hidden bit", gates.any_of(record.exponent_bits) + Gates(ands=1))


@decoder.register
def _adaptive(record: f.AdaptiveFormat) -> Iterator[Term]:
    share = 1 / len(record.candidates)
    for candidate in record.candidates:
        for term in decoder(candidate):
            yield Term(f"{candidate.name}: {term.name}", term.gates, term.per, share * term.activity)
    form = operand(record)
    yield Term("choice", gates.selection(form.significand + form.exponent, len(record.candidates)))


@decoder.register
def _block(record: f.BlockFormat) -> Iterator[Term]:
    yield from decoder(record.element)
    if record.zero_point:
        yield Term("zero point", gates.adder(record.element.bits + 1))
    if record.length:
        yield from _scale(record.scale, record.length)
    if record.scale_length and record.scale_scale and record.length:
        product = gates.multiplier(operand(record.scale).significand, operand(record.scale_scale).significand)
        yield Term("scale of the scales", product + float_sum(), record.length)


def float_sum() -> Gates:
    """The mean that double quantisation adds back to a scale."""
    return gates.adder(SINGLE_SIGNIFICAND) + gates.shifter(SINGLE_SIGNIFICAND, SINGLE_SIGNIFICAND)


@decoder.register
def _two_level(record: f.TwoLevelBlockFormat) -> Iterator[Term]:
    yield from decoder(record.element)
    yield from _scale(record.scale, record.length)


def _scale(scale: f.Format, length: int) -> Iterator[Term]:
    for term in decoder(scale):
        yield Term(f"scale: {term.name}", term.gates, length * term.per, term.activity)


@decoder.register
def _microexponent(record: f.MicroexponentFormat) -> Iterator[Term]:
    return iter(())


@decoder.register
def _gguf(record: f.GgufFormat) -> Iterator[Term]:
    if record.layout in ("q4_0", "q6_k"):  # stored with an offset of half the range
        yield Term("offset", gates.incrementer(1))
    if record.layout == "q4_k":
        yield Term("minimum of a sub-block", gates.multiplier(6, 11) + gates.adder(SINGLE_SIGNIFICAND), 32)
    for term in decoder(from_name("fp16")):
        yield Term(f"scale: {term.name}", term.gates, record.block)


@decoder.register
def _outlier_pair(record: f.OutlierPairFormat) -> Iterator[Term]:
    yield Term("identifier in either place", gates.any_of(record.bits) * 2, 2)
    for name, part in (("normal", record.normal), ("outlier", record.outlier)):
        for term in decoder(part):
            yield Term(f"{name}: {term.name}", term.gates, term.per, term.activity)
    form = operand(record)
    yield Term("normal or outlier", gates.selection(form.significand + form.exponent))
    yield Term("victim", Gates(ands=form.significand))


@decoder.register
def _outlier_list(record: f.OutlierListFormat) -> Iterator[Term]:
    if record.centroids:  # chosen for each tensor, so that the table cannot be simplified
        yield Term("centroids", gates.selection(record.dictionary.bits, 1 << record.bits))
    yield Term("position of an outlier", Gates(xors=record.index_bits) + gates.any_of(record.index_bits))
    for term in decoder(record.outlier):
        yield Term(f"outlier: {term.name}", term.gates, term.per, record.outlier_fraction)
    yield Term("normal or outlier", gates.selection(record.outlier.bits))
