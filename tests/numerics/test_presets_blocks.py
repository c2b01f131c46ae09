"""Presets against what their peers gave for blocks: torchao (MX in every scale rule, NVFP4), microxcaling, gfloat."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics import registry
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.shared_exponent import ceiling_of_single, floor_of_single, slack
from tests.numerics import peer_data, peer_inputs, scaled

MX = ("mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2")
RULES = ("floor", "ceil", "even", "rceil")
LEAST = {
    "mxfp4": 2.0**-1, "mxfp6_e2m3": 2.0**-3, "mxfp6_e3m2": 2.0**-4, "mxfp8_e4m3": 2.0**-9, "mxfp8_e5m2": 2.0**-16,
    "mxint8": 2.0**-6,
}  # fmt: skip


def inputs(peer, name):
    return peer_data.checked(peer_inputs.of_block(name, 16 if name == "nvfp4" else 32), peer, name)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MX)
def test_codes_and_scales_are_those_of_torchao(name, rule):
    x, data = inputs("torchao", name), peer_data.of("torchao")
    scales, codes = data[f"torchao/{name}/{rule}/scales"], data[f"torchao/{name}/{rule}/codes"]
    made = dataformat(name, "torchao", scale_rule=rule).encode(x)
    np.testing.assert_array_equal(made.scales, scales)
    lost = np.isnan(x).any(axis=1)
    assert ((scales == 255).all(axis=1) == lost).all()  # codes below a NaN mean nothing: 0 here, anything there
    np.testing.assert_array_equal(made.codes[~lost], codes[~lost])
    plain = dataformat(name, "ocp-saturate", scale_rule=rule).encode(x)
    other = (plain.scales != scales).any(axis=1) | (plain.codes != codes).any(axis=1)
    assert (other & ~lost).sum() >= 4, "the inputs do not tell torchao from the definition"


@pytest.mark.parametrize("given", ["own", "three", "none"])
def test_nvfp4_is_that_of_torchao(given):
    """With the tensor's own scale, with one that is too small, so that blocks clip, and with none, which is 1."""
    x, data, key = inputs("torchao", "nvfp4"), peer_data.of("torchao"), f"torchao/nvfp4/{given}"
    made = dataformat("nvfp4", "torchao")
    scale = data[f"{key}/tensor_scale"]
    got = made.encode(x) if given == "own" else made.encode(x, tensor_scale=float(scale))
    assert got.tensor_scale == scale
    np.testing.assert_array_equal(got.scales, data[f"{key}/scales"])
    lost = np.isnan(x).any(axis=1)
    assert ((got.scales == 0x7F).all(axis=1) == lost).all()
    np.testing.assert_array_equal(got.codes[~lost], data[f"{key}/codes"][~lost])


@pytest.mark.parametrize("name", LEAST)
def test_values_are_those_of_microxcaling_but_for_numbers_just_below_half(name):
    """It has no codes. |x| + 1/2 in fp32 is 1 for the number before 1/2, in units of the smallest element."""
    x, data = inputs("microxcaling", name), peer_data.of("microxcaling")
    theirs = data[f"microxcaling/{name}"]
    made = dataformat(name, "microxcaling")
    got = made.encode(x)
    mine = made.quantize(x)
    scale = np.ldexp(np.float32(1), np.minimum(got.scales.astype(int), 254) - 127)
    before = np.abs(x) == np.nextafter(np.float32(LEAST[name] / 2) * scale, np.float32(0))
    assert before.sum() in (3, 4)
    expected = np.where(before, np.copysign(np.float32(LEAST[name]) * scale, x), mine)
    np.testing.assert_array_equal(expected, theirs)
    assert (mine[before] == 0).all()
    if name != "mxint8":
        np.testing.assert_array_equal(np.signbit(expected)[theirs == 0], np.signbit(theirs)[theirs == 0])
    infinite, nan = np.isinf(x).any(axis=1), np.isnan(x).any(axis=1)
    assert np.isnan(theirs[infinite | nan]).all()
    plain = dataformat(name, Policy(rounding="nearest-away")).quantize(x)
    other = (plain != theirs).any(axis=1) & ~infinite & ~nan
    assert other.sum() >= 20, "the inputs do not tell microxcaling from the definition"


