"""A million numbers per format against comparisons of integers, which were compared with the reference themselves."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.formats import dataformat
from tests.contract import grids, integers
from tests.contract.test_formats import PATHS, TABLED, WIDE, _lenient, _same

COUNT = 1_000_000
MX = [name for name in grids.shipped() if name.startswith("mx") and grids.record_of(name).kind == "block"]
STRINGS = [name for name in WIDE if isinstance(name, str) and not getattr(grids.record_of(name), "logarithmic", False)]


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    return request.param


def patterns(double: bool, count: int, near: bool = False) -> np.ndarray:
    """Random bits of floats; with exponents from -30 to 30 if they shall lie near 1."""
    rng = np.random.default_rng(20260201)
    if not double:
        bits = rng.integers(0, 1 << 32, count, dtype=np.uint32)
        if near:
            bits = bits & np.uint32(0x807FFFFF) | rng.integers(97, 158, count, dtype=np.uint32) << np.uint32(23)
        return bits.view(np.float32)
    wide = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    if near:
        field = rng.integers(993, 1054, count, dtype=np.uint64) << np.uint64(52)
        wide = wide & np.uint64((1 << 63) + (1 << 52) - 1) | field
    return wide.view(np.float64)


def halves(double: bool) -> np.ndarray:
    """A million: any bits, and as many near 1."""
    return np.concatenate([patterns(double, COUNT // 2), patterns(double, COUNT // 2, near=True)])


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", ["fp8_e4m3", "fp4_e2m1", "int4", "posit6", "flint4", "nf4", "hif8", "ue8m0", "lns8"])
def test_comparing_integers_is_the_reference_on_every_boundary_of_a_few(name, double):
    policy = _lenient(name).policy
    x = grids.deciding(name, double)
    _same(integers.codes(name, x, policy), grids.reference_codes(grids.grid_of(name), x, policy), x)


@pytest.mark.long
@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", TABLED)
def test_comparing_integers_is_the_reference_on_every_boundary(name, double):
    policy = _lenient(name).policy
    x = grids.deciding(name, double, 1 << 12) if grids.slow(name) else grids.deciding(name, double)
    _same(integers.codes(name, x, policy), grids.reference_codes(grids.grid_of(name), x, policy), x)


@pytest.mark.long
@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", TABLED)
def test_a_million_numbers(name, double, path):
    made, x = _lenient(name), halves(double)
    expected = integers.codes(name, x, made.policy)
    _same(made.encode(x), expected, x)
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(made.quantize(x), made.decode(expected, np.float64).astype(x.dtype))


@pytest.mark.parametrize("name", STRINGS)
def test_codes_of_one_more_bit_are_the_boundaries_of_wide_formats(name):
    """What the integers make of codes is what the reference makes of them, and of ties what it rounds to."""
    grid, record = grids.grid_of(name), grids.record_of(name)
    rng = np.random.default_rng(8)
    last = grid.code(grid.largest)
    number = np.unique(np.concatenate([rng.integers(1, last, 500) >> np.arange(500) % record.bits, [1, 2, last]]))
    number = number[number > 0]
    found = integers.meaning(name, number, 0).view(np.float64)
    assert [grids.exact(v) for v in found.tolist()] == [grid.value(int(n)) for n in number]
    ties = integers.meaning(name, 2 * number[number < last] + 1, 1).view(np.float64)
    x = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, 0), found])
    x = np.concatenate([x, -x])
    expected = grids.reference_codes(grid, x, _lenient(name).policy)
    assert integers.rounds_rightly(name, x, expected).all()
    step = np.where(np.arange(x.size) % 2, 1, -1)
    top = 1 << record.bits - 1
    changed = np.clip(expected + step, 0, 2 * top - 1)
    possible = (changed % top != 0) & (changed != expected) & ((changed < top) == (expected < top))
    assert not integers.rounds_rightly(name, x, changed)[possible].any(), "a neighbour is not right"


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("count", [20_000, pytest.param(COUNT, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", STRINGS)
def test_a_million_numbers_in_wide_formats(name, count, double, path):
    made, x = _lenient(name), halves(double)
    x = x[np.isfinite(x) & (x != 0)][:: COUNT // count]
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
    found = made.encode(x).astype(np.int64)
    right = integers.rounds_rightly(name, wide, found)
    assert right.all(), [(float(v).hex(), int(c)) for v, c in zip(x[~right][:5], found[~right][:5], strict=True)]


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("count", [6_400, pytest.param(COUNT, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", MX)
def test_a_million_numbers_in_blocks(name, count, double, path):
    made = dataformat(name)
    x = halves(double).reshape(-1, 320)
    x = np.where(np.isfinite(x), x, x.dtype.type(1))[:: COUNT // count]
    codes, scales = integers.microscaled(made.record, x, made.policy)
    found = made.encode(x)
    np.testing.assert_array_equal(found.scales, scales)
    _same(found.codes.reshape(-1), codes.reshape(-1), x.reshape(-1))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(made.quantize(x), made.decode(found, np.float64).astype(x.dtype))
