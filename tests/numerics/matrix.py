"""What holds for which formats: properties as functions of a format and an array, and where each fails.

`matrix_rows` says where they hold, and prints `docs/formats-properties.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.numerics.reference.grid import encode
from tests.contract import grids

Array = NDArray[Any]
GIVEN = {"tensor_scale": 0.25, "bias": 3}
"""What is given where a format would choose it from the data."""


def given(made: DataFormat) -> dict[str, float]:
    """Settings of a format that would look at the whole tensor."""
    return {name: GIVEN[name] for name in getattr(made._codec, "settings", ())}


def equal(a: Any, b: Any) -> bool:
    """Whether two results are one, parts and all."""
    if isinstance(a, Encoded):
        parts = ("codes", "scales", "mask_or_indices", "tensor_scale")
        return all(equal(getattr(a, part), getattr(b, part)) for part in parts)
    if a is None or b is None:
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def idempotent(made: DataFormat, x: Array) -> bool:
    """Rounding what was rounded changes nothing; scales are chosen anew from it."""
    once = made.quantize(x.astype(np.float64))
    return equal(made.quantize(once), once)


def idempotent_at_scale(made: DataFormat, x: Array) -> bool:
    """The same where the scale of the tensor is given."""
    once = made.quantize(x.astype(np.float64), **given(made))
    return equal(made.quantize(once, **given(made)), once)


def monotone(made: DataFormat, x: Array) -> bool:
    """A larger number does not become a smaller value, within a block; NaN is neither."""
    block = x[: made.record.block] if made.record.block > 1 else x
    values = made.quantize(np.sort(block.astype(np.float64)))
    return bool((np.diff(values[~np.isnan(values)]) >= 0).all())


def exact(made: DataFormat, x: Array) -> bool:
    """Every value that is ever written is itself; `x` chooses codes."""
    grid = grids.grid_of(made.name)
    codes = x.view(np.uint32).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - made.bits)
    values = made.decode(codes.astype(np.uint32), np.float64)
    values = values[(values >= float(grid.smallest)) & (values <= float(grid.largest))]
    return equal(made.quantize(values), values)


def nearest(made: DataFormat, x: Array) -> bool:
    """No other code of an element means a closer value; a grid that is not linear has a sense of its own."""
    wide = x.astype(np.float64)
    if not made.record.scaled:
        rounded = made.quantize(wide[:8]).tolist()
        return all(_nearest(made, v, q) for v, q in zip(wide[:8].tolist(), rounded, strict=True) if not np.isnan(q))
    encoded = made.encode(wide)
    found = np.abs(made.decode(encoded, np.float64) - wide)
    last = (1 << made.bits) - 1
    every = (
        range(last + 1) if made.bits <= 8 else [np.clip(encoded.codes.astype(int) + d, 0, last) for d in (-2, -1, 1, 2)]
    )
    for code in every:
        other = replace(encoded, codes=np.full_like(encoded.codes, code))
        distance = np.abs(made.decode(other, np.float64) - wide)
        if (distance < found * (1 - 1e-12)).any():
            return False
    return True


def _nearest(made: DataFormat, x: float, found: float) -> bool:
    grid = grids.grid_of(made.name)
    inside = grids.exact(min(max(x, float(grid.smallest)), float(grid.largest)) + 0.0)
    if made.bits > 16 or grids.slow(made.name):
        expected = grid.value(encode(grid, inside, made.policy))
    else:
        expected = grids.nearest(made.name, inside)  # type: ignore[assignment, arg-type]
    return expected is None or (float(expected) if isinstance(expected, Fraction) else 0.0) == found


def odd(made: DataFormat, x: Array) -> bool:
    """The opposite becomes the opposite."""
    return equal(made.quantize(-x.astype(np.float64)), -made.quantize(x.astype(np.float64)))


def independent(made: DataFormat, x: Array) -> bool:
    """What else is in the tensor does not matter to a block, at a given scale of the tensor."""
    length = made.record.block if made.record.block > 1 else x.size + x.size % 2
    row = np.resize(x.astype(np.float64), 2 * length)
    one, other = np.stack([row, row]), np.stack([row, 3 * row + 1])
    one[0, length:], other[0, length:] = 5, -7
    if getattr(made.record, "granularity", None) == "channel":
        one[0], other[0] = row, row
    first, second = (made.quantize(x, **given(made)) for x in (one, other))
    return equal(first[0, :length], second[0, :length])


def equivariant(made: DataFormat, x: Array) -> bool:
    """A power of two goes through, away from the ends of scales."""
    wide = x.astype(np.float64) * 8
    return all(equal(made.quantize(wide * 2.0**k), made.quantize(wide) * 2.0**k) for k in (-2, 1, 4))


def packs(made: DataFormat, x: Array) -> bool:
    """What was packed is unpacked, in as many bytes as promised."""
    encoded = made.encode(x)
    data = made.pack(encoded)
    return len(data) == made.storage_bytes(x.shape) and equal(made.unpack(data, x.shape), encoded)


def any_dtype(made: DataFormat, x: Array) -> bool:
    """The same number has the same code, whatever it is kept in."""
    return equal(made.encode(x.astype(np.float32)), made.encode(x.astype(np.float32).astype(np.float64)))


def any_order(made: DataFormat, x: Array) -> bool:
    """Memory order, gaps and byte order do not matter."""
    both = np.stack([x, x[::-1]])
    wanted = made.encode(both)
    others = (np.asfortranarray(both), np.repeat(both, 2, axis=1)[:, ::2], both.astype(both.dtype.newbyteorder()))
    return all(equal(made.encode(other), wanted) for other in others)


Property = Callable[[DataFormat, Array], bool]
PROPERTIES: dict[str, Property] = {
    "idempotent": idempotent, "idempotent at a given scale": idempotent_at_scale, "monotone": monotone, "exact": exact,
    "nearest": nearest, "odd": odd, "independent of neighbours": independent, "scales through": equivariant,
    "packs": packs, "any dtype": any_dtype, "any memory order": any_order,
}  # fmt: skip
