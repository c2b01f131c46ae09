"""Formats whose codes split their bits by value: posit, takum, HiF8, LNS, flint, DyBit, powers of two, abfloat."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format


class PositFormat(Format):
    """A posit: sign, regime (a run of equal bits), up to es exponent bits, fraction; negatives in two's complement.

    Rounds the unbounded bit string, never to zero and never to NaR.

    Attributes:
        bits: of a code.
        es: exponent bits; 2 in the 2022 standard, 0 and 1 in older 8- and 16-bit layouts.
        regime_limit: longest run of the regime, in bits, which needs no opposite bit behind it; absent in the standard
            (ALPS-style adaptive posits).
        exponent_shift: added to the exponent of every value; 0 in the standard.
    """

    kind: Literal["posit"] = "posit"
    bits: int = Field(ge=2, le=32)
    es: int = Field(default=2, ge=0, le=5)
    regime_limit: int | None = Field(default=None, ge=1)
    exponent_shift: int = Field(default=0, ge=-256, le=256)

    @model_validator(mode="after")
    def _possible(self) -> PositFormat:
        if self.es > self.bits:
            raise ValueError(f"es = {self.es} is more than the {self.bits} bits of a code")
        if (self.bits - 2 << self.es) + abs(self.exponent_shift) > 1000:
            raise ValueError(f"reaches 2^{self.bits - 2 << self.es}, beyond binary64: take fewer bits or a smaller es")
        if self.regime_limit is not None and self.regime_limit > self.bits - 1:
            raise ValueError(f"regime_limit = {self.regime_limit}: at most the {self.bits - 1} bits after the sign")
        return self


class TakumFormat(Format):
    """A takum: sign, direction, three bits of regime length, characteristic of 0 to 7 bits, mantissa.

    Attributes:
        bits: of a code.
        logarithmic: whether the value is sqrt(e)^l; otherwise the linear takum, 2^c (1 + f).
    """

    kind: Literal["takum"] = "takum"
    bits: int = Field(ge=2, le=32)
    logarithmic: bool = False


class HiF8Format(Format):
    """HiFloat8: sign, a prefix-coded dot of 2 to 4 bits, exponent of 0 to 4 bits, mantissa of 3 to 1 bits."""

    bits: ClassVar[int] = 8

    kind: Literal["hif8"] = "hif8"


class LnsFormat(Format):
    """Logarithmic numbers: (-1)^s 2^x with x in fixed point; the most negative x stands for zero.

    Attributes:
        integer_bits: bits of x before the point, its sign included.
        fraction_bits: bits of x after the point.
        signed: whether there is a sign bit.
    """

    kind: Literal["lns"] = "lns"
    integer_bits: int = Field(ge=1, le=10)
    fraction_bits: int = Field(ge=0, le=15)
    signed: bool = True

    @property
    def bits(self) -> int:
        """Sign, integer and fraction bits."""
        return self.signed + self.integer_bits + self.fraction_bits


class FlintFormat(Format):
    """flint of ANT: the lower half of the codes are integers, the upper half first-one-coded floats.

    Attributes:
        bits: of a code, the sign included.
        signed: sign and magnitude, if so.
    """

    kind: Literal["flint"] = "flint"
    bits: int = Field(ge=2, le=8)
    signed: bool = True

    @model_validator(mode="after")
    def _possible(self) -> FlintFormat:
        if self.signed and self.bits < 3:
            raise ValueError("a signed flint takes 3 to 8 bits: two bits are the integers -1, 0, 1")
        return self


class DybitFormat(Format):
    """DyBit: the run of ones before the first zero is the exponent, what follows the mantissa.

    Attributes:
        bits: of a code, the sign included.
        signed: sign and magnitude, if so.
    """

    kind: Literal["dybit"] = "dybit"
    bits: int = Field(ge=2, le=8)
    signed: bool = True

    @model_validator(mode="after")
    def _possible(self) -> DybitFormat:
        if self.bits - self.signed < 2:
            raise ValueError("DyBit needs 2 bits beside the sign")
        return self


class PowerOfTwoFormat(Format):
    """Powers of two and zero, or sums of several (additive powers of two); the largest power is 1.

    Term i of t is 0 or one of 2^-i, 2^-(i + t), 2^-(i + 2t), and so on.

    Attributes:
        bits: of a code, the sign included.
        signed: sign and magnitude, if so.
        terms: powers that are added; 1 for plain powers of two, 2 for the usual additive ones.
    """

    kind: Literal["power_of_two"] = "power_of_two"
    bits: int = Field(ge=2, le=8)
    signed: bool = True
    terms: int = Field(default=1, ge=1, le=4)

    @model_validator(mode="after")
    def _possible(self) -> PowerOfTwoFormat:
        if (self.bits - self.signed) % self.terms:
            raise ValueError(f"{self.bits - self.signed} magnitude bits cannot be split among {self.terms} terms")
        return self


class AbfloatFormat(Format):
    """abfloat of OliVe, for outliers: (-1)^s ((1 << mantissa_bits) + M) << (E + bias); code 0 is not used.

    Attributes:
        exponent_bits: width of E, bits.
        mantissa_bits: width of M, bits.
        exponent_bias: added to E.
    """

    kind: Literal["abfloat"] = "abfloat"
    exponent_bits: int = Field(ge=1, le=4)
    mantissa_bits: int = Field(ge=0, le=6)
    exponent_bias: int = Field(ge=0, le=32)

    @property
    def bits(self) -> int:
        """Sign, exponent and mantissa bits."""
        return 1 + self.exponent_bits + self.mantissa_bits


class CodebookFormat(Format):
    """Indices into explicit levels; code i means `levels[i]`.

    Attributes:
        levels: the values, exact as binary64, in the order of their codes.
        digits_per_byte: codes that share a byte as digits of a number in base len(levels) (five ternary digits);
            absent where each code takes whole bits.
    """

    kind: Literal["codebook"] = "codebook"
    levels: tuple[float, ...] = Field(min_length=2, max_length=65536)
    digits_per_byte: int | None = Field(default=None, ge=1, le=8)

    @property
    def bits(self) -> int:
        """Bits of the largest index."""
        return (len(self.levels) - 1).bit_length()

    @property
    def bits_per_element(self) -> float:
        """Bits in memory."""
        return 8 / self.digits_per_byte if self.digits_per_byte else float(self.bits)

    @model_validator(mode="after")
    def _possible(self) -> CodebookFormat:
        if len(set(self.levels)) != len(self.levels):
            twice = next(level for level in self.levels if self.levels.count(level) > 1)
            raise ValueError(f"levels holds {twice} twice: every code needs a value of its own")
        if self.digits_per_byte and len(self.levels) ** self.digits_per_byte > 256:
            raise ValueError(
                f"digits_per_byte = {self.digits_per_byte}: "
                f"{len(self.levels)}^{self.digits_per_byte} is more than the 256 values of a byte"
            )
        return self