@pytest.mark.parametrize("name", LEAST)
def test_shared_exponents_are_those_of_microxcaling(name):
    x = inputs("microxcaling", name)
    shared = peer_data.of("microxcaling")[f"microxcaling/{name}/shared"]
    made = dataformat(name, "microxcaling")
    largest = int(np.log2(made.values[-1]))
    there = np.isfinite(x).all(axis=1) & (shared - largest <= 127)
    scales = made.encode(x).scales[:, 0].astype(int)
    np.testing.assert_array_equal(scales[there], np.maximum(shared[there] - largest + 127, 0))
    assert (scales[~there] == 255).all()


@pytest.mark.parametrize("name", LEAST)
def test_codes_and_scales_are_those_of_gfloat_but_for_blocks_with_nan(name):
    """It raises an error for NaN where an element has none; else it gives the scale NaN, and elements without sense."""
    x, theirs = inputs("gfloat", name), peer_data.of("gfloat")[f"gfloat/{name}"]
    parameters = {"element": "int8_f6"} if name == "mxint8" else {}
    got = dataformat(name, "gfloat", **parameters).encode(x)
    lost = np.isnan(x).any(axis=1)
    np.testing.assert_array_equal(got.scales[~lost, 0], theirs[~lost, 0])
    np.testing.assert_array_equal(got.codes[~lost], theirs[~lost, 1:])
    assert (got.scales[lost] == 255).all()
    assert (theirs[lost, 0] == (255 if name.startswith("mxfp8") else -1)).all()


@pytest.mark.parametrize("preset", ["torchao", "microxcaling", "gfloat"])
@pytest.mark.parametrize(
    ("name", "rule"),
    [("mxfp4", r) for r in RULES] + [("mxfp8_e4m3", "rceil"), ("mxint8", "floor"), ("mxfp8_e5m2", "floor")],
)
def test_the_array_path_is_the_reference(preset, name, rule):
    rows = peer_inputs.of_block(name)[::23]
    record = dataformat(name, scale_rule=rule).record
    with np.errstate(invalid="ignore"):  # signalling NaNs
        wide = rows.astype(np.float64) * (1 + 2.0**-40)
    ends = np.array([[2.0**e * (1 - s * 2.0**-26) for e in (-1000, -64, 64, 100, 1000) for s in (-90, -1, 1, 90)]])
    mixed = np.array([[np.inf, 2.0**200, -1.0], [-np.inf, 0.0, 0.0]])
    scaled.assert_equal_to_reference(record, preset, [rows, wide, ends, mixed, np.repeat(ends.T, 2, axis=1)])


def test_logarithms_in_fp32_are_those_of_exact_ones_rounded():
    """By another way: 2^(k -+ h) is compared by powers of whole numbers, h being half a step of fp32 beside k."""
    for k in (100, 64, 63, 9, 8, 1, -1, -5, -8, -126, 127, 0):
        here = np.float32(k)
        for below in (True, False):
            beside = np.nextafter(here, np.float32(-999 if below else 999))
            h = abs(Fraction(float(here)) - Fraction(float(beside))) / 2
            edge = slack(k, below)
            if k == 0:
                assert edge == 0
                continue
            assert h.numerator == 1
            inside, outside = edge * (1 - Fraction(1, 1 << 80)), edge * (1 + Fraction(1, 1 << 80))
            for part, near in ((inside, True), (outside, False)):
                ratio = Fraction(round((1 - part if below else 1 + part) * (1 << 200)), 1 << 200)
                # ratio >= 2^-h, or <= 2^h: squared until h is 1, which 240 bits stand
                for _ in range(h.denominator.bit_length() - 1):
                    ratio = Fraction(round(ratio * ratio * (1 << 240)), 1 << 240)
                assert (ratio >= Fraction(1, 2) if below else ratio <= 2) == near
                x = (1 - part if below else 1 + part) * Fraction(2) ** k
                assert (floor_of_single if below else ceiling_of_single)(x) == (
                    k if near else k - 1 if below else k + 1
                )


def test_peculiar_blocks_are_for_formats_that_share_an_exponent():
    with pytest.raises(RequestError, match="nvfp4 has no blocks that share an exponent"):
        dataformat("nvfp4", Policy(blocks="torchao"))
    with pytest.raises(RequestError, match="fp8_e4m3 has no blocks"):
        dataformat("fp8_e4m3", Policy(blocks="microxcaling"))
    assert dataformat("nvfp4", "torchao").policy.blocks == "exact"
    assert registry.codec(dataformat("mxfp4").record, "torchao").policy.blocks == "torchao"
