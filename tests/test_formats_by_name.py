"""Formats and quantizers by name, as a user calls them."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelsimError
from accelsim.numerics import measure

X = np.random.default_rng(5).standard_normal((16, 256))


def test_a_quantizer_takes_names() -> None:
    made = accelsim.quantizer("int4", "group", "mse", length=64, scale="bf16")
    assert made.encode(X).scales.shape == (16, 4)
    plain = accelsim.quantizer("int4", "group", length=64, scale="bf16")
    assert measure(X, made.quantize(X)).mse <= measure(X, plain.quantize(X)).mse
    shifted = accelsim.quantizer("uint4", "channel", zero_point="uint4")
    own = accelsim.quantizer("uint4", "channel")
    assert measure(X + 1, shifted.quantize(X + 1)).mse < measure(X + 1, own.quantize(X + 1)).mse


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: accelsim.quantizer("int4", "group"), "length"),
        (lambda: accelsim.quantizer("int4", "row"), "tensor, channel, group"),
        (lambda: accelsim.quantizer("int4", "tensor", "percentile"), "percentile"),
        (lambda: accelsim.quantizer("mxfp4"), "scales of its own"),
        (lambda: accelsim.quantizer("itn4"), "int4"),
    ],
)
def test_impossible_quantizers_say_what_is_missing(call, told) -> None:
    with pytest.raises(AccelsimError, match=told):
        call()


def test_a_scale_of_a_tensor_is_an_array_without_axes() -> None:
    scales = accelsim.dataformat("int8_tensor").encode(X).scales
    assert isinstance(scales, np.ndarray)
    assert scales.shape == ()


def test_a_product_is_its_values_wherever_an_array_is_expected() -> None:
    made = accelsim.dataformat("fp8_e4m3").matmul(np.ones((2, 3)), np.ones((3, 4)))
    np.testing.assert_array_equal(made, np.full((2, 4), 3.0))
    values, accumulator = made
    assert values.shape == (2, 4)
    assert accumulator.name == "exact"
