"""Blocks of GGUF files: Q4_0 and Q8_0 by the steps of llama.cpp, Q4_K and Q6_K by plain ranges, in fractions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.blocks import NANS, half_even, scale_code, single
from accelsim.numerics.reference.grid import Exact, Special
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.numerics.reference.two_level_block import to_odd
from accelsim.spec.format import GgufFormat
from accelsim.spec.format.names import from_name

HALVES: Final = blocks.grid_of(from_name("fp16"))


def build(record: GgufFormat) -> GgufReference:
    """The reference of a layout."""
    return _LAYOUTS[record.layout](record)


def complete(policy: Policy | str | None, reference: GgufReference) -> Policy:
    """The policy of a layout, which rounds in a way of its own.

    Raises:
        RequestError: another rounding.
    """
    made = policy_of(policy, reference, reference.record.name)
    if made.rounding != "nearest-even":
        raise RequestError(f"{reference.record.name} rounds as its file format is written: leave rounding as it is")
    return made


class GgufReference(ScaledReference):
    """See `GgufFormat`. Infinities count as the largest fp32, block scales saturate at the largest fp16.

    Attributes:
        sub: elements that share a scale of their own within a block; the block's length where there is none.
        largest: code of the largest value at a positive scale.
    """

    default_overflow: Overflow = "saturate"
    has_infinity = False
    has_nan = False
    has_negative_zero = False
    sub: int
    largest: int

    def __init__(self, record: GgufFormat) -> None:
        self.record = record

    def encode(self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None) -> ExactParts:
        """Codes and scales of rows."""
        rules = complete(policy, self)
        if rules.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        parts = ExactParts([], [], None, [] if self.sub < self.record.block else None)
        for row in rows:
            codes: list[int] = []
            scales: list[int] = []
            fine: list[int] = []
            for span in blocks.spans(len(row), self.record.block):
                made, scale, within = self._block([_plain(row[i]) for i in span])
                codes += [
                    self.largest if row[i] in NANS and rules.nan == "max" else c
                    for i, c in zip(span, made, strict=True)
                ]
                scales.append(scale)
                fine += within
            parts.codes.append(codes)
            _list(parts.scales).append(scales)
            if parts.indices is not None:
                _list(parts.indices).append(fine)
        return parts

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        made: list[list[Exact]] = []
        for r, row in enumerate(parts.codes):
            fine = _list(parts.indices)[r] if parts.indices is not None else [0] * len(row)
            scales = _list(parts.scales)[r]
            made.append(
                [single(self._value(c, scales[i // self.record.block], fine[i // self.sub])) for i, c in enumerate(row)]
            )
        return made

    @abstractmethod
    def _block(self, block: list[Fraction]) -> tuple[list[int], int, list[int]]:
        """Codes, the block's scale code, and codes of the scales within."""

    @abstractmethod
    def _value(self, code: int, scale: int, fine: int) -> Fraction:
        """The value of a code."""


class _Q8(GgufReference):
    """An fp16 d, then int8: d = amax / 127, q = x (1 / d) in fp32, rounded half away from zero."""

    sub, largest = 32, 127

    def _block(self, block: list[Fraction]) -> tuple[list[int], int, list[int]]:
        x = [_number(to_odd(v)) for v in block]
        d = _number(single(max(map(abs, x)) / 127))
        inverse = _inverse(d)
        codes = []
        for v in x:
            y = _number(single(v * inverse))
            whole = int(abs(y) + Fraction(1, 2))
            codes.append((-whole if y < 0 else whole) % 256)
        return codes, scale_code(HALVES, d), []

    def _value(self, code: int, scale: int, fine: int) -> Fraction:
        return _half(scale) * (code - 256 if code > 127 else code)


class _Q4(GgufReference):
    """An fp16 d, then 4 bits: the element of largest magnitude becomes -8 d; q = int(x (1 / d) + 8.5) in fp32."""

    sub, largest = 32, 15

    def _block(self, block: list[Fraction]) -> tuple[list[int], int, list[int]]:
        x = [_number(to_odd(v)) for v in block]
        d = _number(single(_first(x) / -8))
        inverse = _inverse(d)
        codes = [min(15, int(_number(single(_number(single(v * inverse)) + Fraction(17, 2))))) for v in x]
        return codes, HALVES.code(_number(HALVES.value(scale_code(HALVES, abs(d)))) * (-1 if d < 0 else 1)), []

    def _value(self, code: int, scale: int, fine: int) -> Fraction:
        return _half(scale) * (code - 8)


