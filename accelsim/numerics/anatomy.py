"""What a format consists of: the grids of its elements, their range, and where its bits go."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import registry
from accelsim.numerics.format import DataFormat
from accelsim.numerics.reference import microexponent
from accelsim.numerics.reference.float import exponent, power
from accelsim.numerics.reference.grid import Grid
from accelsim.spec.format import (
    AdaptiveFormat,
    AdaptivFloatFormat,
    BlockFormat,
    CFloatFormat,
    CodebookFormat,
    FloatFormat,
    Format,
    GgufFormat,
    MicroexponentFormat,
    OutlierListFormat,
    OutlierPairFormat,
    P3109Format,
    TwoLevelBlockFormat,
)
from accelsim.spec.format.names import from_name
from accelsim.spec.format.outliers import COUNT_BITS

MOST_LISTED_BITS: Final = 16
"""Wider formats have too many values to list; theirs are counted by their codes, which ascend with the magnitude."""

_GGUF_ELEMENT: Final = {"q4_0": "int4", "q8_0": "int8_symmetric", "q4_k": "uint4", "q6_k": "int6"}


@dataclass(frozen=True, slots=True)
class Part:
    """Bits of one role.

    Attributes:
        name: the role, such as `element` or `scale`.
        bits: per element of a long tensor; 0 for what is stored once with a tensor or channel.
        of: what they are.
    """

    name: str
    bits: float
    of: str


def bits_by_part(record: Format) -> tuple[Part, ...]:
    """Where the bits of an element go; they add up to `bits_per_element`."""
    if isinstance(record, BlockFormat):
        return _of_block(record)
    if isinstance(record, TwoLevelBlockFormat):
        scale = _shared("scale", record.scale, record.length)
        return (_element(record.element), scale, Part("tensor scale", 0.0, f"{record.tensor_scale.name}, once"))
    if isinstance(record, MicroexponentFormat):
        return _of_microexponent(record)
    if isinstance(record, GgufFormat):
        return _of_gguf(record)
    if isinstance(record, OutlierPairFormat):
        code = f"{record.normal.name}, or {record.outlier.name} beside a victim"
        return (Part("element", float(record.bits), code), Part("scale", 0.0, f"{record.scale.name}, once"))
    if isinstance(record, OutlierListFormat):
        return _of_list(record)
    if isinstance(record, AdaptiveFormat):
        return _of_choice(record)
    if record.scaled:
        return (Part("element", float(record.bits), record.name), Part("bias", 0.0, "once"))
    return (_element(record),)


def _of_microexponent(record: MicroexponentFormat) -> tuple[Part, ...]:
    bits, length = record.exponent_bits, record.length
    parts = [
        Part("element", float(record.bits), f"sign and {record.magnitude_bits}-bit magnitude"),
        Part("exponent", bits / length, f"{bits} bits for {length} elements"),
    ]
    if record.sub_length:
        bits, length = record.microexponent_bits, record.sub_length
        parts.append(Part("microexponent", bits / length, f"{bits} bits for {length} elements"))
    return tuple(parts)


def _of_choice(record: AdaptiveFormat) -> tuple[Part, ...]:
    choice = (len(record.candidates) - 1).bit_length()
    element = Part("element", float(record.bits), " or ".join(each.name for each in record.candidates))
    if not record.length:
        once = Part("choice", 0.0, f"{choice} bits, once")
        return (element, Part("scale", 0.0, f"{record.scale.name}, once"), once)
    chosen = Part("choice", choice / record.length, f"{choice} bits for {record.length} elements")
    return (element, _shared("scale", record.scale, record.length), chosen)


def _of_list(record: OutlierListFormat) -> tuple[Part, ...]:
    page, room = record.page, record.room(record.page)
    code = Part("element", float(record.bits), "index of a centroid" if record.centroids else record.normal.name)
    once = Part("centroids" if record.centroids else "scale", 0.0, f"{record.dictionary.name}, once")
    if record.layout == "chunk":
        upper = record.outlier.bits - record.bits
        one = Part("outlier", (upper + record.index_bits) / page, f"{upper} upper bits and a place for {page}")
        return (code, one, Part("pointer", record.pointer_bits / page, f"{record.pointer_bits} for {page}"), once)
    return (
        code,
        Part("outliers", room * record.outlier.bits / page, f"room for {room} {record.outlier.name} in {page}"),
        Part("places", room * record.index_bits / page, f"{record.index_bits} for each outlier"),
        Part("count", COUNT_BITS / page, f"{COUNT_BITS} for {page}"),
        once,
    )


def _of_block(record: BlockFormat) -> tuple[Part, ...]:
    if not record.length:
        parts = [_element(record.element), Part("scale", 0.0, f"{record.scale.name}, once a {record.granularity}")]
        if record.zero_point:
            parts.append(Part("zero point", 0.0, f"{record.zero_point.name}, once a {record.granularity}"))
        return tuple(parts)
    parts = [_element(record.element), _shared("scale", record.scale, record.length)]
    if record.zero_point:
        parts.append(_shared("zero point", record.zero_point, record.length))
    if record.scale_scale and record.scale_length:
        above = record.length * record.scale_length
        parts.append(_shared("scale of scales", record.scale_scale, above))
        parts.append(Part("mean of scales", 0.0, f"{record.scale_scale.name}, once"))
    return tuple(parts)


def _of_gguf(record: GgufFormat) -> tuple[Part, ...]:
    code, length = Part("element", float(record.bits), _GGUF_ELEMENT[record.layout]), record.block
    half = Part("scale", 16 / length, f"16 bits of fp16 for {length} elements")
    if record.layout == "q4_k":
        return (
            code,
            Part("scale", 6 / 32, "6 bits for 32 elements"),
            Part("minimum", 6 / 32, "6 bits for 32 elements"),
            Part("scale of scales", 16 / length, half.of),
            Part("scale of minima", 16 / length, half.of),
        )
    if record.layout == "q6_k":
        return (code, Part("scale", 8 / 16, "8 bits for 16 elements"), Part("scale of scales", 16 / length, half.of))
    return (code, half)


def _element(record: Format) -> Part:
    stored = record.bits_per_element
    if isinstance(record, CodebookFormat) and record.digits_per_byte:
        return Part("element", stored, f"{record.digits_per_byte} digits to a byte")
    if stored != record.bits:
        return Part("element", stored, f"{record.bits} bits of {record.name} in {stored:g}")
    return Part("element", stored, record.name)


def _shared(role: str, record: Format, length: int) -> Part:
    return Part(role, record.bits / length, f"{record.bits} bits of {record.name} for {length:,} elements")


def element_grids(record: Format) -> tuple[tuple[str, Format], ...]:
    """Roles and formats of the grids that an element's code may be of, none of them with a scale.

    A bias that is chosen from the data is 0 here, and so is a shared exponent. Centroids are fitted to the data and no
    grid.
    """
    if isinstance(record, (BlockFormat, TwoLevelBlockFormat)):
        return (("element", record.element),)
    if isinstance(record, MicroexponentFormat):
        return (("element at exponent 0", microexponent.element_record(record)),)
    if isinstance(record, GgufFormat):
        return (("element", from_name(_GGUF_ELEMENT[record.layout])),)
    if isinstance(record, OutlierPairFormat):
        return (("normal", record.normal), ("outlier", record.outlier))
    if isinstance(record, OutlierListFormat):
        outlier = ("outlier", record.outlier)
        return (outlier,) if record.centroids else (("normal", record.normal), outlier)
    if isinstance(record, AdaptiveFormat):
        return tuple((f"candidate {at}", each) for at, each in enumerate(record.candidates))
    if isinstance(record, (AdaptivFloatFormat, CFloatFormat)) and record.scaled:
        return (("element at bias 0", record.model_copy(update={"exponent_bias": 0})),)
    return (("element", record),)


def scale_grids(record: Format) -> tuple[tuple[str, Format], ...]:
    """Roles and formats of what elements share."""
    roles = ("scale", "zero_point", "scale_scale", "tensor_scale")
    found = ((role.replace("_", " "), getattr(record, role, None)) for role in roles)
    return tuple((role, each) for role, each in found if isinstance(each, Format))


@dataclass(frozen=True, slots=True)
class Range:
    """What a grid reaches, exactly.

    Attributes:
        codes: 2^bits.
        values: distinct numbers that are ever written, one zero among them if there is one.
        smallest: the most negative.
        largest: the most positive.
        smallest_positive: the positive one nearest to zero.
        smallest_normal: of floats with subnormals, the least magnitude with the full precision; else None.
        infinities: codes of infinities.
        nans: codes of NaN; None where they are too many to list.
        negative_zero: whether there is a second zero.
    """

    codes: int
    values: int
    smallest: Fraction
    largest: Fraction
    smallest_positive: Fraction
    smallest_normal: Fraction | None
    infinities: int
    nans: int | None
    negative_zero: bool


def range_of(record: Format) -> Range:
    """The range of a format without scales.

    Raises:
        RequestError: it owns scales, or its kind is priced and not computed.
    """
    grid = registry.grid(record)
    least = grid.largest if grid.largest <= 0 else least_positive(grid)
    if record.bits <= MOST_LISTED_BITS:
        values = DataFormat(record).values.size
    else:
        positive = grid.code(grid.largest) - grid.code(least) + 1
        values = 1 + positive
        if grid.smallest < 0:
            values += positive + (grid.smallest != -grid.largest)
    return Range(
        codes=1 << record.bits,
        values=values,
        smallest=grid.smallest,
        largest=grid.largest,
        smallest_positive=least,
        smallest_normal=_normal(record),
        infinities=sum(grid.infinity(negative) is not None for negative in {False, grid.smallest < 0}),
        nans=_nans(record, grid),
        negative_zero=grid.has_negative_zero,
    )


def _nans(record: Format, grid: Grid) -> int | None:
    """Codes of NaN; what reads as NaN in a grid without one are unused codes."""
    if not grid.has_nan:
        return 0
    if record.bits > MOST_LISTED_BITS:
        return None
    return int(np.isnan(registry.element_codec(record).decoded).sum())


def least_positive(grid: Grid) -> Fraction:
    """The smallest positive value that is written."""
    _, high = grid.neighbours(power(-4000))
    return high if high > 0 else grid.smallest


def _normal(record: Format) -> Fraction | None:
    if isinstance(record, P3109Format):
        record = record.as_float()
    if isinstance(record, FloatFormat) and record.subnormals and record.exponent_bits:
        return power(1 - record.bias)
    if isinstance(record, CFloatFormat) and record.exponent_bias is not None:
        return power(1 - record.exponent_bias)
    return None


def binades(record: Format) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many positive values lie in [2^e, 2^(e + 1)), for every e from the least to the largest value.

    Returns:
        The exponents e, and as many counts.
    """
    grid = registry.grid(record)
    first, last = exponent(least_positive(grid)), exponent(grid.largest)
    exponents = np.arange(first, last + 1)
    if record.bits <= MOST_LISTED_BITS:
        values = DataFormat(record).values
        found = np.frexp(values[values > 0])[1].astype(np.int64) - 1
        return exponents, np.bincount(found - first, minlength=exponents.size).astype(np.int64)
    starts = [_first_code(grid, power(e)) for e in exponents.tolist()]
    return exponents, np.diff([*starts, grid.code(grid.largest) + 1])


