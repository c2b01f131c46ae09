"""Comparison of the array path of formats with scales with their exact reference, and inputs that tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import registry
from accelsim.numerics.fast import tiles
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.grid import Special
from accelsim.spec.format import Format

NAN = (Special.NAN, Special.NEGATIVE_NAN)


def exact_rows(x: NDArray[Any]) -> list[list[Any]]:
    """[rows, n] as fractions and special values."""
    return [[tiles.exact(float(v)) for v in row] for row in x]


def inputs(dtype: Any, n: int = 75, infinite: bool = True, nan: bool = False) -> list[NDArray[Any]]:
    """Rows that end in a short block: smooth, wide, tie-rich, zero, with an outlier, subnormal, huge, special."""
    rng = np.random.default_rng(7)
    normal = rng.standard_normal
    one = normal((2, n))
    one[0, 5], one[1, n - 1], one[1, :4] = 1e30, -0.0, 0.0
    made = [
        normal((3, n)),
        normal((2, n)) * 2.0 ** rng.integers(-60, 60, (2, n)),
        np.zeros((2, n)),
        rng.integers(-12, 13, (3, n)) / 4,
        rng.integers(-64, 65, (2, n)) / 7.0,
        one,
        rng.integers(-9, 10, (2, n)) * 1e-45,
        normal((2, n)) * (1e38 if dtype == np.float32 else 1e300),
        normal((2, n)) * 1e-39,
    ]
    if infinite:
        special = normal((2, n))
        special[0, 5], special[1, n - 1], special[1, 3] = np.inf, -np.inf, np.inf
        made.append(special)
    if nan:
        special = normal((2, n))
        special[0, 3], special[1, n - 1], special[1, 1] = np.nan, -np.nan, np.inf
        made.append(special)
    with np.errstate(over="ignore"):
        return [x.astype(dtype) for x in made]


def assert_equal_to_reference(
    record: Format, policy: Policy | str | None = None, arrays: list[NDArray[Any]] | None = None, **more: Any
) -> None:
    """Codes, scales, values, bytes and `quantize` of every input are those of the reference."""
    reference, made = registry.reference(record), DataFormat(record, policy)
    for x in arrays or [x for dtype in (np.float32, np.float64) for x in inputs(dtype, **more)]:
        want, got = reference.encode(exact_rows(x), policy), made.encode(x)
        for name, mine, exact in (
            ("scales", got.scales, want.scales),
            ("indices", got.mask_or_indices, want.indices),
            ("codes", got.codes, want.codes),
        ):
            given = None if mine is None else np.asarray(mine).tolist()
            assert given == exact, (record.name, policy, name, x)
        assert got.tensor_scale == (None if want.tensor_scale is None else float(want.tensor_scale))
        values = made.decode(got, dtype=np.float64)
        for row, exact_row in zip(values.tolist(), reference.decode(want), strict=True):
            assert all(same(v, w) for v, w in zip(row, exact_row, strict=True)), (record.name, row, exact_row)
        with np.errstate(over="ignore"):
            assert np.array_equal(made.quantize(x), values.astype(x.dtype), equal_nan=True)
            assert np.array_equal(made.decode(got).astype(np.float64), values, equal_nan=True), "narrowest dtype"
        assert_packs(made, got)


def assert_packs(made: DataFormat, got: Any) -> None:
    """unpack(pack(e)) is e, in the bytes that are promised."""
    data = made.pack(got)
    assert len(data) == got.nbytes == made.storage_bytes(got.shape, got.axis)
    back = made.unpack(data, got.shape, got.axis)
    for name in ("codes", "scales", "mask_or_indices", "tensor_scale"):
        mine, other = getattr(back, name), getattr(got, name)
        assert (mine is None) == (other is None), name
        assert mine is None or (np.array_equal(mine, other) and np.shape(mine) == np.shape(other)), name


def same(value: float, exact: Any) -> bool:
    """Whether a float is an exact value; zeros of either sign are."""
    if exact in NAN:
        return bool(np.isnan(value))
    found = tiles.exact(value)
    zeros = (0, Special.NEGATIVE_ZERO)
    return found == exact or (found in zeros and exact in zeros)