class _Q4K(GgufReference):
    """An fp16 d and dmin, eight 6-bit scales and minima: d sc q - dmin m, from the range of each 32 elements."""

    sub, largest = 32, 15

    def _block(self, block: list[Fraction]) -> tuple[list[int], int, list[int]]:
        subs = [[block[i] for i in span] for span in blocks.spans(len(block), self.sub)]
        lows = [min(Fraction(0), *sub) for sub in subs]
        steps = [(max(sub) - low) / 15 for sub, low in zip(subs, lows, strict=True)]
        d, dmin = scale_code(HALVES, max(steps) / 63), scale_code(HALVES, max(-low for low in lows) / 63)
        codes: list[int] = []
        fine: list[int] = []
        for sub, low, step in zip(subs, lows, steps, strict=True):
            sc, m = _whole(step, _half(d), 63), _whole(-low, _half(dmin), 63)
            fine.append(sc | m << 6)
            unit, shift = _half(d) * sc, _half(dmin) * m
            codes += [min(max(half_even((v + shift) / unit), 0), 15) if unit else 0 for v in sub]
        return codes, d | dmin << 16, fine

    def _value(self, code: int, scale: int, fine: int) -> Fraction:
        return _half(scale & 0xFFFF) * (fine & 63) * code - _half(scale >> 16) * (fine >> 6)


class _Q6K(GgufReference):
    """An fp16 d, sixteen int8 scales: d sc (q - 32); the element of largest magnitude of each 16 becomes -32."""

    sub, largest = 16, 63

    def _block(self, block: list[Fraction]) -> tuple[list[int], int, list[int]]:
        subs = [[block[i] for i in span] for span in blocks.spans(len(block), self.sub)]
        steps = [_first(sub) / -32 for sub in subs]
        top = _first(steps) / -128
        d = HALVES.code(_number(HALVES.value(scale_code(HALVES, abs(top)))) * (-1 if top < 0 else 1))
        codes: list[int] = []
        fine: list[int] = []
        for sub, step in zip(subs, steps, strict=True):
            sc = min(max(half_even(step / _half(d)), -128), 127) if _half(d) else 0
            fine.append(sc % 256)
            unit = _half(d) * sc
            codes += [min(max(half_even(v / unit), -32), 31) + 32 if unit else 0 for v in sub]
        return codes, d, fine

    def _value(self, code: int, scale: int, fine: int) -> Fraction:
        return _half(scale) * (fine - 256 if fine > 127 else fine) * (code - 32)


_LAYOUTS: Final[dict[str, type[GgufReference]]] = {"q4_0": _Q4, "q8_0": _Q8, "q4_k": _Q4K, "q6_k": _Q6K}


def _plain(x: Exact) -> Fraction:
    """A finite number; the largest fp32 for infinities, zero for NaN and -0."""
    if x in blocks.INFINITIES:
        return blocks.SINGLE.largest * (-1 if x is Special.NEGATIVE_INFINITY else 1)
    return x if isinstance(x, Fraction) else Fraction(0)


def _first(x: Sequence[Fraction]) -> Fraction:
    """The first element of largest magnitude."""
    return x[max(range(len(x)), key=lambda i: abs(x[i]))]


def _inverse(d: Fraction) -> Fraction:
    """1 / d in fp32; 0 where that is no finite number."""
    made = single(1 / d) if d else Fraction(0)
    return made if isinstance(made, Fraction) else Fraction(0)


def _whole(x: Fraction, unit: Fraction, most: int) -> int:
    return min(half_even(x / unit), most) if unit else 0


def _half(code: int) -> Fraction:
    value = HALVES.value(code)
    return value if isinstance(value, Fraction) else Fraction(0)


def _number(x: Exact) -> Fraction:
    return x if isinstance(x, Fraction) else Fraction(0)


def _list(nested: list[list[int]] | int | None) -> list[list[int]]:
    assert isinstance(nested, list)
    return nested
