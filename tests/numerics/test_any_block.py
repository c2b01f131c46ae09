"""Any element under any scale in blocks of any length along any axis, by a TOML: odd ones, against the reference."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from accelsim.errors import RequestError
from tests.numerics.scaled import assert_equal_to_reference, assert_packs, inputs

# element, scale, rule, elements of a block (or what shares a scale), more keys
ODD = [
    ("posit8", "ue5m3", "absmax", 24, {}),
    ("posit6", "ue5m3", "mean", 24, {}),
    ("flint4", "posit16", "absmax", 7, {}),
    ("nf4", "takum16", "absmax", 17, {}),
    ("takum12", "fp32", "mean", 5, {}),
    ("hif8", "ue8m0", "floor", 32, {}),
    ("hif8", "ue8m0", "rceil", 11, {}),
    ("int3", "uint8", "absmax", 16, {}),
    ("int5_symmetric", "ue6m2", "power_of_two", 20, {}),
    ("lns8", "ue8m0", "rceil", 9, {}),
    ("dybit4", "bf16", "percentile", 50, {"percentile": 90.0}),
    ("binary8p4se", "binary8p1uf", "rceil", 12, {}),
    ("ternary_packed", "fp8_e5m2", "mean", 25, {}),
    ("abfloat4", "fp16", "absmax", 10, {}),
    ("uint4", "ue4m3", "absmax", 20, {"zero_point": "uint4"}),
    ("int6", "fp8_e3m4", "absmax", 13, {"zero_point": "int6"}),
    ("fp4_e2m1", "ue4m3", "absmax", 6, {"scale_length": 3, "scale_scale": "bf16"}),
    ("pot4", "ue8m0", "power_of_two", "tensor", {}),
    ("cfloat16_uhp", "fp16", "absmax", "channel", {}),
    ("e0m3", "e5m1", "ceil", 1, {}),
    ("tf32", "tf32", "even", 3, {}),
]
IDS = [f"{element}-{scale}-{rule}-{length}" for element, scale, rule, length, _ in ODD]


def made(folder, element, scale, rule, length, more):
    """The format of a file."""
    shared = f"length = {length}" if isinstance(length, int) else f'granularity = "{length}"'
    lines = [
        "# An odd one.", 'name = "odd"', 'kind = "block"', f'element = "{element}"', shared, f'scale = "{scale}"',
        f'scale_rule = "{rule}"', *(f"{key} = {value!r}" for key, value in more.items()), 'source = "a test"',
        'status = "assumed"',
    ]  # fmt: skip
    (folder / "odd.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return accelsim.dataformat(folder / "odd.toml")


@pytest.mark.parametrize("odd", ODD, ids=IDS)
def test_equals_the_reference(odd, tmp_path):
    form = made(tmp_path, *odd)
    for dtype in (np.float32, np.float64):
        assert_equal_to_reference(form.record, arrays=inputs(dtype, n=53)[:7])


@pytest.mark.parametrize("odd", ODD, ids=IDS)
def test_any_axis(odd, tmp_path):
    form = made(tmp_path, *odd)
    x = np.random.default_rng(8).normal(size=(5, 4, 31)).astype(np.float32)
    for axis in (0, 1, 2):
        encoded = form.encode(x, axis=axis)
        assert_packs(form, encoded)
        last = form.encode(np.moveaxis(x, axis, -1))
        np.testing.assert_array_equal(np.moveaxis(form.decode(encoded), axis, -1), form.decode(last))


def test_posits_under_a_scale_of_five_and_three_by_hand(tmp_path):
    """The mean magnitude of the block is 3: the scale is 3, and 1, 2 and 6 thirds are 11/32, 21/32 and 2 in posit8."""
    form = made(tmp_path, "posit8", "ue5m3", "mean", 24, {})
    x = np.array([1.0, 2.0, 6.0] * 8 + [0.5], np.float32)
    found = form.encode(x)
    scale = accelsim.dataformat("ue5m3")
    assert scale.decode(found.scales).tolist() == [3, 0.5]
    third, two_thirds = accelsim.dataformat("posit8").quantize(np.array([1 / 3, 2 / 3])).tolist()
    assert form.decode(found)[[0, 1, 2, 24]].tolist() == [3 * third, 3 * two_thirds, 6, 0.5]
    assert form.bits_per_element == 8 + 8 / 24


def test_what_has_no_mantissa_has_no_even_rule(tmp_path):
    with pytest.raises(Exception, match="mantissa") as found:
        made(tmp_path, "posit8", "ue8m0", "even", 32, {})
    assert not isinstance(found.value, RequestError)
