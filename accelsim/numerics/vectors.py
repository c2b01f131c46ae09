"""Conformance vectors for hardware: inputs on which a conversion is decided, what becomes of them, what codes mean.

Inputs are binary32. For a format without scales they are: every value of the grid (as the nearest binary32) and one
ulp to either side; every boundary between two codes *under the policy in force*, found by bisection on the binary32
numbers, with two numbers on either side, so that every tie is among them with one ulp above and below; the tie beyond
each end, where overflow is judged; zeros,
subnormals, the ends of binary32, infinities, and NaNs unless the policy refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import anatomy, registry
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.random import draws
from accelsim.numerics.reference.grid import Grid, Special
from accelsim.spec.format import Format

SAMPLED: Final = 4096
"""Codes that stand for all of a format of more than 16 bits."""
MOST_SCALE_BITS: Final = 8
"""Wider scales are fp16 and fp32, whose decoding needs no table."""
ROW: Final = 16
"""Elements of a vector where a scale belongs to a whole row or tensor."""
_SEED: Final = 7

Singles = NDArray[np.float32]
Codes = NDArray[np.unsignedinteger[Any]]

_SPECIAL_BITS: Final = (
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,
    0x3F800000, 0xBF800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000,
)  # fmt: skip
_NAN_BITS: Final = (0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one code means.

    Attributes:
        role: `element`, `scale`, or another role of the format.
        format: of the code.
        bits: of the code.
        code: the code.
        value: as binary64 in hexadecimal, or `nan`, `inf`, `-inf`; `unused` for a code without a meaning.
        fraction: the exact value, n/d; empty where there is none.
    """

    role: str
    format: str
    bits: int
    code: int
    value: str
    fraction: str


@dataclass(frozen=True, slots=True)
class BlockVector:
    """One tensor of a single row.

    Attributes:
        why: what it tries.
        x: [n] inputs.
        encoded: what they become.
        packed: the same as bytes in memory.
        values: [n], what is read back, binary64.
    """

    why: str
    x: Singles
    encoded: Encoded
    packed: bytes
    values: NDArray[np.float64]


def spelt(policy: Policy) -> str:
    """A policy in one word, as vectors carry it: `rounding=nearest-even;overflow=saturate;...`."""
    return ";".join(f"{field.name}={getattr(policy, field.name)}" for field in fields(policy))


def check(policy: Policy) -> None:
    """Refuses rounding that depends on more than the input.

    Raises:
        RequestError: stochastic rounding.
    """
    if isinstance(policy.rounding, Stochastic):
        raise RequestError("vectors of stochastic rounding would need its random integers: take another rounding")


def plain(made: DataFormat) -> tuple[Singles, Codes]:
    """Inputs and codes of a format without scales, inputs ascending by their bits.

    Raises:
        RequestError: the format owns scales, or rounds stochastically.
    """
    check(made.policy)
    grid = registry.grid(made.record)
    anchors = _ordered(_values(made, grid))
    keys = np.concatenate([anchors - 1, anchors, anchors + 1, *_boundaries(made, anchors)])
    bits = _bits(np.unique(np.clip(keys, _KEY_MIN, _KEY_MAX)))
    more = _SPECIAL_BITS + (() if made.policy.nan == "error" else _NAN_BITS)
    bits = np.unique(np.concatenate([bits, np.array(more, dtype=np.uint32)]))
    x = bits.view(np.float32)
    return x, made.encode(x)


_SIGN: Final = np.int64(1) << np.int64(31)
_KEY_MAX: Final = np.int64(0x7F7FFFFF)
_KEY_MIN: Final = -np.int64(0x7F7FFFFF) - 1


def _ordered(x: Singles) -> NDArray[np.int64]:
    """Binary32 as integers in the same order, -0 at -1."""
    bits = x.view(np.uint32).astype(np.int64)
    return np.where(bits & _SIGN, -(bits & ~_SIGN) - 1, bits)


def _bits(keys: NDArray[np.int64]) -> NDArray[np.uint32]:
    return np.where(keys < 0, (-keys - 1) | _SIGN, keys).astype(np.uint32)


