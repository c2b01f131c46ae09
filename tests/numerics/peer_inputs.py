"""Numbers that peers were given, once to make `data/peer_*.npz` and again by each test that compares with it.

Only numpy and integer arithmetic: nothing here depends on a generator's stream or on the package under test, so that
the numbers stay what the peers got. `checksum` tells if they do not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# exponent bits, mantissa bits, bias
FLOATS = {
    "fp4_e2m1": (2, 1, 1), "fp6_e2m3": (2, 3, 1), "fp6_e3m2": (3, 2, 3), "fp8_e4m3": (4, 3, 7), "fp8_e5m2": (5, 2, 15),
    "fp8_e4m3_ieee": (4, 3, 7), "fp8_e4m3_fnuz": (4, 3, 8), "fp8_e4m3_b11fnuz": (4, 3, 11), "fp8_e5m2_fnuz": (5, 2, 16),
    "fp8_e3m4": (3, 4, 3), "bf16": (8, 7, 127), "fp16": (5, 10, 15), "ue8m0": (8, 0, 127),
}  # fmt: skip
BLOCKS = {
    "mxfp4": "fp4_e2m1", "mxfp6_e2m3": "fp6_e2m3", "mxfp6_e3m2": "fp6_e3m2", "mxfp8_e4m3": "fp8_e4m3",
    "mxfp8_e5m2": "fp8_e5m2", "mxint8": "int8_f6", "nvfp4": "fp4_e2m1",
}  # fmt: skip
LARGEST = {
    "fp4_e2m1": 6.0, "fp6_e2m3": 7.5, "fp6_e3m2": 28.0, "fp8_e4m3": 448.0, "fp8_e5m2": 57344.0, "int8_f6": 127 / 64,
}  # fmt: skip

_MOST_NUMBERS = 1 << 9
_PATTERNS = 1 << 12
Singles = NDArray[np.float32]


def p3109(bits: int, precision: int, sign: str) -> tuple[int, int, int]:
    """Exponent bits, mantissa bits and bias of a P3109 format."""
    exponent = bits - precision + (sign == "u")
    return exponent, precision - 1, 1 << exponent - 1 if sign == "u" else (1 << bits - precision) // 2


def points(exponent: int, mantissa: int, bias: int) -> NDArray[np.float64]:
    """Magnitudes of a float and the midpoints between them, two values beyond the last code; every n-th of many."""
    top = (1 << exponent + mantissa) + 2
    numbers = np.unique(np.concatenate([np.arange(0, top, -(-top // _MOST_NUMBERS)), np.arange(top - 40, top)]))
    numbers = numbers[numbers >= 0]
    halves = np.concatenate([2 * numbers, 2 * numbers + 1])
    field, rest = halves >> mantissa + 1, halves & (2 << mantissa) - 1
    one = np.where(field > 0, 2 << mantissa, 0) + rest
    with np.errstate(over="ignore"):
        made = np.ldexp(one.astype(np.float64), np.maximum(field, 1) - bias - mantissa - 1)
        if not mantissa:
            made = np.concatenate([made, np.ldexp(1.0 + numbers % 2 / 2, numbers - bias)])
    return np.unique(made)


def integer_points(largest: int, fraction_bits: int) -> NDArray[np.float64]:
    """Magnitudes of integers and the midpoints between them, beyond the last one, too."""
    return np.ldexp(np.arange(2 * largest + 6).astype(np.float64), -fraction_bits - 1)


def singles(near: Iterable[float]) -> Singles:
    """Points and the floats on either side of them, of both signs, and what tells conversions apart anyway.

    That is: zeros, infinities, NaNs of both signs with payloads, float32 subnormals, every power of two with the
    floats beside it, 4096 bfloat16 patterns and 512 scattered float32 patterns.
    """
    powers = np.ldexp(1.0, np.arange(-149, 128))
    centre = np.concatenate([np.asarray(list(near), dtype=np.float64), powers])
    centre = centre[centre <= np.finfo(np.float32).max].astype(np.float32)
    with np.errstate(over="ignore"):
        beside = [np.nextafter(centre, np.float32(end)) for end in (0, np.inf)]
    k = np.arange(_PATTERNS, dtype=np.uint64)
    bits = [
        np.concatenate([centre, *beside]).view(np.uint32),
        np.array([0, 1, 2, 3, 0x400000, 0x7FFFFF, 0x7F7FFFFF, 0x7F800000], dtype=np.uint32),
        np.array([0x7FC00000, 0x7F800001, 0x7FFFFFFF, 0x7FA00000, 0x7FC12345, 0x7F900000], dtype=np.uint32),
    ]
    both = np.concatenate([np.concatenate(bits), np.concatenate(bits) | np.uint32(1 << 31)])
    patterns = (k * np.uint64(40503) % np.uint64(1 << 16)).astype(np.uint32) << np.uint32(16)
    return np.unique(np.concatenate([both, patterns, scattered(512)])).view(np.float32)


def scattered(count: int, seed: int = 1) -> NDArray[np.uint32]:
    """Integers below 2^32 without a visible order (the finaliser of MurmurHash3)."""
    h = np.arange(count, dtype=np.uint64) + np.uint64(seed * 0x9E3779B9)
    mask = np.uint64(0xFFFFFFFF)
    h = (h ^ h >> np.uint64(16)) * np.uint64(0x85EBCA6B) & mask
    h = (h ^ h >> np.uint64(13)) * np.uint64(0xC2B2AE35) & mask
    return (h ^ h >> np.uint64(16)).astype(np.uint32)


def of_element(name: str) -> Singles:
    """What a format without scales is given."""
    return singles(points(*FLOATS[name]) if name in FLOATS else integer_points(128, 6))


def of_block(name: str, length: int = 32) -> Singles:
    """[blocks, length] for a block format by its name; of several peculiar kinds, more than 4096 numbers."""
    element = BLOCKS[name]
    top = LARGEST[element]
    near = points(*FLOATS[element]) if element in FLOATS else integer_points(128, 6)
    near = near[near < 2 * np.exp2(np.floor(np.log2(top)))].astype(np.float32)
    decisive = np.concatenate([near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(9e9))])
    made = _filled(decisive, np.float32(top), length)
    made += _peaks(length)
    made += _tiny(length)
    made += _special(length)
    return np.ascontiguousarray(np.stack(made))


def _smooth(count: int, seed: int) -> Singles:
    """Numbers of both signs up to 1, in steps of 2^-7 so that ties are frequent, some at full precision."""
    h = scattered(count, seed)
    coarse = (h % np.uint32(257)).astype(np.float32) / np.float32(128) - np.float32(1)
    fine = h.astype(np.float32) / np.float32(2.0**31) - np.float32(1)
    return np.where(h % np.uint32(3) == 0, np.clip(fine, -1, 1), coarse).astype(np.float32)


def _signed(block: Singles, seed: int) -> Singles:
    return np.where(scattered(block.size, seed) % np.uint32(2) == 0, block, -block).astype(np.float32)


def _filled(decisive: Singles, top: np.float32, length: int) -> list[Singles]:
    """Blocks led by the largest element, then every boundary of the elements; at several scales."""
    each = length - 1
    whole = np.resize(decisive, -(-decisive.size // each) * each).reshape(-1, each)
    made = []
    for k, e in enumerate((0, 1, -9, 60, -101)):
        factor = np.float32(2.0**e)
        for r, row in enumerate(whole[k % 2 :: 1 + (k > 0)]):
            made.append(_signed(np.concatenate([[top], row]).astype(np.float32) * factor, 97 * k + r))
    return made


def _peaks(length: int) -> list[Singles]:
    """Blocks whose largest number is a power of two, or just beside one, or has a telling fraction."""
    made = []
    exponents = (-126, -120, -100, -67, -40, -20, -9, -4, -1, 0, 1, 2, 3, 8, 17, 31, 33, 63, 65, 100, 120, 126, 127)
    for e in exponents:
        one = np.float32(2.0**e)
        below = [np.uint32(one.view(np.uint32) - steps) for steps in (1, 3, 20, 50)]
        peaks = [one, np.nextafter(one, np.float32(np.inf)), *(b.view(np.float32) for b in below)]
        fractions = [one * np.float32(f) for f in (1.5, 1.75, 1.875, 1.9375, 1.125, 1.25)]
        peaks += [
            *fractions,
            *(np.uint32(f.view(np.uint32) + 1 + 9 * k).view(np.float32) for k, f in enumerate(fractions)),
        ]
        for k, peak in enumerate(peaks):
            block = _smooth(length, 1000 + 31 * (e + 200) + k) * one
            block[k % length] = -peak if k % 2 else peak
            made.append(np.clip(block, -peak, peak))
    return made


def _tiny(length: int) -> list[Singles]:
    """Blocks of subnormal and nearly subnormal numbers, and of the largest."""
    made = [np.zeros(length, dtype=np.float32), np.full(length, -0.0, dtype=np.float32)]
    for k, e in enumerate((*range(-149, -109), -105, -104)):
        block = np.rint(_smooth(length, 5000 + k) * np.float32(8)).astype(np.float32) * np.float32(0.25)
        block[k % length] = 1.0 + k % 4 * 0.25
        with np.errstate(under="ignore"):
            made.append((block.astype(np.float64) * 2.0**e).astype(np.float32))
    largest = np.finfo(np.float32).max
    for k in range(4):
        block = _smooth(length, 7000 + k) * largest
        block[k] = largest * np.float32((1, 0.9375, 0.875, 0.75)[k])
        made.append(block)
    return made


def _special(length: int) -> list[Singles]:
    """Blocks with infinities and NaNs."""
    odd = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], dtype=np.uint32)
    made = []
    for k, e in enumerate((0, 0, 100, -100, 126, -126)):
        for several in (False, True):
            block = _smooth(length, 9000 + k) * np.float32(2.0**e)
            block[3 + k] = odd.view(np.float32)[k]
            if several:
                block[20 % length], block[1] = np.float32(np.inf), np.float32(-0.0)
            made.append(block)
    return made


def of_levels(levels: NDArray[np.float32]) -> Singles:
    """What a list of levels is given: numbers around every level and every midpoint."""
    wide = levels.astype(np.float64)
    return singles(np.abs(np.concatenate([wide, (wide[1:] + wide[:-1]) / 2])))


def of_pairs(levels: NDArray[np.float32]) -> Singles:
    """An even count of numbers, each once on the left and once on the right of another."""
    x = of_levels(levels)
    x = x[np.isfinite(x) & (np.abs(x) < 1e5)]
    other = x[scattered(x.size, 77).argsort(kind="stable")]
    return np.concatenate([np.stack([x, other], axis=1).ravel(), np.stack([other, x], axis=1).ravel()])


def posit_values(bits: int, es: int, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values of codes of positive posits."""
    body = codes << 64 - bits & (1 << 63) - 1  # the bits after the sign, from bit 62 down
    ones = (body >> 62) & 1
    run = np.zeros_like(body)
    going = np.ones(body.shape, dtype=bool)
    for place in range(bits - 1):
        going &= (body >> 62 - place & 1) == ones
        run += going
    rest = body << np.minimum(run + 1, 63) & (1 << 63) - 1
    exponent = rest >> 63 - es if es else np.zeros_like(rest)
    fraction = (rest << es & (1 << 63) - 1) >> 10  # 53 bits, more than any posit of 33 has
    scale = np.where(ones == 1, run - 1, -run) * (1 << es) + exponent
    return np.ldexp(1 + np.ldexp(fraction.astype(np.float64), -53), scale)


def of_posit(bits: int, es: int) -> NDArray[np.float64]:
    """What a posit is given: its values, its boundaries and their neighbours of both signs, at most 512 of each."""
    last = (1 << bits) - 1
    codes = np.unique(np.concatenate([np.arange(1, last, -(-last // 512)), np.arange(max(last - 9, 1), last + 1)]))
    centre = posit_values(bits + 1, es, codes)
    powers = np.ldexp(1.0, np.arange(-160, 161, 5))
    made = np.concatenate([centre, np.nextafter(centre, 0), np.nextafter(centre, np.inf), powers, 1.3 * powers])
    spread = np.ldexp(1 + scattered(700, bits) * 2.0**-32, (scattered(700, bits + 99) % np.uint32(80)).astype(int) - 40)
    made = np.concatenate([made, spread, [0.0, np.inf, np.nan, 5e-324, 1e308]])
    return np.concatenate([made, -made])


def checksum(x: NDArray[np.float32] | NDArray[np.float64]) -> int:
    """A number that tells whether inputs are what they were."""
    return zlib.crc32(x.astype(x.dtype.newbyteorder("<")).tobytes())
