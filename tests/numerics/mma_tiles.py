"""Inputs of the comparison with MMA-Sim: the same codes on every machine, from a counter and integer arithmetic.

A tile is one dot product: k codes of a, k codes of b, a code of c, and block scales where the instruction takes them.
`tests/numerics/data/mma_sim.npz` holds the results only; `make_mma_sim.py` beside it says how they were made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RANDOM, HARD = 2_000, 240
"""Tiles of each preset: random ones; then as many that cancel, spread over all exponents, or hold special values."""

Codes = NDArray[np.uint64]


@dataclass(frozen=True)
class Fields:
    """A float's fields; `top` is the exponent field from which on codes are special (or one beyond)."""

    exponent: int
    mantissa: int
    bias: int
    top: int

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.mantissa


FORMATS = {
    "fp16": Fields(5, 10, 15, 31),
    "bf16": Fields(8, 7, 127, 255),
    "fp32": Fields(8, 23, 127, 255),
    "fp8_e4m3": Fields(4, 3, 7, 15),
    "fp8_e5m2": Fields(5, 2, 15, 31),
    "fp8_e4m3_fnuz": Fields(4, 3, 8, 16),
    "fp8_e5m2_fnuz": Fields(5, 2, 16, 32),
    "fp4_e2m1": Fields(2, 1, 1, 4),
}


@dataclass(frozen=True)
class Case:
    """One preset and the instruction that anchors it.

    Attributes:
        preset: our name.
        arch, qualifier: of MMA-Sim.
        a, b, c: formats.
        k: length.
        block: elements that share a scale; 0 where there are none.
        scale: format of the scales.
        specials: whether infinities and NaN may appear.
    """

    preset: str
    arch: str
    qualifier: str
    a: str
    b: str
    c: str
    k: int
    block: int = 0
    scale: str = ""
    specials: bool = True

    @property
    def key(self) -> str:
        return f"{self.preset}:{self.a}:{self.b}:{self.scale}{self.block or ''}"