def _values(made: DataFormat, grid: Grid) -> Singles:
    """The values of the grid, or of a sample of its codes and those after them, as binary32; and the ends of those."""
    if made.bits <= anatomy.MOST_LISTED_BITS:
        wide = made.values
    else:
        codes = sample(made.bits)
        wide = np.asarray(made.decode(np.concatenate([codes, codes + np.uint32(1)]) & _mask(made.bits), np.float64))
        wide = wide[np.isfinite(wide)]
    info = np.finfo(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        near = np.concatenate([wide, -wide if grid.smallest < 0 else [], _beyond(grid), [0.0, -0.0]])
        near = near.astype(np.float32)
    near = np.concatenate([near[np.isfinite(near)], np.array([info.max, info.min], dtype=np.float32)])
    return np.unique(near.view(np.uint32)).view(np.float32)


def _beyond(grid: Grid) -> list[float]:
    """The tie beyond each end of the grid, where overflow is judged, and the number after it, if there is one."""
    found = []
    for end, side in ((grid.largest, 1), (grid.smallest, -1)):
        low, high = grid.neighbours(end + side * (abs(end) or anatomy.least_positive(grid)) / 2**70)
        if low != high:
            found += [float(grid.split(low, high)), float(high if side > 0 else low)]
    return found


def _mask(bits: int) -> np.uint32:
    return np.uint32((1 << bits) - 1)


def sample(bits: int) -> NDArray[np.uint32]:
    """Codes of a wide format: the ends of every power of two, and evenly spread ones with random lower bits."""
    powers = np.concatenate([np.uint64(1) << np.arange(bits, dtype=np.uint64)])
    ends = np.concatenate([powers - 1, powers, powers + 1])
    step = np.uint64((1 << bits) // SAMPLED)
    spread = np.arange(SAMPLED, dtype=np.uint64) * step + draws(_SEED, 0, SAMPLED, 32) % step
    both = np.concatenate([ends, np.uint64((1 << bits) - 1) - ends, spread])
    return np.unique(both).astype(np.uint32)


def _boundaries(made: DataFormat, anchors: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For every two anchors with other codes, the last input with the code of the first, and three beside it."""
    anchors = np.sort(anchors)
    codes = made.encode(_bits(anchors).view(np.float32))
    apart = codes[1:] != codes[:-1]
    low, high, code = anchors[:-1][apart], anchors[1:][apart], codes[:-1][apart]
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = made.encode(_bits(middle).view(np.float32)) == code
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return [low - 1, low, high, high + 1]


def decode_table(made: DataFormat) -> Iterator[Meaning]:
    """The meaning of every code of elements of at most 16 bits, of a sample of others, and of scales of at most 8."""
    for role, each in anatomy.element_grids(made.record):
        codes = range(1 << each.bits) if each.bits <= anatomy.MOST_LISTED_BITS else sample(each.bits).tolist()
        yield from _meanings(role, each, codes)
    for role, each in anatomy.scale_grids(made.record):
        if each.bits <= MOST_SCALE_BITS:
            yield from _meanings(role, each, range(1 << each.bits))


def _meanings(role: str, record: Format, codes: Any) -> Iterator[Meaning]:
    grid = registry.grid(record)
    for code in codes:
        value = grid.value(code)
        if isinstance(value, Fraction):
            shown = f"{value.numerator}/{value.denominator}"
            yield Meaning(role, record.name, record.bits, code, float(value).hex(), shown)
        elif value is Special.NEGATIVE_ZERO:
            yield Meaning(role, record.name, record.bits, code, (-0.0).hex(), "0/1")
        else:
            infinite = value in (Special.INFINITY, Special.NEGATIVE_INFINITY)
            name = value.value if infinite else "nan" if grid.has_nan else "unused"
            yield Meaning(role, record.name, record.bits, code, name, "")


# formats that own scales


def blocks(made: DataFormat) -> Iterator[BlockVector]:
    """Single rows of one block, or of two where blocks share a scale of the tensor, and a ragged one.

    Raises:
        RequestError: stochastic rounding.
    """
    check(made.policy)
    for why, x in _rows(made):
        encoded = made.encode(x[None])
        yield BlockVector(why, x, encoded, made.pack(encoded), made.decode(encoded, np.float64)[0])


def _rows(made: DataFormat) -> Iterator[tuple[str, Singles]]:
    length = made.record.block if made.record.block > 1 else ROW
    n = 2 * length if getattr(made.record, "tensor_scale", None) is not None else length
    noise = _gaussian(n)
    yield "zeros", np.zeros(n, dtype=np.float32)
    yield "negative zeros", np.full(n, -0.0, dtype=np.float32)
    yield "ones", np.ones(n, dtype=np.float32)
    for at, sign in ((0, 1), (n - 1, -1)):
        yield "a single element", np.where(np.arange(n) == at, np.float32(sign * 1.5), np.float32(0))
    yield "random", noise
    yield "ragged", noise[: max(n - length // 2 - 1, 1)].copy()
    yield "an outlier", np.where(np.arange(n) == n // 3, np.float32(40), noise)
    yield "all magnitudes", noise * np.exp2(np.arange(n) % 40 - 20).astype(np.float32)
    yield "one sign", np.abs(noise) + np.float32(1)
    yield "subnormal inputs", (noise * np.float32(2.0**-100)) * np.float32(2.0**-30)
    top = np.finfo(np.float32).max
    yield "the largest binary32", np.where(np.arange(n) % 2 == 0, top, -top).astype(np.float32)
    yield from _scale_edges(noise)
    yield from _ties(made, n)
    for value, why in ((np.inf, "an infinity"), (-np.inf, "a negative infinity"), (np.nan, "a NaN")):
        if np.isnan(value) and made.policy.nan == "error":
            continue
        yield why, np.where(np.arange(n) == n // 2, np.float32(value), noise)
        yield f"only {why}", np.full(n, value, dtype=np.float32)


def _gaussian(n: int) -> Singles:
    """Sums of four uniform numbers, near enough to a bell; exact in binary32."""
    words = draws(_SEED, 0, 4 * n, 16).reshape(n, 4).sum(axis=1).astype(np.float64)
    made: Singles = ((words - 2 * 65535) / 2.0**15).astype(np.float32)
    return made


def _scale_edges(noise: Singles) -> Iterator[tuple[str, Singles]]:
    """Largest elements over all mantissas of bfloat16 and their neighbours at the ends, where scales change."""
    small = noise / np.float32(8)
    tops = [1 + step / 128 for step in range(128)]
    edges = [np.nextafter(np.float32(top), side) for top in tops[::16] for side in (np.float32(0), np.float32(2))]
    for k, sign in ((0, 1), (-3, -1)):
        for top in [np.float32(top) for top in tops] + edges:
            x = small.copy()
            x[k % x.size] = sign * top
            yield "a largest element", x * np.float32(2.0 ** (5 * k))


def _ties(made: DataFormat, n: int) -> Iterator[tuple[str, Singles]]:
    """Half-way points of the elements beside the largest one, which makes the scale a round one, and one ulp off."""
    for _, record in anatomy.element_grids(made.record):
        if record.bits > MOST_SCALE_BITS:
            continue
        grid = registry.grid(record)
        levels = [v for v in grid.levels if grid.smallest <= v <= grid.largest]
        ties = np.array([float(grid.split(a, b)) for a, b in pairwise(levels)], dtype=np.float32)
        for first in range(0, ties.size, n - 1):
            part = ties[first : first + n - 1]
            x = np.zeros(n, dtype=np.float32)
            x[0], x[1 : 1 + part.size] = float(grid.largest), part
            for name, y in (("", x), (" + 1 ulp", _off(x, np.inf)), (" - 1 ulp", _off(x, -np.inf))):
                yield f"ties of {record.name}{name}", y


def _off(x: Singles, side: float) -> Singles:
    moved = np.nextafter(x, np.float32(side))
    made: Singles = np.where((x == 0) | (np.arange(x.size) == 0), x, moved)
    return made