def _first_code(grid: Grid, x: Fraction) -> int:
    """The code of the least value that is at least x."""
    return grid.code(max(grid.neighbours(x)[1], least_positive(grid)))


MOST_SHOWN: Final = 16
"""Grids of more values show four at each end and five in the middle."""


def shown(record: Format) -> tuple[tuple[float, ...], ...]:
    """The values of a grid in one run if they are at most 16, else those at its ends and in its middle."""
    if record.bits <= MOST_LISTED_BITS:
        values = DataFormat(record).values.tolist()
        if len(values) <= MOST_SHOWN:
            return (tuple(values),)
        middle = int(np.searchsorted(values, 0.0)) if values[0] < 0 else len(values) // 2
        return tuple(values[:4]), tuple(values[middle - 2 : middle + 3]), tuple(values[-4:])
    grid = registry.grid(record)
    last = _run(grid, grid.largest, -1, 4)[::-1]
    if grid.smallest >= 0:
        return tuple(_run(grid, grid.smallest, 1, 4)), last
    above = _run(grid, least_positive(grid), 1, 2)
    below = tuple(-v for v in above[::-1])
    return tuple(_run(grid, grid.smallest, 1, 4)), (*below, 0.0, *above), last


def _run(grid: Grid, start: Fraction, step: int, count: int) -> tuple[float, ...]:
    """Values of a wide grid from one on, upwards or downwards."""
    found = [start]
    while len(found) < count:
        nudge = step * (abs(found[-1]) or least_positive(grid)) * power(-70)
        found.append(grid.neighbours(found[-1] + nudge)[step > 0])
    return tuple(float(v) for v in found)
