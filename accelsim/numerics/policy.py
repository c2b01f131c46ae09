"""How a real number becomes a code: rounding, overflow, infinities, NaN and signed zero; presets that match peers.

The order is fixed: exact value -> rounded with unbounded exponent -> overflow judged on the rounded value -> policy.
So 58000 becomes 57344 in E5M2, whatever the overflow policy, because it rounds to a value that exists.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any, Final, Literal, Protocol, get_args

from accelsim.errors import RequestError, UnknownNameError, did_you_mean

Rounding = Literal["nearest-even", "nearest-away", "nearest-up", "toward-zero", "up", "down", "odd"]
Overflow = Literal["saturate", "infinity", "nan"]
Infinity = Literal["overflow", "saturate", "infinity", "nan"]
Nan = Literal["code", "error", "max", "zero", "-0"]
NanCode = Literal["quiet", "ones"]
SignOfNan = Literal["drop", "keep", "set"]
Zero = Literal["keep", "positive", "rounded"]
Blocks = Literal["exact", "torchao", "microxcaling"]

MOST_RANDOM_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Stochastic:
    """Rounding up with a probability equal to the fraction, in steps of 2^-bits.

    Element i, counted in C order of the logical array, takes an integer r of `bits` random bits of Philox keyed by
    (seed, i), or of `random=`. It rounds away from zero if floor(fraction x 2^bits) + r >= 2^bits, where the fraction
    is that of the exact magnitude between its two neighbours. Representable values never move.

    Attributes:
        bits: random bits per element, 1 to 32.
        seed: of the generator, 0 to 2^64 - 1.
    """

    bits: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("bits", self.bits), ("seed", self.seed)):
            given: Any = value
            if type(given) is bool or not isinstance(given, Integral):
                raise RequestError(f"Stochastic({name}={value!r}): must be a whole number")
        if not 1 <= self.bits <= MOST_RANDOM_BITS:
            raise RequestError(f"Stochastic(bits={self.bits}): takes 1 to {MOST_RANDOM_BITS} random bits")
        if not 0 <= self.seed < 1 << 64:
            raise RequestError(f"Stochastic(seed={self.seed}): must be from 0 to 2^64 - 1")


class Traits(Protocol):
    """What a grid can express; every reference grid has these."""

    @property
    def has_infinity(self) -> bool:
        """Whether infinities have codes."""

    @property
    def has_nan(self) -> bool:
        """Whether NaN has a code."""

    @property
    def has_negative_zero(self) -> bool:
        """Whether there is a second zero."""

    @property
    def default_overflow(self) -> Overflow:
        """What overflow means where a policy does not say."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a conversion. None means the usual rule of the format; `resolve` fills it in.

    Attributes:
        rounding: `nearest-even` (ties to the even code), `nearest-away` (ties away from zero), `nearest-up` (ties
            toward +infinity), `toward-zero`, `up`, `down`, `odd` (inexact values go to the odd code), or a
            `Stochastic`.
        overflow: what a rounded value beyond the largest becomes: the largest (`saturate`), `infinity` or `nan`.
        infinity: what an infinite input becomes; `overflow` means the same as a value that is too large.
        nan: what NaN becomes: its code, an `error` with count and first place, the largest value (`max`), `zero` or
            `-0`.
        nan_code: which of several NaN codes: `quiet` (upper mantissa bit only) or `ones` (all mantissa bits).
        nan_sign: of NaN, in formats with NaNs of both signs: `drop`, `keep` or always `set`.
        zero: whether -0, and negative values that round to zero, `keep` their sign where the format has a -0, are
            `positive`, or only `rounded` ones keep it and -0 itself becomes +0.
        blocks: how blocks that share an exponent find it (see `reference/shared_exponent.py`): `exact` as they are
            defined, or with the peculiarities of `torchao` or `microxcaling`.
    """

    rounding: Rounding | Stochastic = "nearest-even"
    overflow: Overflow | None = None
    infinity: Infinity = "overflow"
    nan: Nan | None = None
    nan_code: NanCode = "quiet"
    nan_sign: SignOfNan = "drop"
    zero: Zero = "keep"
    blocks: Blocks = "exact"

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            value = getattr(self, name)
            if value in allowed or (value is None and name in ("overflow", "nan")):
                continue
            if name == "rounding" and isinstance(value, Stochastic):
                continue
            near = did_you_mean(value, allowed) if isinstance(value, str) else ""
            raise RequestError(f"Policy({name}={value!r}){near or '.'} Allowed: {', '.join(allowed)}")

    def resolve(self, grid: Traits, name: str) -> Policy:
        """The policy with the format's usual rules in place of None.

        Raises:
            RequestError: something that the format cannot express, such as infinity where it has none.
        """
        made = replace(
            self,
            overflow=self.overflow or grid.default_overflow,
            nan=self.nan or ("code" if grid.has_nan else "error"),
        )
        missing = {
            "infinity": grid.has_infinity,
            "nan": grid.has_nan,
            "code": grid.has_nan,
            "-0": grid.has_negative_zero,
        }
        for key in ("overflow", "infinity", "nan"):
            value = getattr(made, key)
            if not missing.get(value, True):
                what = {"infinity": "infinities", "-0": "negative zero"}.get(value, "NaN")
                raise RequestError(f"Policy({key}={value!r}): {name} has no {what}; try {_OTHER[key]!r}")
        if self.blocks != "exact" and not shares_exponent(grid):
            raise RequestError(f"Policy(blocks={self.blocks!r}): {name} has no blocks that share an exponent")
        return made


def shares_exponent(grid: Traits) -> bool:
    """Whether a format has blocks with a power of two as their scale, by one of the rules of OCP MX."""
    return bool(getattr(grid, "shared", False))


_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "rounding": get_args(Rounding),
    "overflow": get_args(Overflow),
    "infinity": get_args(Infinity),
    "nan": get_args(Nan),
    "nan_code": get_args(NanCode),
    "nan_sign": get_args(SignOfNan),
    "zero": get_args(Zero),
    "blocks": get_args(Blocks),
}
_OTHER: Final = {"overflow": "saturate", "infinity": "overflow", "nan": "error"}


@dataclass(frozen=True, slots=True)
class Preset:
    """The policies of a peer, format by format: the first rule of each list that the format can express.

    Attributes:
        version: of the peer that this was compared with; empty for a standard's rule.
        of_exponents: rounding of formats that are bare powers of two (E8M0), where another.
        of_fn: overflow of floats with NaN and -0 but no infinity (OCP E4M3), where another.
        of_blocks: overflow of blocks that share an exponent, where another.
        blocks: peculiarities of such blocks.
        rounding, overflow, infinity, nan, nan_code, nan_sign, zero: as in `Policy`, in order of preference.
    """

    version: str = ""
    rounding: Rounding = "nearest-even"
    of_exponents: Rounding | None = None
    overflow: tuple[Overflow, ...] = ("saturate",)
    of_fn: Overflow | None = None
    of_blocks: Overflow | None = None
    infinity: tuple[Infinity, ...] = ("overflow",)
    nan: tuple[Nan, ...] = ("code", "error")
    nan_code: NanCode = "quiet"
    nan_sign: SignOfNan = "drop"
    zero: Zero = "keep"
    blocks: Blocks = "exact"

    def policy(self, grid: Traits) -> Policy:
        """The policy for one format."""
        has = {"infinity": grid.has_infinity, "nan": grid.has_nan, "code": grid.has_nan, "-0": grid.has_negative_zero}
        chosen = {
            field.name: next(rule for rule in getattr(self, field.name) if has.get(rule, True))
            for field in fields(self)
            if isinstance(getattr(self, field.name), tuple)
        }
        plain = {key: getattr(self, key) for key in ("rounding", "nan_code", "nan_sign", "zero")}
        if shares_exponent(grid):
            chosen["overflow"] = self.of_blocks or chosen["overflow"]
            plain["blocks"] = self.blocks
        elif self.of_fn and grid.has_nan and grid.has_negative_zero and not grid.has_infinity:
            chosen["overflow"] = self.of_fn
        if self.of_exponents and not getattr(grid, "rounds_to_zero", True):
            plain["rounding"] = self.of_exponents
        return Policy(**plain, **chosen)


_NATURAL: Final[tuple[Overflow, ...]] = ("infinity", "nan", "saturate")

PRESETS: Final[dict[str, Preset]] = {
    "ocp-saturate": Preset(),
    "ocp-overflow": Preset(overflow=_NATURAL),
    "ml_dtypes": Preset(
        "0.6.0", of_exponents="nearest-away", overflow=_NATURAL, nan=("code", "-0", "zero"), nan_sign="keep"
    ),
    "torch": Preset(
        "2.13.0", of_exponents="nearest-away", overflow=_NATURAL, of_fn="saturate", nan_code="ones", nan_sign="keep"
    ),
    "torchao": Preset("0.18.0", blocks="torchao"),
    "microxcaling": Preset(
        "7bc4195",
        "nearest-away",
        overflow=("infinity", "saturate"),
        of_blocks="nan",
        zero="rounded",
        blocks="microxcaling",
    ),
    "gfloat": Preset("0.5.2", overflow=_NATURAL, of_blocks="saturate", nan_code="ones", nan_sign="set"),
    "p3109": Preset(infinity=("infinity", "overflow")),
    "ant": Preset("bc84067", rounding="nearest-up", nan=("zero",), zero="positive"),
    "olive": Preset("bc84067", rounding="nearest-up", nan=("zero",), zero="positive"),
}
"""Named policies; each is compared with the output of its peer in tests/numerics."""


def policy_of(policy: Policy | str | None, grid: Traits, name: str) -> Policy:
    """A complete policy for a format from a policy, the name of a preset, or nothing.

    Raises:
        UnknownNameError: no such preset.
        RequestError: the format cannot express it.
    """
    if isinstance(policy, str):
        if policy not in PRESETS:
            raise UnknownNameError("policy", policy, PRESETS, hint=f"all: {', '.join(PRESETS)}")
        policy = PRESETS[policy].policy(grid)
    if not isinstance(policy, Policy | None):
        raise RequestError(f"policy = {policy!r}: expected a Policy or one of {', '.join(PRESETS)}")
    return (policy or Policy()).resolve(grid, name)
