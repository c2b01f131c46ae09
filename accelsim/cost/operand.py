"""What arithmetic sees of a format once a code is decoded: significand, exponent, shared scales."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch

from accelsim.errors import RequestError
from accelsim.spec import format as f


@dataclass(frozen=True, slots=True)
class Scale:
    """A factor that several elements share.

    Attributes:
        length: elements that share it.
        significand: bits to multiply with; 0 for a power of two.
        exponent: bits to add to an exponent; 0 for an integer factor.
        shift: largest distance of a shift that stands in for the factor (microexponents); 0 where there is none.
    """

    length: int
    significand: int = 0
    exponent: int = 0
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Operand:
    """A decoded element: (-1)^s x significand x 2^exponent, or 2^x for logarithmic formats.

    Attributes:
        significand: bits, a hidden one included; for logarithmic formats those of the number after 2^x.
        exponent: bits of the exponent; 0 for fixed point.
        span: places between the smallest and the largest weight of the last bit; 0 for fixed point.
        logarithm: bits of x before and after its point; (0, 0) if the format is not logarithmic.
        scales: factors of blocks, the smallest block first.
        rare: share of elements that go through a wider multiplier of their own, and bits of its significand.
    """

    significand: int
    exponent: int = 0
    span: int = 0
    logarithm: tuple[int, int] = (0, 0)
    scales: tuple[Scale, ...] = ()
    rare: tuple[float, int] = (0.0, 0)

    @property
    def fixed(self) -> bool:
        """Whether products of such operands are integers."""
        return self.exponent == 0 and not self.logarithmic

    @property
    def logarithmic(self) -> bool:
        """Whether a product is a sum of logarithms."""
        return self.logarithm != (0, 0)


@singledispatch
def operand(record: f.Format) -> Operand:
    """The decoded form of a format's elements.

    Raises:
        RequestError: a kind of format that has no hardware model.
    """
    raise RequestError(f"no hardware cost for formats of kind {record.kind!r}: accelsim/cost/operand.py has no rule")


@operand.register
def _float(record: f.FloatFormat) -> Operand:
    reserved = record.infinities and record.nan == "ieee"
    exponents = (1 << record.exponent_bits) - record.subnormals - (reserved or record.nan == "ieee")
    return Operand(record.mantissa_bits + 1, record.exponent_bits, max(exponents - 1, 0))


@operand.register
def _p3109(record: f.P3109Format) -> Operand:
    return operand(record.as_float())


@operand.register
def _integer(record: f.IntegerFormat) -> Operand:
    return Operand(record.bits)


@operand.register
def _posit(record: f.PositFormat) -> Operand:
    longest = record.regime_limit or record.bits - 1
    reach = min(longest, record.bits - 2) << record.es
    return Operand(max(record.bits - 2 - record.es, 1), (2 * reach).bit_length(), 2 * reach)


@operand.register
def _takum(record: f.TakumFormat) -> Operand:
    fraction = max(record.bits - 5, 0)
    if record.logarithmic:
        return Operand(fraction + 2, 9, 510, logarithm=(9, fraction + 1))
    return Operand(fraction + 1, 9, 509)


@operand.register
def _hif8(record: f.HiF8Format) -> Operand:
    return Operand(4, 6, 37)


@operand.register
def _lns(record: f.LnsFormat) -> Operand:
    whole, fraction = record.integer_bits, record.fraction_bits
    return Operand(fraction + 2, whole, (1 << whole) - 1, logarithm=(whole, fraction))


@operand.register
def _flint(record: f.FlintFormat) -> Operand:
    magnitude = record.bits - record.signed
    return Operand(magnitude - 1 or 1, magnitude.bit_length(), magnitude)


@operand.register
def _dybit(record: f.DybitFormat) -> Operand:
    magnitude = record.bits - record.signed
    return Operand(magnitude, magnitude.bit_length(), magnitude)


@operand.register
def _power_of_two(record: f.PowerOfTwoFormat) -> Operand:
    magnitude = record.bits - record.signed
    powers = (1 << magnitude // record.terms) - 1
    if record.terms > 1:
        return Operand(powers * record.terms)
    return Operand(1, magnitude, powers - 1)


@operand.register
def _abfloat(record: f.AbfloatFormat) -> Operand:
    return Operand(record.mantissa_bits + 1, record.exponent_bits, (1 << record.exponent_bits) - 1)


@operand.register
def _codebook(record: f.CodebookFormat) -> Operand:
    if all(level == int(level) for level in record.levels):
        return Operand(int(max(abs(level) for level in record.levels)).bit_length() + 1)
    return Operand(8, 8, 254)  # the levels as bf16, with which QLoRA computes


@operand.register
def _adaptivfloat(record: f.AdaptivFloatFormat) -> Operand:
    return Operand(record.mantissa_bits + 1, record.exponent_bits, (1 << record.exponent_bits) - 1)


@operand.register
def _cfloat(record: f.CFloatFormat) -> Operand:
    return Operand(record.mantissa_bits + 1, record.exponent_bits, (1 << record.exponent_bits) - 2)


@operand.register
def _adaptive(record: f.AdaptiveFormat) -> Operand:
    all_ = [operand(candidate) for candidate in record.candidates]
    widest = Operand(max(o.significand for o in all_), max(o.exponent for o in all_), max(o.span for o in all_))
    return replace(widest, scales=_shared(record.scale, record.length))


@operand.register
def _block(record: f.BlockFormat) -> Operand:
    element = operand(record.element)
    if record.zero_point:
        element = replace(element, significand=element.significand + 1)
    return replace(element, scales=_shared(record.scale, record.length))


@operand.register
def _two_level(record: f.TwoLevelBlockFormat) -> Operand:
    return replace(operand(record.element), scales=_shared(record.scale, record.length))


@operand.register
def _microexponent(record: f.MicroexponentFormat) -> Operand:
    scales: tuple[Scale, ...] = (Scale(record.length, exponent=record.exponent_bits),)
    if record.sub_length:
        scales = (Scale(record.sub_length, shift=(1 << record.microexponent_bits) - 1), *scales)
    return Operand(record.magnitude_bits, scales=scales)


@operand.register
def _gguf(record: f.GgufFormat) -> Operand:
    # sub-blocks of k-quants have integer scales under one fp16 scale
    sub = {"q4_k": (Scale(32, significand=6),), "q6_k": (Scale(16, significand=8),)}.get(record.layout, ())
    return Operand(record.bits, scales=(*sub, Scale(record.block, significand=11, exponent=5)))


@operand.register
def _outlier_pair(record: f.OutlierPairFormat) -> Operand:
    normal, outlier = operand(record.normal), operand(record.outlier)
    bias = record.outlier.exponent_bias if isinstance(record.outlier, f.AbfloatFormat) else 0
    span = max(normal.span, outlier.span + bias)
    return Operand(max(normal.significand, outlier.significand), span.bit_length(), span)


@operand.register
def _outlier_list(record: f.OutlierListFormat) -> Operand:
    if record.centroids:
        return operand(record.dictionary)
    return Operand(record.bits, rare=(record.outlier_fraction, operand(record.outlier).significand))


def _shared(scale: f.Format, length: int | None) -> tuple[Scale, ...]:
    """The factor of a block; that of a channel or tensor is applied once per output and vanishes."""
    if length is None:
        return ()
    decoded = operand(scale)
    power = decoded.significand == 1 and not decoded.fixed
    return (Scale(length, 0 if power else decoded.significand, decoded.exponent),)
