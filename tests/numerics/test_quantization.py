"""Quantisers by rule and granularity, and the measures of what they lose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.errors import RequestError
from accelsim.numerics.quantization import measure, quantizer, searched
from accelsim.spec.format.names import from_name
from tests.numerics.scaled import assert_equal_to_reference, inputs

INT4 = from_name("int4")
TAILED = np.random.default_rng(8).standard_t(3, (16, 256)).astype(np.float32)


@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
@pytest.mark.parametrize("rule", ["absmax", "percentile", "power_of_two", "mean"])
def test_every_granularity_and_rule_equals_the_reference(granularity, rule):
    made = quantizer(
        INT4, granularity, rule,
        length=16 if granularity == "group" else None, percentile=90.0 if rule == "percentile" else None,
    )  # fmt: skip
    assert_equal_to_reference(made.record, arrays=inputs(np.float32))


def test_what_shares_a_scale():
    shapes = {g: quantizer(INT4, g, length=64 if g == "group" else None).encode(TAILED).scales.shape
              for g in ("tensor", "channel", "group")}  # fmt: skip
    assert shapes == {"tensor": (), "channel": (16, 1), "group": (16, 4)}
    assert quantizer(INT4, "channel").encode(TAILED, axis=0).scales.shape == (1, 256)


def test_finer_scales_lose_less():
    errors = [
        measure(TAILED, quantizer(INT4, g, length=32 if g == "group" else None).quantize(TAILED)).mse
        for g in ("tensor", "channel", "group")
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_the_search_is_the_best_of_its_candidates():
    made = quantizer(INT4, "channel", "mse")
    best = np.square(made.decode(made.encode(TAILED), np.float64) - TAILED).sum(axis=1)
    codes = np.arange(-8, 8)
    for row, least in zip(TAILED.astype(float), best, strict=True):
        whole = np.float32(np.abs(row).max() / 7)
        for clip in range(80):
            scale = float(np.float32(float(whole) * (100 - clip) / 100))
            made_row = np.clip(np.rint(row / scale), codes[0], codes[-1]) * scale
            assert np.square(made_row - row).sum() >= least * (1 - 1e-12)


def test_the_percentile_is_a_rank():
    x = np.arange(1, 101, dtype=np.float32)
    made = quantizer(from_name("int8"), "tensor", "percentile", percentile=90.0)
    assert float(np.uint32(made.encode(x).scales).view(np.float32)) == np.float32(90 / 127)


def test_a_power_of_two_is_the_nearest():
    for largest, scale in ((7.0, 1.0), (10.49, 1.0), (10.5, 2.0), (14.0, 2.0), (5.25, 1.0), (5.24, 0.5)):
        made = quantizer(INT4, "tensor", "power_of_two")
        assert made.encode(np.array([largest], np.float32)).scales == 127 + math.log2(scale), largest


def test_a_searched_tensor_scale_is_no_worse():
    x = np.random.default_rng(3).standard_normal(2048).astype(np.float32)
    x[5] = 30
    for name in ("olive4", "nvfp4"):
        made = accelsim.dataformat(name)
        scale = searched(made, x)
        assert measure(x, made.quantize(x, tensor_scale=scale)).mse <= measure(x, made.quantize(x)).mse
    with pytest.raises(RequestError, match="no tensor scale"):
        searched(accelsim.dataformat("mxfp4"), x)


def test_measures_by_hand():
    errors = measure([3.0, 4.0], [3.0, 3.0])
    assert (errors.mse, errors.largest) == (0.5, 1.0)
    assert math.isclose(errors.sqnr_db, 10 * math.log10(12.5 / 0.5))
    assert math.isclose(errors.cosine, 21 / (5 * math.sqrt(18)))


def test_measures_of_extremes():
    same = measure([1.0, -2.0], [1.0, -2.0])
    assert (same.mse, same.sqnr_db) == (0.0, math.inf)
    assert math.isclose(same.cosine, 1)
    assert math.isnan(measure([0.0], [0.0]).sqnr_db)
    assert math.isclose(measure([1e300], [2e300]).sqnr_db, 0, abs_tol=1e-12)
    assert math.isclose(measure([1e-300], [2e-300]).sqnr_db, 0, abs_tol=1e-12)


@given(x=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), power=st.integers(-30, 30))
def test_ratios_do_not_depend_on_the_unit(x, power):
    wide = np.array(x)
    rounded = np.rint(wide)
    one, two = measure(wide, rounded), measure(wide * 2.0**power, rounded * 2.0**power)
    assert one.sqnr_db == two.sqnr_db or (math.isnan(one.sqnr_db) and math.isnan(two.sqnr_db))
    assert one.mse * 4.0**power == two.mse or two.mse < 1e-300


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: quantizer(INT4, "row"), "granularity"),
        (lambda: quantizer(INT4, "tensor", "absmx"), "absmax"),
        (lambda: measure([1.0], [1.0, 2.0]), "shape"),
        (lambda: measure([], []), "no elements"),
        (lambda: measure([math.inf], [1.0]), "finite"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(call, word):
    with pytest.raises(RequestError, match=word):
        call()
