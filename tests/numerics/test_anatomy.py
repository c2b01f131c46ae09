"""What formats consist of: bits by part, ranges, densities; quality on stated data and neighbours."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accelsim import catalog
from accelsim.numerics import anatomy, quality, registry
from accelsim.numerics.policy import Policy
from accelsim.spec.format import AdaptivFloatFormat, CFloatFormat
from tests.contract import grids

EXACT = {
    # name: largest, smallest normal, smallest positive, values, infinities, NaNs, -0; from the standards
    "fp8_e4m3": (Fraction(448), Fraction(1, 64), Fraction(1, 512), 253, 0, 2, True),
    "fp8_e5m2": (Fraction(57344), Fraction(1, 1 << 14), Fraction(1, 1 << 16), 247, 2, 6, True),
    "fp4_e2m1": (Fraction(6), Fraction(1), Fraction(1, 2), 15, 0, 0, True),
    "fp16": (Fraction(65504), Fraction(1, 1 << 14), Fraction(1, 1 << 24), 63487, 2, 2046, True),
    "fp32": (Fraction((1 << 24) - 1) * (1 << 104), Fraction(1, 1 << 126), Fraction(1, 1 << 149), 4278190079, 2, None,
             True),
    "posit8": (Fraction(1 << 24), None, Fraction(1, 1 << 24), 255, 0, 1, False),
    "posit32": (Fraction(1 << 120), None, Fraction(1, 1 << 120), (1 << 32) - 1, 0, None, False),
    "int8": (Fraction(127), None, Fraction(1), 256, 0, 0, False),
    "int24": (Fraction((1 << 23) - 1), None, Fraction(1), 1 << 24, 0, 0, False),
    "ue8m0": (Fraction(1 << 127), None, Fraction(1, 1 << 127), 255, 0, 1, False),
    "binary8p3se": (Fraction(49152), Fraction(1, 1 << 15), Fraction(1, 1 << 17), 253, 2, 1, False),
}  # fmt: skip


def everything() -> list[str]:
    return [*grids.shipped(), "int4_tensor", "int4_channel", "int3_g32", "posit6", "e3m4", "uint4_g64"]


@pytest.mark.parametrize("name", everything())
def test_parts_add_up_to_the_bits_per_element(name):
    record = grids.record_of(name)
    parts = anatomy.bits_by_part(record)
    assert sum(part.bits for part in parts) == pytest.approx(record.bits_per_element, rel=1e-12)
    assert all(part.bits >= 0 and part.of for part in parts)
    if record.scaled:
        assert len(parts) > 1


@pytest.mark.parametrize("name", EXACT)
def test_ranges_are_those_of_the_standards(name):
    found = anatomy.range_of(grids.record_of(name))
    assert (
        found.largest, found.smallest_normal, found.smallest_positive, found.values, found.infinities, found.nans,
        found.negative_zero,
    ) == EXACT[name]  # fmt: skip


@pytest.mark.parametrize("name", everything())
def test_every_format_has_grids_whose_density_counts_all_positive_values(name):
    for _, each in anatomy.element_grids(grids.record_of(name)):
        exponents, counts = anatomy.binades(each)
        found = anatomy.range_of(each)
        negative = found.values - int(counts.sum())
        assert counts.sum() > 0
        assert counts.min() >= 0
        if found.smallest == -found.largest:
            assert negative - counts.sum() in (0, 1)
        assert 2.0 ** int(exponents[0]) <= found.smallest_positive < 2.0 ** int(exponents[0] + 1)
        runs = anatomy.shown(each)
        flat = [value for run in runs for value in run]
        assert flat == sorted(flat)
        assert (flat[0], flat[-1]) == (float(found.smallest), float(found.largest))


@pytest.mark.parametrize("name", ["adaptivfloat8", "cfloat8_143"])
def test_a_chosen_bias_is_shown_at_zero(name):
    ((role, each),) = anatomy.element_grids(grids.record_of(name))
    assert isinstance(each, AdaptivFloatFormat | CFloatFormat)
    assert (role, each.exponent_bias, each.scaled) == ("element at bias 0", 0, False)


# quality


@pytest.mark.parametrize("name", quality.DATA)
def test_data_have_variance_one_and_their_own_tails(name):
    x = quality.data(name).astype(np.float64)
    assert x.shape == quality.SHAPE
    assert np.square(x).mean() == pytest.approx(1, rel=1e-6)
    assert abs(x.mean()) < 0.02
    kurtosis = (x**4).mean()
    low, high = {"Gaussian": (2.9, 3.1), "Laplace": (5.6, 6.4), "Student-t": (8, 1000), "outliers": (100, 500)}[name]
    assert low < kurtosis < high


def test_quartiles_are_those_of_the_distributions():
    # standard normal; Laplace of variance 1, ln 2 / sqrt 2; Student's t with 4 degrees, 0.7407, over sqrt 2
    for name, quartile in (("Gaussian", 0.6745), ("Laplace", 0.4901), ("Student-t", 0.5238)):
        assert np.quantile(quality.data(name), 0.75) == pytest.approx(quartile, rel=0.03)


def test_uniform_noise_of_many_steps_has_the_sqnr_of_theory():
    found = quality.quality(grids.record_of("int8"))
    x = quality.data("Gaussian").astype(np.float64)
    step = np.abs(x).max(axis=1) / 127
    assert found.scale == "absmax"
    assert found.sqnr_db["Gaussian"] == pytest.approx(-10 * np.log10(np.square(step).mean() / 12), abs=0.1)


def test_plain_grids_are_bound_to_the_scale_that_suits_them():
    scales = {name: quality.quality(grids.record_of(name)).scale for name in
              ("fp8_e4m3", "posit8", "fp32", "int3", "nf4", "mxfp4", "takum8")}  # fmt: skip
    assert scales == {
        "fp8_e4m3": "absmax", "posit8": "none", "fp32": "none", "int3": "mean", "nf4": "absmax", "mxfp4": "own",
        "takum8": "none",
    }  # fmt: skip


def test_nothing_is_lost_in_the_format_of_the_data():
    assert set(quality.quality(grids.record_of("fp32")).sqnr_db.values()) == {np.inf}


def test_a_policy_holds_for_the_format_and_not_for_others():
    record, other = grids.record_of("fp8_e4m3"), grids.record_of("mxfp4")
    mine = quality.compare(record, [other], Policy(rounding="toward-zero"))
    usual = quality.compare(record, [other])
    assert mine[0].sqnr_db["Laplace"] < usual[0].sqnr_db["Laplace"] - 3
    assert mine[1] == usual[1]


def test_unsigned_formats_are_compared_on_magnitudes():
    rows = quality.compare(grids.record_of("flint4u"), [grids.record_of("fp4_e2m1")])
    assert min(row.sqnr_db["Gaussian"] for row in rows) > 15
    (_, other) = quality.compare(grids.record_of("fp4_e2m1"), [grids.record_of("flint4u")])
    assert other.scale == "unsigned"
    assert np.isnan(other.sqnr_db["Gaussian"])


def test_signs_are_known_also_where_elements_have_none():
    expected = {"ue8m0": False, "uint4_g128_zp": True, "gguf_q4_k": True, "uint4": False, "gobo3": True}
    assert {name: quality.signed(catalog.format_(name)) for name in expected} == expected


def test_neighbours_are_the_nearest_by_bits_one_of_each_kind_first():
    all_ = [grids.record_of(name) for name in grids.shipped()]
    found = quality.neighbours(grids.record_of("fp8_e4m3"), all_)
    assert len(found) == 5
    assert {each.bits_per_element for each in found} == {8}
    assert len({each.kind for each in found}) == 5
    assert "fp8_e4m3" not in {each.name for each in found}
    names = {each.name for each in quality.neighbours(grids.record_of("mxfp4"), all_, count=60)}
    assert not names & {"mxfp4", "mxfp4_ceil", "mxfp4_even", "mxfp4_rceil", "ue8m0", "flint4u"}
    distances = [abs(e.bits_per_element - 4.25) for e in quality.neighbours(grids.record_of("mxfp4"), all_, count=60)]
    assert distances == sorted(distances)
    assert not quality.neighbours(grids.record_of("mxfp4"), [])


def test_least_positive_values_are_found_in_every_plain_grid():
    for name in grids.shipped():
        record = grids.record_of(name)
        if not record.scaled and record.bits <= 8:
            assert anatomy.least_positive(registry.grid(record)) == min(v for v in grids.levels(name)[0] if v > 0)
