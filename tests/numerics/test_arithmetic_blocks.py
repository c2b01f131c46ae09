"""Products of formats with scales, from encoding to result."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from accelsim import dataformat
from accelsim.errors import RequestError
from accelsim.numerics.accumulator import accumulator
from accelsim.numerics.arithmetic import operand
from accelsim.numerics.arithmetic.slow import as_float, number
from accelsim.numerics.reference.arithmetic import Segment, dot


def data(*shape: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) * 2.0 ** random.integers(-3, 4, shape)


def exactly(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    made = np.empty((a.shape[0], b.shape[1]), dtype=np.float32)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            terms = (Fraction(x) * Fraction(y) for x, y in zip(a[i].tolist(), b[:, j].tolist(), strict=True))
            made[i, j] = as_float(sum(terms, Fraction(0)))
    return made


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3", "mxfp6_e2m3", "mxint8", "int4_g128", "int8_g16", "mx6"])
def test_exact_products_of_blocks_are_those_of_decoded_values(name: str) -> None:
    f = dataformat(name)
    a, b = f.encode(data(3, 70), axis=-1), f.encode(data(70, 4, seed=1), axis=0)
    want = exactly(f.decode(a, dtype=np.float64), f.decode(b, dtype=np.float64))
    assert np.array_equal(f.matmul(a, b).values, want)
    assert np.array_equal(f.matmul(data(3, 70), data(70, 4, seed=1)).values, want)


@pytest.mark.parametrize("name", ["fp32", "fp16", "fp16-tree2", "bf16-lanes2", "e8m13-truncate"])
@pytest.mark.parametrize(("left", "right"), [("mxfp4", "mxfp8_e4m3"), ("int4_g128", "mxint8"), ("int8_g16", "mxfp4")])
def test_rounding_accumulators_add_segments(name: str, left: str, right: str) -> None:
    f, g = dataformat(left), dataformat(right)
    x, y = f.encode(data(3, 80), axis=-1), g.encode(data(80, 4, seed=1), axis=0)
    made = f.matmul(x, y, accumulator=name).values
    a, b = operand(x, f, -1), operand(y, g, -2)
    assert a.scales is not None
    assert b.scales is not None
    ends = sorted({80, *range(0, 80, a.length), *range(0, 80, b.length)})
    for i in range(3):
        for j in range(4):
            segments = [
                Segment(
                    [number(v) for v in a.values[i, start:stop].tolist()],
                    [number(v) for v in b.values[start:stop, j].tolist()],
                    number(float(a.scales[i, start // a.length])),
                    number(float(b.scales[start // b.length, j])),
                    scaled=True,
                )
                for start, stop in pairwise(ends)
            ]
            assert made[i, j] == np.float32(as_float(dot(segments, accumulator(name))))


def test_nvfp4_multiplies_its_tensor_scales_at_the_end_in_fp32() -> None:
    f = dataformat("nvfp4")
    x, y = f.encode(data(3, 64), axis=-1), f.encode(data(64, 4, seed=1), axis=0)
    a, b = operand(x, f, -1), operand(y, f, -2)
    assert (a.length, a.end, b.end) == (16, x.tensor_scale, y.tensor_scale)
    wide_a = a.values * np.repeat(a.scales, 16, axis=1)
    wide_b = b.values * np.repeat(b.scales, 16, axis=0)
    scale = np.float32(x.tensor_scale) * np.float32(y.tensor_scale)
    assert np.array_equal(f.matmul(x, y).values, exactly(wide_a, wide_b) * scale)


def test_scales_of_tensors_and_channels_multiply_at_the_end() -> None:
    for name in ("int8_tensor", "int8_channel"):
        f = dataformat(name)
        x, y = f.encode(data(3, 20), axis=-1), f.encode(data(20, 4, seed=1), axis=0)
        a, b = operand(x, f, -1), operand(y, f, -2)
        assert a.scales is None
        sums = (a.values @ b.values).astype(np.float32)
        scale = a.end.astype(np.float32) * b.end.astype(np.float32)
        assert np.array_equal(f.matmul(x, y, accumulator="int32").values, sums * scale)


def test_a_preset_aligns_by_scales_and_elements() -> None:
    f = dataformat("mxfp8_e4m3")
    a = np.zeros((1, 64))
    a[0, 0], a[0, 32] = 2.0**20, 2.0**-20
    made = f.matmul(a, np.ones((64, 1)), accumulator="blackwell-fp8").values
    assert made == 2.0**20  # the second group loses what is 2^-40 of the first sum
    assert f.matmul(a, np.ones((64, 1)), out="e8m23").values == np.float32(2.0**20)


def test_blocks_lie_along_k() -> None:
    f = dataformat("mxfp4")
    wrong = f.encode(data(64, 32), axis=1)
    with pytest.raises(RequestError, match=r"encoded along axis 1, but k is axis 0"):
        f.matmul(data(3, 64), wrong)
    made = f.matmul(data(3, 64), wrong, requantize=True).values
    assert np.array_equal(made, f.matmul(data(3, 64), f.decode(wrong)).values)


def test_dot_of_blocks_equals_a_matrix_product() -> None:
    f = dataformat("mxfp4")
    x, y = data(2, 64), data(2, 64, seed=1)
    made = f.dot(f.encode(x), f.encode(y), accumulator="fp16").values
    assert made.shape == (2,)
    assert made[1] == f.matmul(x[1:], y[1][:, None], accumulator="fp16").values[0, 0]


def test_a_nan_scale_makes_its_row_nan() -> None:
    f = dataformat("mxfp4")
    x = data(3, 64)
    x[1, 40] = np.nan
    for name in ("exact", "fp32", "blackwell-fp4"):
        made = f.matmul(x, data(64, 2), accumulator=name).values
        assert np.isnan(made[1]).all()
        assert np.isfinite(made[[0, 2]]).all()


def test_promotion_multiplies_block_scales_in_fp32() -> None:
    f = dataformat("fp8_e4m3_g128")
    x, y = data(2, 256), data(256, 3, seed=1)
    made = f.matmul(x, y, accumulator="hopper-fp8-promote128").values
    assert np.allclose(made, f.matmul(x, y).values, rtol=2e-3, atol=1e-2)
    with pytest.raises(RequestError, match="promotions after 128"):
        dataformat("fp8_e4m3_g64").matmul(x, y, accumulator="hopper-fp8-promote128")


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "int4_g128", "int8_channel", "int8_tensor", "mx6"])
def test_no_terms_give_c_with_scales_too(name: str) -> None:
    f = dataformat(name)
    a, b = f.encode(np.ones((2, 0)), axis=1), f.encode(np.ones((0, 3)), axis=0)
    for accumulator_ in ("exact", "fp16-tree", "hopper-fp8"):
        made = f.matmul(a, b, accumulator=accumulator_, c=[1.0, 2.0, 3.0]).values
        assert np.array_equal(made, [[1, 2, 3]] * 2)
        assert np.array_equal(f.matmul(a, b, accumulator=accumulator_).values, np.zeros((2, 3)))


@pytest.mark.parametrize(("left", "right"), [("mxfp4", "nvfp4"), ("int4_g128", "mxfp8_e4m3"), ("mx6", "int8_channel")])
def test_exact_products_of_different_blocks(left: str, right: str) -> None:
    f, g = dataformat(left), dataformat(right)
    x, y = f.encode(data(3, 83)), g.encode(data(83, 4, seed=1), axis=0)
    a, b = operand(x, f, -1), operand(y, g, -2)
    wide_a = a.values if a.scales is None else a.values * np.repeat(a.scales, a.length, axis=1)[:, :83]
    wide_b = b.values if b.scales is None else b.values * np.repeat(b.scales, b.length, axis=0)[:83]
    want = exactly(wide_a, wide_b)
    for end in (a.end, b.end):
        want = want if end is None else want * np.float32(end)
    assert np.array_equal(f.matmul(x, y).values, want)


def test_dot_rounds_again_only_where_it_is_told() -> None:
    f = dataformat("mxfp4")
    x, y = data(64, 3), data(64)
    wrong = f.encode(x, axis=0)
    with pytest.raises(RequestError, match="requantize=True"):
        f.dot(wrong, y[:3])
    made = f.dot(wrong, np.ones(3), requantize=True).values
    assert np.array_equal(made, f.dot(f.decode(wrong), np.ones(3)).values)
