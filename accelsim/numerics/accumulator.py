"""What adds up the products of a dot product: frozen records, named ones by `accumulator`.

A dot product is a row of terms in increasing k. Where neither operand has block scales a term is one product; else it
is the exact sum of the products of a segment, times both scales; a segment ends at every block boundary of either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from accelsim.errors import RequestError, UnknownNameError

Nearest = Literal["nearest-even", "toward-zero"]
Order = Literal["sequential", "tree", "lanes"]
Status = Literal["datasheet", "measured", "derived", "assumed"]


@dataclass(frozen=True, slots=True)
class Width:
    """A binary float without an encoding: IEEE exponent range, subnormals, infinities.

    Attributes:
        exponent_bits: 2 to 10.
        fraction_bits: 1 to 40.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.exponent_bits <= 10 or not 1 <= self.fraction_bits <= 40:
            raise RequestError(
                f"an accumulator of {self.exponent_bits} exponent and {self.fraction_bits} fraction bits: "
                "2 to 10 and 1 to 40 are allowed"
            )

    @property
    def highest(self) -> int:
        """Exponent of the largest finite value."""
        return (1 << self.exponent_bits - 1) - 1

    @property
    def lowest(self) -> int:
        """Exponent of the smallest normal value."""
        return 1 - self.highest


