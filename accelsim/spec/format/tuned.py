"""Formats with a parameter that is chosen from the data of a tensor and stored once with it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format, Reference, Structure, bare
from accelsim.spec.format.plain import FloatFormat


class AdaptivFloatFormat(Format):
    """AdaptivFloat: a float without subnormals whose exponent bias follows the largest magnitude of the tensor.

    bias = floor(log2 max|x|) - (2^exponent_bits - 1); the code that would be +-2^bias is zero.

    Attributes:
        bits: of a code, the sign included.
        exponent_bits: width of the exponent field.
        exponent_bias: fixed bias, which makes the format a plain grid; absent where it is chosen from the data.
    """

    kind: Literal["adaptivfloat"] = "adaptivfloat"
    bits: int = Field(ge=3, le=16)
    exponent_bits: int = Field(ge=1, le=8)
    exponent_bias: int | None = Field(default=None, ge=-500, le=500)

    @property
    def scaled(self) -> bool:  # type: ignore[override]
        """Whether the bias is chosen from the data."""
        return self.exponent_bias is None

    @property
    def mantissa_bits(self) -> int:
        """What sign and exponent leave."""
        return self.bits - 1 - self.exponent_bits

    def as_float(self, bias: int) -> FloatFormat:
        """The values with a bias as a float without subnormals, infinities and NaN."""
        return FloatFormat(
            name=self.name,
            exponent_bits=self.exponent_bits,
            mantissa_bits=self.mantissa_bits,
            exponent_bias=-bias,
            infinities=False,
            nan="none",
            subnormals=False,
            source=self.source,
            status=self.status,
        )

    @model_validator(mode="after")
    def _possible(self) -> AdaptivFloatFormat:
        if self.mantissa_bits < 0:
            raise ValueError(f"exponent_bits = {self.exponent_bits} does not fit into {self.bits} bits with a sign")
        return self


class CFloatFormat(Format):
    """Configurable float of Dojo: the bias is a parameter of the tensor; no infinities, no NaN.

    Attributes:
        exponent_bits: width of the exponent field.
        mantissa_bits: width of the mantissa.
        bias_bits: width of the stored bias, an unsigned integer.
        exponent_bias: fixed bias; absent where it is chosen from the data.
        signed: whether there is a sign bit.
        denormals: `printed`: 0.M x 2^-bias, as the white paper has it; `ieee`: 0.M x 2^(1-bias).
    """

    kind: Literal["cfloat"] = "cfloat"
    exponent_bits: int = Field(ge=1, le=8)
    mantissa_bits: int = Field(ge=1, le=14)
    bias_bits: int = Field(ge=1, le=8)
    exponent_bias: int | None = Field(default=None, ge=0, le=255)
    signed: bool = True
    denormals: Literal["printed", "ieee"] = "printed"

    @property
    def scaled(self) -> bool:  # type: ignore[override]
        """Whether the bias is chosen from the data."""
        return self.exponent_bias is None

    @property
    def bits(self) -> int:
        """Sign, exponent and mantissa bits."""
        return self.signed + self.exponent_bits + self.mantissa_bits

    @model_validator(mode="after")
    def _possible(self) -> CFloatFormat:
        if self.bits > 16:
            raise ValueError(f"has {self.bits} bits: a configurable float takes up to 16, sign included")
        if self.exponent_bias is not None and self.exponent_bias >> self.bias_bits:
            raise ValueError(f"exponent_bias = {self.exponent_bias} does not fit into {self.bias_bits} bits")
        return self


class AdaptiveFormat(Format):
    """One of several formats of equal width, chosen with its scale for each tensor or group by least squared error.

    ANT chooses among int, flint, power of two and float; LLM-FP4 among splits and biases of a 4-bit float.
    For each candidate, the scales tried are 1, 1 - step, 1 - 2 step, ... times amax / its largest value, rounded to
    the scale format; the first of the least sum of squared errors is taken.

    Attributes:
        candidates: the formats to choose from, each without a scale of its own.
        length: elements that share a choice and a scale; absent where a whole tensor does.
        scale: format of the scale.
        steps: clip ranges tried for each candidate, down from the absolute maximum.
        step: fraction of the absolute maximum between two of them.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["adaptive"] = "adaptive"
    candidates: tuple[Reference, ...] = Field(min_length=2)
    length: int | None = Field(default=None, ge=1)
    scale: Reference
    steps: int = Field(default=100, ge=1, le=1000)
    step: float = Field(default=0.01, gt=0, lt=1)

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return self.candidates[0].bits

    @property
    def bits_per_element(self) -> float:
        """Codes and, for groups, their scale and choice."""
        extra = self.scale.bits + (len(self.candidates) - 1).bit_length() if self.length else 0
        return self.bits + extra / self.block

    @property
    def block(self) -> int:
        """Elements that share a scale."""
        return self.length or 1

    @property
    def structure(self) -> Structure:
        """A table by the choice of the tensor or group; a group's scale is applied to every element."""
        return Structure(None, 1 if self.length else 0)

    @model_validator(mode="after")
    def _possible(self) -> AdaptiveFormat:
        widths = {record.name: bare(record, "the candidate").bits for record in self.candidates}
        if len(set(widths.values())) > 1:
            raise ValueError(f"candidates must be equally wide, not {widths} bits")
        bare(self.scale, "the scale")
        if self.steps * self.step > 1 + self.step:
            raise ValueError(f"{self.steps} steps of {self.step} go below a clip range of 0")
        if self.bits > 8:
            raise ValueError(f"candidates have {self.bits} bits: at most 8 are searched")
        return self
