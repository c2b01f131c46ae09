"""Formats whose elements share scales: blocks, groups, two levels of scales, microexponents, GGUF super-blocks."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from accelsim.spec.format.base import Format, Length, Reference, Structure, bare
from accelsim.spec.format.plain import IntegerFormat

ScaleRule = Literal["floor", "ceil", "even", "rceil", "absmax", "power_of_two", "mse", "percentile", "mean"]


class BlockFormat(Format):
    """Elements of a plain format that share a scale along one axis; value = scale x element (- zero point).

    Scale rules, with amax the largest magnitude of a block and emax, max those of the element:

    - `floor`: 2^(floor(log2 amax) - emax), the OCP MX standard; `ceil`: 2^(ceil(log2 amax) - emax);
    - `even`: `floor` of amax after rounding it to the element's mantissa; `rceil`: smallest power of two that is
      at least amax / max;
    - `absmax`: amax / max, rounded to the scale format; `power_of_two`: the power of two nearest to it, the upper one
      of two equally near;
    - `mse`: of the scale of `absmax` times 100 %, 99 %, ... 21 %, the first with the least squared error;
    - `percentile`: amax is the magnitude of that rank, rounded up; `mean`: mean of |x|.

    For an element with unequal ends, max is the one nearer to zero. With a zero point, the scale is that of
    min(0, smallest) to max(0, largest), and code = round(x / scale) + zero point.
    Double quantisation (`scale_length`): scales are rounded to `scale_scale`, their mean (one per tensor) is taken
    away, and groups of them are stored in the scale format with an absolute-maximum scale of their own.

    Attributes:
        element: format of the elements, without a scale of its own.
        granularity: what shares a scale: `block` (length elements along the axis), `channel` (everything along
            the axis) or `tensor`.
        length: elements of a block; only for granularity `block`.
        scale: format of the scale.
        scale_rule: how it is chosen.
        zero_point: format of a zero point beside every scale; absent where the grid is symmetric about 0.
        scale_length: scales that share a scale of their own (double quantisation); absent where there is none.
        scale_scale: format of those; present with `scale_length`.
        percentile: for the rule of that name, percent.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["block"] = "block"
    element: Reference
    granularity: Literal["block", "channel", "tensor"] = "block"
    length: Length | None = None
    scale: Reference
    scale_rule: ScaleRule
    zero_point: Reference | None = None
    scale_length: Length | None = None
    scale_scale: Reference | None = None
    percentile: float | None = Field(default=None, gt=0, le=100)

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return self.element.bits

    @property
    def bits_per_element(self) -> float:
        """Element, scale and zero point; scales of a whole channel or tensor vanish."""
        if not self.length:
            return self.element.bits_per_element
        shared = self.scale.bits + (self.zero_point.bits if self.zero_point else 0)
        above = (
            self.scale_scale.bits / (self.length * self.scale_length) if self.scale_scale and self.scale_length else 0
        )
        return self.element.bits_per_element + shared / self.length + above

    @property
    def block(self) -> int:
        """Elements that share a scale; 1 for a channel's or tensor's."""
        return self.length or 1

    @property
    def structure(self) -> Structure:
        """Scales and zero points of blocks are applied to every element."""
        return Structure(self.element, 1 + (self.zero_point is not None) if self.length else 0)

    @model_validator(mode="after")
    def _possible(self) -> BlockFormat:
        bare(self.element, "the element")
        bare(self.scale, "the scale")
        if (self.granularity == "block") != (self.length is not None):
            raise ValueError("granularity 'block' needs a length, 'channel' and 'tensor' take none")
        if (self.scale_length is None) != (self.scale_scale is None):
            raise ValueError("scale_length and scale_scale belong together: give both or none")
        if self.scale_length and (self.granularity != "block" or self.zero_point or self.scale_rule != "absmax"):
            raise ValueError("scale_length is for blocks with scale_rule 'absmax' and without a zero point")
        if (self.scale_rule == "percentile") != (self.percentile is not None):
            raise ValueError("scale_rule 'percentile' needs percentile, in percent; other rules take none")
        if self.scale_rule == "even" and self.element.kind not in ("float", "integer"):
            raise ValueError(f"scale_rule 'even' rounds to a mantissa, which a {self.element.kind} element has not")
        self._shifted()
        return self

    def _shifted(self) -> None:
        if self.zero_point is None:
            return
        for role, record in (("element", self.element), ("zero_point", bare(self.zero_point, "the zero point"))):
            if not isinstance(record, IntegerFormat) or record.fraction_bits or record.bits > 16:
                raise ValueError(f"a zero point needs integers of at most 16 bits: {role} = {record.name!r} is none")
        if self.scale_rule != "absmax":
            raise ValueError("a zero point goes with scale_rule 'absmax'")