CASES = (
    Case("volta-fp16", "Volta", "m8n8k4.f32.f16.f16.f32", "fp16", "fp16", "fp32", 4),
    Case("volta-fp16-half", "Volta", "m8n8k4.f16.f16.f16.f16", "fp16", "fp16", "fp16", 4),
    Case("turing-fp16", "Turing", "m16n8k8.f32.f16.f16.f32", "fp16", "fp16", "fp32", 8),
    Case("ampere-fp16", "Ampere", "m16n8k16.f32.f16.f16.f32", "fp16", "fp16", "fp32", 16),
    Case("ampere-fp16-half", "Ampere", "m16n8k16.f16.f16.f16.f16", "fp16", "fp16", "fp16", 16),
    Case("ampere-bf16", "Ampere", "m16n8k16.f32.bf16.bf16.f32", "bf16", "bf16", "fp32", 16),
    Case("ada-fp8", "Ada Lovelace", "m16n8k32.f32.e4m3.e4m3.f32", "fp8_e4m3", "fp8_e4m3", "fp32", 32),
    Case("ada-fp8", "Ada Lovelace", "m16n8k32.f32.e5m2.e4m3.f32", "fp8_e5m2", "fp8_e4m3", "fp32", 32),
    Case("hopper-fp16", "Hopper", "m64n8k16.f32.f16.f16", "fp16", "fp16", "fp32", 16),
    Case("hopper-bf16", "Hopper", "m64n8k16.f32.bf16.bf16", "bf16", "bf16", "fp32", 16),
    Case("hopper-fp8", "Hopper", "m64n8k32.f32.e4m3.e4m3", "fp8_e4m3", "fp8_e4m3", "fp32", 32),
    Case("hopper-fp8", "Hopper", "m64n8k32.f32.e5m2.e4m3", "fp8_e5m2", "fp8_e4m3", "fp32", 32),
    Case("blackwell-bf16", "Blackwell", "m64n8k16.f32.bf16.bf16", "bf16", "bf16", "fp32", 16),
    Case("blackwell-fp8", "Blackwell", "m64n8k32.f32.e4m3.e4m3", "fp8_e4m3", "fp8_e4m3", "fp32", 32),
    Case("blackwell-fp8", "Blackwell", "m64n8k32.f32.e5m2.e5m2", "fp8_e5m2", "fp8_e5m2", "fp32", 32),
    Case(
        "blackwell-fp8", "Blackwell", "m128n8k32.block32.f32.e4m3.e5m2.ue8m0", "fp8_e4m3", "fp8_e5m2", "fp32", 32,
        32, "e8m0",
    ),
    Case(
        "blackwell-fp4", "Blackwell", "m128n8k64.block16.f32.e2m1.e2m1.ue4m3", "fp4_e2m1", "fp4_e2m1", "fp32", 64,
        16, "ue4m3", specials=False,
    ),
    Case(
        "blackwell-fp4", "Blackwell", "m128n8k64.block32.f32.e2m1.e2m1.ue8m0", "fp4_e2m1", "fp4_e2m1", "fp32", 64,
        32, "e8m0", specials=False,
    ),
    Case("cdna3", "CDNA3", "f32_16x16x16_f16", "fp16", "fp16", "fp32", 16),
    Case("cdna3", "CDNA3", "f32_16x16x16_bf16", "bf16", "bf16", "fp32", 16),
    Case("cdna3-fp8", "CDNA3", "f32_16x16x32_fp8_fp8", "fp8_e4m3_fnuz", "fp8_e4m3_fnuz", "fp32", 32),
    Case("cdna3-fp8", "CDNA3", "f32_16x16x32_bf8_bf8", "fp8_e5m2_fnuz", "fp8_e5m2_fnuz", "fp32", 32),
    Case("turing-fp16-half", "Turing", "m16n8k8.f16.f16.f16.f16", "fp16", "fp16", "fp16", 8),
    Case("ada-fp8-half", "Ada Lovelace", "m16n8k32.f16.e4m3.e4m3.f16", "fp8_e4m3", "fp8_e4m3", "fp16", 32),
    Case("hopper-fp16-half", "Hopper", "m64n8k16.f16.f16.f16", "fp16", "fp16", "fp16", 16),
    Case("hopper-fp8-half", "Hopper", "m64n8k32.f16.e4m3.e4m3", "fp8_e4m3", "fp8_e4m3", "fp16", 32),
    Case("blackwell-fp16", "Blackwell", "m64n8k16.f32.f16.f16", "fp16", "fp16", "fp32", 16),
    Case("blackwell-fp16-half", "Blackwell", "m64n8k16.f16.f16.f16", "fp16", "fp16", "fp16", 16),
    Case("blackwell-fp8-half", "Blackwell", "m64n8k32.f16.e4m3.e4m3", "fp8_e4m3", "fp8_e4m3", "fp16", 32),
)  # fmt: skip


def words(stream: int, count: int) -> Codes:
    """Random 32-bit words: the finaliser of SplitMix64 on a counter (Steele et al., OOPSLA 2014)."""
    z = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
        stream * 0x632BE59BD9B4E019 % 2**64
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(32)


def _floats(fields: Fields, stream: int, shape: tuple[int, ...], low: int, high: int) -> Codes:
    """Codes with a random sign and mantissa, and an exponent field from low to high - 1."""
    count = int(np.prod(shape))
    low, high = max(low, 0), min(high, fields.top)
    w = words(stream, 2 * count).reshape(2, *shape)
    mantissa = w[0] & np.uint64((1 << fields.mantissa) - 1)
    sign = (w[0] >> np.uint64(31)) << np.uint64(fields.bits - 1)
    exponent = np.uint64(low) + w[1] % np.uint64(high - low)
    return sign | exponent << np.uint64(fields.mantissa) | mantissa


@dataclass(frozen=True)
class Tiles:
    """Codes [tiles, k], [tiles], and scales [tiles, k / block] (empty where there are none)."""

    a: Codes
    b: Codes
    c: Codes
    scale_a: Codes
    scale_b: Codes