FP32: Final = Width(8, 23)
FP16: Final = Width(5, 10)
BF16: Final = Width(8, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulator:
    """Shared by all.

    Attributes:
        name: under which `accumulator` finds it; empty for one's own.
        source: where its parameters come from.
        status: how far they can be trusted.
    """

    name: str = ""
    source: str = "by definition"
    status: Status = "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(Accumulator):
    """Every product and sum exact; one rounding, into the result's format. The order means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded(Accumulator):
    """A float that is rounded after every addition.

    Orders: `sequential` adds term after term to c. `tree` adds neighbours, then neighbouring sums, until one is left
    of each `width` terms (an odd one moves up unchanged), and adds these to c in sequence. `lanes` adds terms l,
    l + width, l + 2 width, ... to lane l, then the lanes by a tree, then that to c.

    Attributes:
        type: width of the sums.
        rounding: of every sum; toward zero ends at the largest finite value, to nearest at infinity.
        order: see above.
        width: of a tree, 0 for one over everything; number of lanes.
        product: whether a product is `rounded` to the type before it is added (a multiplier and an adder), or enters
            `exact` (a fused multiply-add). Scaled sums of segments always enter exactly.
    """

    type: Width = FP32
    rounding: Nearest = "nearest-even"
    order: Order = "sequential"
    width: int = 0
    product: Literal["rounded", "exact"] = "rounded"

    def __post_init__(self) -> None:
        if self.width < (self.order == "lanes"):
            raise RequestError(f"an accumulator in order {self.order!r} cannot have width {self.width}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Accumulator):
    """A two's complement fixed-point register: Kulisch's accumulator, a posit's quire, an integer.

    Attributes:
        integer_bits: above the binary point, without the sign.
        fraction_bits: below it.
        rounding: of a term to the last fraction bit; `exact` refuses terms that do not fit.
        overflow: `wrap` modulo its range, or `saturate` after every addition.
    """

    integer_bits: int
    fraction_bits: int
    rounding: Literal["exact", "nearest-even", "toward-zero", "down"] = "exact"
    overflow: Literal["wrap", "saturate"] = "wrap"

    def __post_init__(self) -> None:
        if self.integer_bits < 0 or self.fraction_bits < 0 or self.integer_bits + self.fraction_bits < 1:
            raise RequestError(f"a register of {self.integer_bits} and {self.fraction_bits} bits is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused(Accumulator):
    """The fused dot-add of tensor cores.

    Terms are the products of one group and the incoming accumulator. All are aligned to the largest sum of operand
    exponents (not the exponent of a product), cut toward zero `fraction_bits` below it, added exactly, and the sum is
    rounded to the type; groups follow each other in increasing k. Exponents of subnormal operands are those of the
    smallest normal value of their format; zero counts as having `zero_exponent`. Scales that are powers of two add to
    the exponents. Overflow gives infinity.

    Attributes:
        group: products of one group; an instruction that is split along k has groups shorter than its K.
        fraction_bits: F; None cuts nothing off.
        type: of the accumulator.
        rounding: of each group's sum to the type.
        exact: products that are first added exactly, then multiplied by their scales; only the exponents of scales
            count for the alignment. 0 for none.
        zero_exponent: exponent of zero.
        promotion: terms after which the accumulator is added to one in fp32, to nearest, and starts again at zero;
            block scales then multiply that sum in fp32. 0 for never.
    """

    group: int
    fraction_bits: int | None
    type: Width = FP32
    rounding: Nearest = "toward-zero"
    exact: int = 0
    zero_exponent: int = -126
    promotion: int = 0

    def __post_init__(self) -> None:
        if self.group < 1 or (self.exact and self.group % self.exact) or self.promotion % self.group:
            raise RequestError(
                f"groups of {self.group}, exact sums of {self.exact}, promotion after {self.promotion}: "
                "each must divide the next"
            )
        if self.fraction_bits is not None and not 1 <= self.fraction_bits <= 40:
            raise RequestError(f"fraction_bits = {self.fraction_bits}: 1 to 40, or None for an exact sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged(Accumulator):
    """The matrix cores of CDNA3: products first, then the accumulator.

    The products of a group are aligned to their largest sum of exponents and cut toward zero `fraction_bits` below
    it; with `halves`, even and odd ones apart, whose sums are then aligned and rounded down there. That sum and
    the accumulator are aligned to the larger exponent, the sum rounded down at `sum_bits`, the accumulator at
    `fraction_bits`; their sum is rounded to fp32, to nearest. A product of 2^128 or more counts as infinite.

    Attributes:
        group: products of one group.
        fraction_bits: F.
        sum_bits: of the products' sum when it meets the accumulator.
        halves: whether even and odd products are summed apart.
        reach: an accumulator more than so many bits below counts as zero; 0 for no such rule.
        zero_exponent: exponent of zero.
    """

    group: int
    fraction_bits: int = 24
    sum_bits: int = 31
    halves: bool = False
    reach: int = 0
    zero_exponent: int = -126


AnyAccumulator = Exact | Rounded | Fixed | Fused | Staged

_TYPES: Final = {"fp32": FP32, "fp16": FP16, "bf16": BF16}
_ROUNDED: Final = re.compile(
    r"(?P<type>fp32|fp16|bf16|e(?P<e>\d+)m(?P<m>\d+))(?P<zero>-truncate)?(?P<fma>-fma)?"
    r"(?:-(?P<order>tree|lanes)(?P<width>[1-9]\d*)?)?"
)
_QUIRE: Final = re.compile(r"quire(?P<bits>[1-9]\d?)(?:-es(?P<es>\d))?")
_INT: Final = re.compile(r"int(?P<bits>[1-9]\d?)(?P<saturate>-saturate)?")
HINT: Final = (
    "exact, fp32, fp16-tree16, bf16-lanes8, fp32-fma, e8m13-truncate, int32, quire8, quire16-es1, or a preset: "
)


def accumulator(which: str | AnyAccumulator) -> AnyAccumulator:
    """An accumulator from its name; records pass through.

    Names: `exact`; a type (`fp32 fp16 bf16 e8m13 ...`), then `-truncate` for toward zero, with exact products,
    `-fma` for exact products, and `-tree`, `-treeN` or `-lanesN` for an order; `quireN` and `quireN-esE` for the
    register of posits (Posit Standard 2022: 16 N bits); `intN` and `intN-saturate`; and the presets.

    Raises:
        RequestError: neither a name nor a record.
        UnknownNameError: no such name.
    """
    from accelsim.numerics.accumulator_presets import PRESETS

    if isinstance(which, Accumulator):
        return which
    given: object = which
    if not isinstance(given, str):
        raise RequestError(f"{given!r} is no accumulator: give a name such as 'fp32' or 'hopper-fp8', or a record")
    if which == "exact":
        return Exact(name=which)
    if which in PRESETS:
        return PRESETS[which]
    if found := _ROUNDED.fullmatch(which):
        return _rounded(which, found)
    if found := _QUIRE.fullmatch(which):
        bits, es = int(found["bits"]), int(found["es"] or 2)
        fraction = (bits - 2) << (es + 1)  # minpos^2 = 2^-fraction
        made = "Posit Standard 2022, section 4.1" if es == 2 else "the same rule for another es"
        return Fixed(name=which, source=made, integer_bits=fraction + 31, fraction_bits=fraction)
    if found := _INT.fullmatch(which):
        overflow: Literal["saturate", "wrap"] = "saturate" if found["saturate"] else "wrap"
        return Fixed(name=which, integer_bits=int(found["bits"]) - 1, fraction_bits=0, overflow=overflow)
    hint = HINT + ", ".join(PRESETS)
    raise UnknownNameError("accumulator", str(which), ["exact", "fp32", *PRESETS], hint=hint)


def presets() -> dict[str, AnyAccumulator]:
    """The accumulators of machines by name, each with its `source` and `status`.

    `measured` ones equal a model of the hardware on every tile of the tests, `derived` ones follow from such a one,
    `assumed` ones say in `source` what no source says.
    """
    from accelsim.numerics.accumulator_presets import PRESETS

    return dict(PRESETS)


def _rounded(name: str, found: re.Match[str]) -> Rounded:
    width = _TYPES.get(found["type"]) or Width(int(found["e"]), int(found["m"]))
    order: Order = found["order"] or "sequential"  # type: ignore[assignment]  # one of two, by the pattern
    return Rounded(
        name=name,
        type=width,
        rounding="toward-zero" if found["zero"] else "nearest-even",
        order=order,
        width=int(found["width"] or 0),
        product="exact" if found["zero"] or found["fma"] else "rounded",
    )