class TwoLevelBlockFormat(Format):
    """Blocks with a float scale each and one more scale of the tensor, as NVFP4.

    In steps of fp32, each rounded: tensor scale g = amax_tensor / (scale_limit x element max); block scale s =
    amax_block / target / g, clamped to scale_min and the scale's largest, rounded to the scale format;
    element = x ((1 / g) / s), clamped and rounded; value = element (s g).

    Attributes:
        element: format of the elements.
        length: elements of a block.
        scale: format of a block's scale.
        tensor_scale: format of the tensor's scale, fp32.
        scale_min: smallest block scale; blocks below it lose precision. A block of scale 0 is zero.
        scale_limit: the block scale that the largest block gets; the scale format's largest if absent.
        targets: element values that the largest magnitude of a block may be mapped to; the one with the least
            squared error is taken, the first of equal ones. One value for NVFP4, (6, 4) for its 4-over-6 variant.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["two_level_block"] = "two_level_block"
    element: Reference
    length: Length
    scale: Reference
    tensor_scale: Reference
    scale_min: float = Field(ge=0)
    scale_limit: float | None = Field(default=None, gt=0)
    targets: tuple[float, ...] = Field(min_length=1)

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return self.element.bits

    @property
    def bits_per_element(self) -> float:
        """Element and block scale; that of the tensor vanishes."""
        return self.element.bits_per_element + self.scale.bits / self.length

    @property
    def block(self) -> int:
        """Elements that share a scale."""
        return self.length

    @property
    def structure(self) -> Structure:
        """The block's scale; the tensor's is applied to sums."""
        return Structure(self.element, 1)

    @model_validator(mode="after")
    def _possible(self) -> TwoLevelBlockFormat:
        for role in ("element", "scale", "tensor_scale"):
            bare(getattr(self, role), f"the {role}")
        if self.tensor_scale.name != "fp32":
            raise ValueError(f"tensor_scale = {self.tensor_scale.name!r}: the steps of this kind are those of fp32")
        if self.element.bits > 8 or self.scale.bits > 8:
            raise ValueError("element and scale take at most 8 bits each")
        if any(target <= 0 for target in self.targets):
            raise ValueError(f"targets = {self.targets}: must be positive")
        return self


class MicroexponentFormat(Format):
    """Block floating point: sign and magnitude integers that share an exponent, with a second, finer level of shifts.

    value = (-1)^s q 2^(E - t - (magnitude_bits - 1)) with E of the block and t of the sub-block (BDR, MX9/6/4).
    E = floor(log2) of the largest magnitude, t the same of the sub-block below E, at most 2^microexponent_bits - 1.
    Without microexponents this is plain block floating point (MSFP).

    Attributes:
        magnitude_bits: width of q.
        length: elements that share the exponent.
        exponent_bits: width of the shared exponent.
        sub_length: elements that share a microexponent; absent where there is none.
        microexponent_bits: width of t; 0 where there is none.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["microexponent"] = "microexponent"
    magnitude_bits: int = Field(ge=1, le=15)
    length: Length
    exponent_bits: int = Field(ge=1, le=8)
    sub_length: Length | None = None
    microexponent_bits: int = Field(default=0, ge=0, le=4)

    @property
    def bits(self) -> int:
        """Sign and magnitude bits."""
        return 1 + self.magnitude_bits

    @property
    def bits_per_element(self) -> float:
        """Sign, magnitude and the shares of both exponents."""
        fine = self.microexponent_bits / self.sub_length if self.sub_length else 0
        return self.bits + self.exponent_bits / self.length + fine

    @property
    def block(self) -> int:
        """Elements that share the exponent."""
        return self.length

    @property
    def structure(self) -> Structure:
        """The block's exponent."""
        return Structure(None, 1)

    @model_validator(mode="after")
    def _possible(self) -> MicroexponentFormat:
        if (self.sub_length is None) != (self.microexponent_bits == 0):
            raise ValueError("sub_length and microexponent_bits belong together: give both or none")
        if self.sub_length and self.length % self.sub_length:
            raise ValueError(f"sub_length = {self.sub_length} does not divide length = {self.length}")
        return self


_GGUF = {"q4_0": (4, 32, 4.5), "q8_0": (8, 32, 8.5), "q4_k": (4, 256, 4.5), "q6_k": (6, 256, 6.5625)}


class GgufFormat(Format):
    """A block of llama.cpp's GGUF files, named by its layout.

    Attributes:
        layout: q4_0 and q8_0: 32 elements and an fp16 scale; q4_k: 256 elements, eight 6-bit scales and minima,
            two fp16; q6_k: 256 elements, sixteen 8-bit scales, one fp16.
    """

    scaled: ClassVar[bool] = True

    kind: Literal["gguf"] = "gguf"
    layout: Literal["q4_0", "q8_0", "q4_k", "q6_k"]

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return _GGUF[self.layout][0]

    @property
    def bits_per_element(self) -> float:
        """Bytes of a block over its elements."""
        return _GGUF[self.layout][2]

    @property
    def block(self) -> int:
        """Elements of a block."""
        return _GGUF[self.layout][1]

    @property
    def structure(self) -> Structure:
        """The block's scale, and the least value of a block where there is one."""
        return Structure(None, 2 if self.layout == "q4_k" else 1)
