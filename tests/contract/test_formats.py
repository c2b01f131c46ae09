"""What every number format promises; shipped files and kinds are picked up by themselves."""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics import jit, registry
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Special, encode
from accelsim.numerics.reference.scaled import ScaledReference
from accelsim.spec.format import KINDS
from tests.contract import grids


def _chosen(least: int, most: int) -> list[Any]:
    """Formats without scales by their bits; those whose references work with many digits only in the long run."""
    names = [name for name in grids.bare() if least <= grids.record_of(name).bits <= most]
    return [pytest.param(name, marks=pytest.mark.long) if grids.slow(name) else name for name in names]


BARE = _chosen(1, 64)
SMALL = _chosen(1, 8)
TABLED = _chosen(1, 16)
WIDE = _chosen(17, 64)
SCALED = [name for name in grids.shipped() if (r := grids.record_of(name)).scaled and r.kind in registry.implemented()]
PATHS = ("compiled", "numpy") if jit.enabled() else ("numpy",)
ROUNDINGS = ("nearest-even", "nearest-away", "nearest-up", "toward-zero", "up", "down", "odd")


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Both array paths: they must agree bit for bit."""
    if request.param == "numpy":
        monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    return request.param


def _lenient(name: str, policy: Policy | None = None) -> DataFormat:
    """A format that takes NaN, so that inputs may hold it."""
    return _made(name, policy, jit.enabled())


@functools.cache
def _made(name: str, policy: Policy | None, compiled: bool) -> DataFormat:
    made = DataFormat(grids.record_of(name), policy)
    return DataFormat(made.record, replace(made.policy, nan="zero")) if made.policy.nan == "error" else made


def _same(found: object, expected: object, x: np.ndarray) -> None:
    wrong = np.flatnonzero(np.asarray(found).astype(np.int64) != np.asarray(expected).astype(np.int64))
    assert wrong.size == 0, [(float(x[i]).hex(), int(found[i]), int(expected[i])) for i in wrong[:5]]


def test_every_kind_has_behaviour():
    assert set(KINDS) == set(registry.implemented())


@pytest.mark.parametrize("name", _chosen(1, 10))
def test_the_reference_rounds_to_the_nearest_of_all_values(name):
    """By a search over what all codes mean: a second way that shares nothing with the reference's own."""
    grid, policy = grids.grid_of(name), _lenient(name).policy
    codes = grids.levels(name)[1]
    for value in grids.deciding(name, True).tolist():
        x = grids.exact(value)
        if isinstance(x, Special):
            continue
        expected, found = grids.nearest(name, x), encode(grid, x, policy)
        if expected is None:
            assert found == encode(grid, x * 4 + (1 if x > 0 else -1), policy), value
        elif expected != 0 or x == 0:
            assert found == codes[expected], value
        else:
            assert grid.value(found) in (0, Special.NEGATIVE_ZERO), value


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", TABLED)
def test_the_array_path_is_the_reference_where_rounding_is_decided(name, double, path):
    made = _lenient(name)
    x, expected = grids.decided(name, made.policy, double, 1 << 13)
    _same(made.encode(x), expected, x)
    number = ~np.isnan(x)
    _same(dataformat(name).encode(x[number]), expected[number], x[number])  # kernels may differ where NaN is refused


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", TABLED)
def test_the_array_path_is_a_search_on_ties_all_bfloat16_and_random_patterns(name, double, path):
    made = _lenient(name)
    x = np.concatenate([grids.bulk(double), grids.deciding(name, double)])
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
    _same(made.encode(x), grids.searched_codes(name, wide, made.policy), x)


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_format_is_the_reference_on_ties_and_random_patterns(name, path):
    made, grid = _lenient(name), grids.grid_of(name)
    rng = np.random.default_rng(7)
    x = rng.integers(0, 1 << 64, 2_000, dtype=np.uint64).view(np.float64)
    codes = rng.integers(0, 1 << grid.bits, 1_000)
    codes[500:] >>= np.arange(500) % grid.bits  # long runs of zeros, which posits and takums count
    values = [v for code in codes.tolist() if isinstance(v := grid.value(code), Fraction)]
    steps = [grid.neighbours(v * (1 + Fraction(1, 1 << 60)) + Fraction(1, 1 << 1080)) for v in values]
    ties = np.array([float(grid.split(low, high)) for low, high in steps if low != high])
    x = np.concatenate([x, ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), grids.bulk(True)[::37]])
    expected = grids.reference_codes(grid, x, made.policy)
    _same(made.encode(x), expected, x)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = x.astype(np.float32)
    _same(made.encode(narrow), grids.reference_codes(grid, narrow, made.policy), narrow)
    plain = made.decode(made.encode(x), np.float64)
    np.testing.assert_array_equal(made.quantize(x), plain)
    assert all(
        np.isnan(v) or grids.exact(v) == grid.value(int(c)) for v, c in zip(plain.tolist(), expected, strict=True)
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", SMALL)
def test_every_rounding_and_overflow_is_the_reference(name, rounding, path):
    if path == "numpy" and len(PATHS) == 2 and rounding not in ("nearest-even", "odd"):
        return  # the same tables, looked up by numpy instead: two modes show it
    grid = grids.grid_of(name)
    for overflow in ("saturate", "infinity", "nan"):
        if overflow != "saturate" and not getattr(grid, f"has_{overflow}"):
            continue
        made = _lenient(name, Policy(rounding=rounding, overflow=overflow))
        for double in (False, True):
            x, expected = grids.decided(name, made.policy, double, 300)
            _same(made.encode(x), expected, x)


@pytest.mark.parametrize("name", ["fp16", "bf16", "int16", "e7m8"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_rounding_of_sixteen_bits_is_the_reference(name, rounding, path):
    made = _lenient(name, Policy(rounding=rounding))
    x, expected = grids.decided(name, made.policy, True, 2_000)
    _same(made.encode(x), expected, x)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in grids.bare()
        if grids.record_of(name).bits <= 8 and grids.record_of(name).kind not in grids.SPLITS
    ],
)
def test_stochastic_rounding_is_the_reference_for_every_random_integer(name):
    bits = 3
    record = grids.record_of(name)
    rng = np.random.default_rng(3)
    values = rng.choice(grids.deciding(name, True), 40)
    scale = float(grids.levels(name)[0][-1])
    values = np.concatenate([values, rng.normal(0, 1, 40) * scale, rng.normal(0, 0.1, 20) * scale])
    x = np.repeat(values[~np.isnan(values)], 1 << bits)
    draws = np.tile(np.arange(1 << bits), x.size >> bits)
    made = _lenient(name, Policy(rounding=Stochastic(bits)))
    if record.kind == "codebook" and max(level.denominator for level in grids.levels(name)[0]) > 1 << 40:
        with pytest.raises(RequestError, match="not exact"):  # such levels leave no room for fractions of their gaps
            made.encode(x, random=draws)
        return
    found = made.encode(x, random=draws)
    _same(found, grids.reference_codes(grids.grid_of(name), x, made.policy, draws), x)


@pytest.mark.parametrize("name", TABLED)
def test_decoding_every_code_is_the_reference_and_encoding_its_value_comes_back(name, path):
    made, grid = dataformat(name), grids.grid_of(name)
    codes = np.arange(1 << grid.bits)
    decoded = made.decode(codes, np.float64)
    for code, value in zip(codes.tolist(), decoded.tolist(), strict=True):
        meant = grid.value(code)
        same = np.isnan(value) if meant in (Special.NAN, Special.NEGATIVE_NAN) else grids.exact(value) == meant
        assert same, (code, value, meant)
    narrow = made.decode(codes)
    np.testing.assert_array_equal(narrow.astype(np.float64), decoded, err_msg="the default dtype holds every value")
    first = {Special.NEGATIVE_ZERO: grid.negative_zero, Special.INFINITY: grid.infinity(False)}
    own = codes[~np.isnan(decoded)]
    back = made.encode(decoded[own])
    for code, found in zip(own.tolist(), back.tolist(), strict=True):
        value = grid.value(code)
        expected = first.get(value, grids.levels(name)[1].get(value))
        assert expected is None or found == expected or not isinstance(value, Fraction), code


@pytest.mark.parametrize("name", TABLED)
def test_values_are_the_grid(name):
    values = dataformat(name).values
    assert values.tolist() == [float(v) for v in grids.levels(name)[0]]


@pytest.mark.parametrize("name", BARE)
def test_quantizing_is_decoding_what_was_encoded(name, path):
    made = _lenient(name)
    for double in (False, True):
        x = grids.bulk(double)[::5]
        if made.bits <= 16:
            x = np.concatenate([x, grids.deciding(name, double, 1 << 12)])
        with np.errstate(over="ignore", invalid="ignore"):
            expected = made.decode(made.encode(x), np.float64).astype(x.dtype)
        number = ~np.isnan(x)
        for found, wanted in (
            (made.quantize(x), expected),
            (dataformat(name).quantize(x[number]), expected[number]),
        ):
            np.testing.assert_array_equal(found, wanted)
            np.testing.assert_array_equal(np.signbit(found)[found == 0], np.signbit(wanted)[found == 0])


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("count", [0, 1, 7, 33])
def test_packing_and_unpacking_are_inverses(name, count):
    made = dataformat(name)
    most = 1 << made.bits if made.record.kind != "codebook" else len(made.values)
    codes = np.random.default_rng(count).integers(0, most, count).astype(np.uint32)
    data = made.pack(codes)
    assert len(data) == made.storage_bytes(count) == -(-Fraction(made.bits_per_element) * count // 8)
    np.testing.assert_array_equal(made.unpack(data, count), codes)
    with pytest.raises(RequestError, match="bytes"):
        made.unpack(data + b"\0", count)


def test_no_two_shipped_formats_are_one():
    seen: dict[str, str] = {}
    for name in grids.shipped():
        record = grids.record_of(name)
        meaning = repr(record.definition())
        if record.kind in registry.implemented() and not record.scaled and record.bits <= 16:
            grid = grids.grid_of(name)
            meaning = repr([grid.value(code) for code in range(1 << record.bits)] + [record.bits_per_element])
        assert meaning not in seen, f"{name} is {seen[meaning]}: say alias_of"
        seen[meaning] = name
    assert len(seen) >= 60


# formats that own scales


def _tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    plain = rng.normal(size=(4, 70)).astype(np.float32)
    spread = plain * np.exp2(rng.integers(-20, 20, (4, 70))).astype(np.float32)
    ties = (rng.integers(-64, 65, (4, 70)) / 16).astype(np.float32)
    small = plain * np.float32(2.0**-130)
    gaps = plain.copy()
    gaps[:, 16:48] = 0
    gaps[:, ::7] *= np.float32(-0.0)
    powers = np.exp2(np.array([[-100], [-3], [20], [101]])).astype(np.float32)
    edges = plain / 8 * powers  # largest magnitudes of blocks: a power of two, and the floats beside it
    beside = (np.nextafter(powers, np.float32(0)), powers, np.nextafter(powers, np.float32(np.inf)))
    for block in range(3):
        edges[:, 32 * block] = [beside[(row + block) % 3][row, 0] for row in range(4)]
    return {
        "plain": plain, "spread": spread, "ties": ties, "small": small, "gaps": gaps, "edges": edges,
        "short": plain[:, :5].copy(),
    }  # fmt: skip


@pytest.mark.parametrize("tensor", _tensors())
@pytest.mark.parametrize("name", SCALED)
def test_codes_and_scales_are_those_of_the_reference(name, tensor, path):
    made, x = dataformat(name), _tensors()[tensor]
    reference = registry.reference(made.record)
    assert isinstance(reference, ScaledReference)
    expected = reference.encode([[grids.exact(v) for v in row] for row in x.tolist()])
    found = made.encode(x)
    np.testing.assert_array_equal(found.codes, expected.codes)
    for mine, theirs in ((found.scales, expected.scales), (found.mask_or_indices, expected.indices)):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs)
    assert (None if found.tensor_scale is None else grids.exact(found.tensor_scale)) == expected.tensor_scale
    decoded = [[grids.exact(v) for v in row] for row in made.decode(found, np.float64).tolist()]
    assert decoded == reference.decode(expected)
    np.testing.assert_array_equal(made.quantize(x), made.decode(found).astype(x.dtype))


@pytest.mark.parametrize("name", ["mxfp4", "mxint8", "nf4_b64", "int4_g24", "fp6_e2m3_g7", "mx6"])
def test_a_long_row_is_its_parts(name, path):
    """Work is done in tiles that end within blocks."""
    made = dataformat(name)
    length = getattr(made.record, "block", None) or made.record.length
    x = np.random.default_rng(5).normal(size=300 * 700).astype(np.float32)
    cut = 40_000 // length * length
    whole, parts = made.encode(x), [made.encode(x[at : at + cut]) for at in range(0, x.size, cut)]
    np.testing.assert_array_equal(whole.codes, np.concatenate([part.codes for part in parts]))
    np.testing.assert_array_equal(whole.scales, np.concatenate([part.scales for part in parts]))
    np.testing.assert_array_equal(made.quantize(x), np.concatenate([made.decode(part, np.float32) for part in parts]))
    np.testing.assert_array_equal(made.quantize(x.astype(np.float64)).astype(np.float32), made.quantize(x))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", SCALED)
def test_packed_scaled_tensors_come_back(name, axis):
    made = dataformat(name)
    for x in _tensors().values():
        found = made.encode(x, axis=axis)
        data = made.pack(found)
        assert len(data) == made.storage_bytes(x.shape, axis) == found.nbytes
        np.testing.assert_array_equal(made.decode(made.unpack(data, x.shape, axis)), made.decode(found))
        again = made.encode(np.ascontiguousarray(np.moveaxis(x, axis, -1)))
        np.testing.assert_array_equal(np.moveaxis(again.codes, -1, axis), found.codes)
