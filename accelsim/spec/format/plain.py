"""Floats with a fixed split of their bits, and integers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format

NanRule = Literal["ieee", "fn", "fnuz", "none"]
_LOWEST, _HIGHEST = -1074, 1023  # weights of the last and first bit of binary64, in which values are computed


class FloatFormat(Format):
    """Sign, exponent field E, mantissa field M: (-1)^s 2^(E-bias) (1 + M/2^m); E = 0 is subnormal, 2^(1-bias) M/2^m.

    Where NaN and infinity are:

    - `ieee`: the largest exponent field holds no numbers; infinity is M = 0 there (if `infinities`), the rest NaN;
    - `fn`: NaN is the code whose exponent and mantissa bits are all ones; infinity (if any) is the code below it;
    - `fnuz`: NaN is the code of negative zero, which does not exist; infinity (if any) is exponent and mantissa
      all ones, as in signed IEEE P3109;
    - `none`: no NaN.

    Attributes:
        exponent_bits: width of E, bits; 0 makes a fixed-point fraction.
        mantissa_bits: width of M, bits, without the hidden one.
        exponent_bias: what is subtracted from E; 2^(exponent_bits - 1) - 1 where absent.
        infinities: whether infinities have codes.
        nan: where NaN is.
        subnormals: whether E = 0 is subnormal. If not, E = 0 is one more binade, and only the code of all zeros
            is zero.
        zero: whether there is a zero; only formats without subnormals may lack it (E8M0).
        signed: whether there is a sign bit.
        container_bits: bits that a code takes in memory, where more than its own; it lies in their upper end (tf32
            is the upper 19 bits of an fp32).
    """

    kind: Literal["float"] = "float"
    exponent_bits: int = Field(ge=0, le=11)
    mantissa_bits: int = Field(ge=0, le=30)
    exponent_bias: int | None = Field(default=None, ge=-1000, le=1100)
    infinities: bool
    nan: NanRule
    subnormals: bool = True
    zero: bool = True
    signed: bool = True
    container_bits: int | None = Field(default=None, ge=1, le=32)

    @property
    def bits(self) -> int:
        """Sign, exponent and mantissa bits."""
        return self.signed + self.exponent_bits + self.mantissa_bits

    @property
    def bits_per_element(self) -> float:
        """Bits in memory."""
        return float(self.container_bits or self.bits)

    @property
    def bias(self) -> int:
        """What is subtracted from the exponent field."""
        return self.exponent_bias if self.exponent_bias is not None else max((1 << self.exponent_bits >> 1) - 1, 0)

    @model_validator(mode="after")
    def _possible(self) -> FloatFormat:
        if self.exponent_bits + self.mantissa_bits == 0:
            raise ValueError("a float needs an exponent or a mantissa bit: exponent_bits + mantissa_bits is 0")
        if not 1 < self.bits <= 32:
            raise ValueError(f"has {self.bits} bits: a float takes 2 to 32, sign included")
        if self.exponent_bits == 0 and (self.infinities or self.nan == "ieee"):
            raise ValueError("without exponent bits there is no exponent for ieee infinities and NaN: use nan = 'none'")
        if self.exponent_bits == 0 and not self.subnormals:
            raise ValueError("without exponent bits every value is subnormal: subnormals must be true")
        if self.infinities and self.nan == "ieee" and self.mantissa_bits == 0:
            raise ValueError("without mantissa bits the largest exponent is either infinity or NaN: infinities = false")
        if self.nan == "fnuz" and not self.signed:
            raise ValueError("nan = 'fnuz' takes the code of negative zero, which an unsigned format lacks: use 'fn'")
        if not self.subnormals and self.bits > 16:
            raise ValueError(f"subnormals = false is for at most 16 bits, this format has {self.bits}")
        if not self.zero and self.subnormals:
            raise ValueError("subnormals include zero: zero = false needs subnormals = false")
        if self.container_bits is not None and self.container_bits < self.bits:
            raise ValueError(f"container_bits = {self.container_bits} is less than the {self.bits} bits of a code")
        lowest = (1 if self.subnormals else 0) - self.bias - self.mantissa_bits
        highest = (1 << self.exponent_bits) - 1 - self.bias
        if lowest < _LOWEST or highest > _HIGHEST:
            raise ValueError(f"reaches from 2^{lowest} to 2^{highest}, beyond binary64 (2^{_LOWEST} to 2^{_HIGHEST})")
        return self


class P3109Format(Format):
    """A format of the IEEE P3109 family, written as binary{bits}p{precision}{s|u}{e|f}.

    Signed: bias 2^(bits - precision - 1), NaN in place of negative zero, infinity at the code below NaN of each
    sign. Unsigned: bias 2^(bits - precision), NaN at all ones, infinity below it.

    Attributes:
        bits: of a code, 3 to 15 in the draft.
        precision: significant bits, the hidden one included.
        signed: whether there are negative values.
        extended: whether there are infinities; otherwise the domain is finite.
    """

    kind: Literal["p3109"] = "p3109"
    bits: int = Field(ge=3, le=16)
    precision: int = Field(ge=1, le=16)
    signed: bool
    extended: bool

    @model_validator(mode="after")
    def _possible(self) -> P3109Format:
        most = self.bits - 1 if self.signed else self.bits
        if self.precision > most:
            raise ValueError(f"precision = {self.precision} is too much: {self.bits} bits hold at most {most}")
        if self.exponent_bits > 11:
            raise ValueError(f"precision = {self.precision} leaves an exponent beyond binary64: take more precision")
        return self

    @property
    def exponent_bits(self) -> int:
        """Width of the exponent field, bits."""
        return self.bits - self.precision + (0 if self.signed else 1)

    def as_float(self) -> FloatFormat:
        """The same values as a float with its NaN and infinity where P3109 puts them."""
        return FloatFormat(
            name=self.name,
            exponent_bits=self.exponent_bits,
            mantissa_bits=self.precision - 1,
            exponent_bias=1 << self.exponent_bits >> 1,
            infinities=self.extended,
            nan="fnuz" if self.signed else "fn",
            signed=self.signed,
            source=self.source,
            status=self.status,
        )


class IntegerFormat(Format):
    """Two's complement or unsigned integers, with an implied scale of 2^-fraction_bits.

    Attributes:
        bits: of a code.
        signed: two's complement if so.
        symmetric: the most negative code is never written (it still reads as its two's complement value).
        fraction_bits: binary digits after the point; 6 for the elements of MXINT8.
    """

    kind: Literal["integer"] = "integer"
    bits: int = Field(ge=1, le=32)
    signed: bool = True
    symmetric: bool = False
    fraction_bits: int = Field(default=0, ge=-64, le=64)

    @model_validator(mode="after")
    def _possible(self) -> IntegerFormat:
        if self.symmetric and not (self.signed and self.bits > 1):
            raise ValueError("symmetric = true needs a sign and at least 2 bits")
        return self
