"""Formats that need no file: their parameters are in their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pydantic import ValidationError

from accelsim.errors import DescriptionError, UnknownNameError
from accelsim.spec.faults import faults_of
from accelsim.spec.format.base import Format, Lookup
from accelsim.spec.format.plain import FloatFormat, IntegerFormat, P3109Format
from accelsim.spec.format.scaled import BlockFormat
from accelsim.spec.format.sparse import SparseFormat
from accelsim.spec.format.tapered import DybitFormat, FlintFormat, PositFormat, PowerOfTwoFormat, TakumFormat

HINT: Final = (
    "without a file: int3 uint4 e3m2 fp8_e4m3_fnuz posit6 posit8_es0 takum16 flint3u dybit4 pot5 binary8p3se, "
    "int4_g128 uint4_g64_zp fp8_e4m3_tensor flint4_channel, and mxfp8_e4m3_even mxint4_rceil; weights that keep two "
    "of four: bf16_2of4"
)
_SPARSE: Final = re.compile(r"(?P<dense>.+)_2of4")
_GRANULARITY: Final = re.compile(r"(?P<base>.+)_(?:(?P<whole>tensor|channel)|g(?P<length>[1-9]\d*))(?P<zero>_zp)?")


def from_name(name: str, lookup: Lookup | None = None) -> Format:
    """The record of a name that states its own parameters.

    A float under another spelling (`e4m3`, `fp8_e4m3fn`) gets its usual name (`fp8_e4m3`).

    Args:
        name: such as `posit6`, `e3m2` or `int4_g64`.
        lookup: finds the format before a granularity suffix; without it, only names of this module are found.

    Raises:
        UnknownNameError: no such family, or parameters that no format of the family has.
    """
    for pattern, make in _FAMILIES:
        if found := re.fullmatch(pattern, name):
            return _checked(name, partial(make, name, found))
    if found := _SPARSE.fullmatch(name):
        dense = (lookup or from_name)(found["dense"])
        return _checked(name, lambda: SparseFormat(**_sourced(name, f"{dense.name} with 2:4 sparsity"), dense=dense))
    if found := _GRANULARITY.fullmatch(name):
        base = (lookup or from_name)(found["base"])
        return _checked(name, partial(_granular, name, base, found))
    raise UnknownNameError("format", name, (), hint=HINT)


def _checked(name: str, make: Callable[[], Format]) -> Format:
    try:
        return make()
    except ValidationError as error:
        given = {fault["loc"][0]: fault["input"] for fault in error.errors() if len(fault["loc"]) == 1}
        raise DescriptionError(f"format {name!r}", faults_of(error, Format, given)) from None


def _sourced(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "source": f"{what}, with the parameters in its name", "status": "derived"}


def _integer(name: str, found: re.Match[str]) -> Format:
    return IntegerFormat(
        **_sourced(name, "integers"),
        bits=int(found["bits"]),
        signed=not found["u"],
        symmetric=bool(found["symmetric"]),
        fraction_bits=int(found["fraction"] or 0),
    )


def _float(name: str, found: re.Match[str]) -> Format:
    exponent, mantissa, unsigned = int(found["e"]), int(found["m"]), bool(found["u"])
    bits = exponent + mantissa + (not unsigned)
    if found["bits"] and int(found["bits"]) != bits:
        hint = f"sign, {exponent} exponent and {mantissa} mantissa bits are {bits} bits, not {found['bits']}"
        raise UnknownNameError("format", name, (), hint=hint)
    # as OCP has it: up to seven bits are all numbers, eight and more keep an exponent for infinities and NaN
    usual = "fn" if (exponent, mantissa) == (4, 3) or unsigned else "ieee" if bits > 7 else "finite"
    rule = found["rule"] or usual
    if unsigned and mantissa == 0 and rule == "fn":
        return _exponent_only(exponent)
    bias = (1 << exponent >> 1) - (rule != "fnuz")
    own_bias = int(found["bias"]) if found["bias"] and int(found["bias"]) != bias else None
    suffix = (f"_b{own_bias}" if own_bias is not None else "") + ("" if rule == usual else rule)
    fields = f"{found['u']}e{exponent}m{mantissa}" + (f"_{suffix.lstrip('_')}" if suffix else "")
    canonical = fields if unsigned else _STANDARD.get(fields, f"fp{bits}_{fields}")
    return FloatFormat(
        **_sourced(canonical, "floats"),
        exponent_bits=exponent,
        mantissa_bits=mantissa,
        exponent_bias=own_bias if own_bias is not None or rule != "fnuz" else bias,
        infinities=rule == "ieee",
        nan="none" if rule == "finite" else rule,  # type: ignore[arg-type]  # one of the four, by the pattern
        signed=not unsigned,
    )


def _exponent_only(exponent: int) -> Format:
    """A scale that is a power of two and nothing else, with one NaN: E8M0 and its kin."""
    return FloatFormat(
        **_sourced(f"ue{exponent}m0", "powers of two"),
        exponent_bits=exponent,
        mantissa_bits=0,
        infinities=False,
        nan="fn",
        subnormals=False,
        zero=False,
        signed=False,
    )


def _p3109(name: str, found: re.Match[str]) -> Format:
    signed, extended = found["sign"] == "s", found["domain"] == "e"
    made = _sourced(name, "IEEE P3109")
    return P3109Format(
        **made, bits=int(found["bits"]), precision=int(found["precision"]), signed=signed, extended=extended
    )


def _posit(name: str, found: re.Match[str]) -> Format:
    return PositFormat(**_sourced(name, "posits"), bits=int(found["bits"]), es=int(found["es"] or 2))


def _takum(name: str, found: re.Match[str]) -> Format:
    return TakumFormat(**_sourced(name, "takums"), bits=int(found["bits"]), logarithmic=bool(found["log"]))


def _flint(name: str, found: re.Match[str]) -> Format:
    return FlintFormat(**_sourced(name, "flint of ANT"), bits=int(found["bits"]), signed=not found["u"])


def _dybit(name: str, found: re.Match[str]) -> Format:
    record = DybitFormat(**_sourced(name, "DyBit"), bits=int(found["bits"]), signed=not found["u"])
    return record.model_copy(update={"status": "assumed"})  # the table is not checked against the paper


def _powers(name: str, found: re.Match[str]) -> Format:
    made = _sourced(name, "powers of two" if not found["a"] else "sums of two powers of two")
    terms = 2 if found["a"] else 1
    return PowerOfTwoFormat(**made, bits=int(found["bits"]), signed=not found["u"], terms=terms)


def _granular(name: str, base: Format, found: re.Match[str]) -> Format:
    """A plain format with a scale: fp16 for a group, fp32 for a tensor or channel.

    The largest magnitude goes to the largest number; but the mean to 1 where precision tapers away from there, since
    the ends of posits and takums are far out and coarse (layer-wise scales of posits: Lu et al., arXiv 1909.03831).
    """
    length = found["length"]
    tapered = isinstance(base, PositFormat | TakumFormat)
    return BlockFormat(
        **_sourced(name, f"{base.name} with a scale"),
        element=base,
        granularity=found["whole"] or "block",  # type: ignore[arg-type]  # one of the three, by the pattern
        length=int(length) if length else None,
        scale=_HALF if length else _SINGLE,
        scale_rule="mean" if tapered else "absmax",
        zero_point=base if found["zero"] else None,
    )


def _mx(name: str, found: re.Match[str]) -> Format:
    """32 elements under an E8M0 scale, as the OCP has it; integers with the point behind the first bit."""
    rule, whole = found["rule"] or "floor", int(found["int"] or 0)
    fields = "fp4_e2m1" if found["fp4"] else f"int{whole}_f{whole - 2}_symmetric" if whole else found["float"]
    return BlockFormat(
        **_sourced(name.removesuffix("_floor"), "blocks of OCP MX"),
        element=from_name(fields),
        length=32,
        scale=_exponent_only(8),
        scale_rule=rule,  # type: ignore[arg-type]  # one of the four, by the pattern
    )


def _ieee(name: str, exponent: int, mantissa: int) -> FloatFormat:
    made = {"name": name, "source": "IEEE 754-2019, section 3.6", "status": "datasheet"}
    return FloatFormat(**made, exponent_bits=exponent, mantissa_bits=mantissa, infinities=True, nan="ieee")  # type: ignore[arg-type]


_SINGLE: Final = _ieee("fp32", 8, 23)
_HALF: Final = _ieee("fp16", 5, 10)

_STANDARD: Final = {"e8m23": "fp32", "e5m10": "fp16", "e8m7": "bf16"}

_FAMILIES: Final[tuple[tuple[str, Callable[[str, re.Match[str]], Format]], ...]] = (
    (r"fp32", lambda name, found: _SINGLE),
    (r"fp16", lambda name, found: _HALF),
    (r"e8m0(?:fnu)?", lambda name, found: _exponent_only(8)),
    (r"bf16", lambda name, found: _ieee(name, 8, 7)),
    (r"(?P<u>u?)int(?P<bits>[1-9]\d?)(?:_f(?P<fraction>\d+))?(?P<symmetric>_symmetric)?", _integer),
    (
        r"(?:fp(?P<bits>\d+)_)?(?P<u>u?)e(?P<e>\d+)m(?P<m>\d+)(?:_b(?P<bias>\d+))?(?:_?(?P<rule>ieee|fn|fnuz|finite))?",
        _float,
    ),
    (r"binary(?P<bits>\d+)p(?P<precision>\d+)(?P<sign>[su])(?P<domain>[ef])", _p3109),
    (r"posit(?P<bits>[1-9]\d?)(?:_es(?P<es>\d))?", _posit),
    (r"takum(?P<log>_log)?(?P<bits>[1-9]\d?)", _takum),
    (r"flint(?P<bits>\d)(?P<u>u?)", _flint),
    (r"dybit(?P<bits>\d)(?P<u>u?)", _dybit),
    (r"(?P<a>a?)pot(?P<bits>\d)(?P<u>u?)", _powers),
    (r"mx(?:(?P<fp4>fp4)|(?P<float>fp\d_e\d+m\d+)|int(?P<int>[2-9]))(?:_(?P<rule>floor|ceil|even|rceil))?", _mx),
)