def tiles(case: Case) -> Tiles:
    """The tiles of a case."""
    stream = 1_000 * (CASES.index(case) + 1)
    fa, fb, fc = FORMATS[case.a], FORMATS[case.b], FORMATS[case.c]
    total, k = RANDOM + HARD, case.k
    a = _floats(fa, stream + 1, (total, k), fa.bias - 4, fa.bias + 3)
    b = _floats(fb, stream + 2, (total, k), fb.bias - 3, fb.bias + 4)
    c = _floats(fc, stream + 3, (total,), fc.bias - 6, fc.bias + 7)
    half = slice(RANDOM // 2, RANDOM)  # all exponents of narrow formats, subnormals and zeros; many of bf16
    a[half] = _floats(fa, stream + 4, (total, k), fa.bias - 50, fa.bias + 50)[half]
    b[half] = _floats(fb, stream + 5, (total, k), fb.bias - 50, fb.bias + 50)[half]
    c[half] = _floats(fc, stream + 6, (total,), fc.bias - 60, fc.bias + 60)[half]
    cancelling = slice(RANDOM, RANDOM + 120)  # the second half takes away the first, but for a few last bits
    flips = words(stream + 7, total * k // 2).reshape(total, -1)
    flips = (flips % np.uint64(8) == 0).astype(np.uint64)
    a[cancelling, k // 2 :] = a[cancelling, : k // 2] ^ flips[cancelling]
    b[cancelling, k // 2 :] = b[cancelling, : k // 2] ^ np.uint64(1 << (fb.bits - 1))
    wide = slice(RANDOM + 120, RANDOM + 220)  # far apart, and many zeros
    a[wide] = _floats(fa, stream + 8, (total, k), 0, fa.top)[wide]
    b[wide] = _floats(fb, stream + 9, (total, k), 0, fb.top)[wide]
    zero = words(stream + 10, total * k).reshape(total, k) % np.uint64(3) == 0
    keep = np.where(zero, np.uint64(0), np.uint64((1 << fa.bits) - 1))
    a[wide] &= keep[wide]
    c[wide] = _floats(fc, stream + 11, (total,), 0, fc.top)[wide]
    c[RANDOM + 210 : RANDOM + 220] = 0
    if case.specials:
        _specials(case, a, b, c, slice(RANDOM + 220, total), stream + 12)
    for codes, name in ((a, case.a), (b, case.b)):
        if name == "fp8_e4m3" and not case.specials:
            codes[(codes & np.uint64(0x7F)) == 0x7F] -= np.uint64(1)
        if name.endswith("fnuz"):
            codes[codes == 1 << (FORMATS[name].bits - 1)] = 0  # the code that would be -0 is NaN
    blocks = k // case.block if case.block else 0
    return Tiles(a, b, c, _scales(case, stream + 20, total, blocks), _scales(case, stream + 21, total, blocks))


def _specials(case: Case, a: Codes, b: Codes, c: Codes, where: slice, stream: int) -> None:
    """Infinities and NaN in a, b and c, one or two to a tile."""
    places = words(stream, 4 * (where.stop - where.start)).reshape(-1, 4)
    for row, (kind, at, other, sign) in zip(range(where.start, where.stop), places.tolist(), strict=True):
        for codes, name, column in ((a, case.a, at % case.k), (b, case.b, other % case.k)):
            fields = FORMATS[name]
            if name.endswith("fnuz"):
                special = 1 << (fields.bits - 1)
            elif name == "fp8_e4m3":
                special = 0x7F
            else:
                special = fields.top << fields.mantissa | (kind >> 4) % 4 // 3 | (sign & 1) << (fields.bits - 1)
            if kind % 3 == (0 if codes is a else 1):
                codes[row, column] = special
        if kind % 3 == 2 or kind % 5 == 0:
            fields = FORMATS[case.c]
            c[row] = fields.top << fields.mantissa | (sign >> 1 & 1) << (fields.bits - 1)


def _scales(case: Case, stream: int, total: int, blocks: int) -> Codes:
    if not blocks:
        return np.zeros((total, 0), dtype=np.uint64)
    drawn = words(stream, total * blocks).reshape(total, blocks)
    if case.scale == "ue4m3":
        return drawn % np.uint64(0x7F)
    made = np.uint64(117) + drawn % np.uint64(21)
    made[RANDOM + 120 :] = np.uint64(60) + drawn[RANDOM + 120 :] % np.uint64(135)
    return made
