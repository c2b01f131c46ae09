from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.quantization import gptq, mse_optimal
from accelsim.quantization.gptq import DAMPING

FORMS = ("int4_channel", "int4_g16", "uint4_g16_zp", "int4_tensor", "mxfp4", "mxfp6_e2m3", "fp4_e2m1_g32", "flint4_g32")


def inputs(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Correlated: a few directions carry most of them."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) * (1 / np.arange(1, width + 1))[:, None]
    return rng.normal(size=(count, width)) @ mixing + 0.05 * rng.normal(size=(count, width))


def literal(weight, hessian, form, damping=DAMPING):
    """The same by solving for what is left, anew for every column: nothing factored, nothing in batches."""
    w, h = weight.astype(np.float64).copy(), hessian.copy()
    h += damping * np.diag(h).mean() * np.eye(len(h))
    length = form.record.length or w.shape[1]
    done = np.empty_like(w)
    for j in range(w.shape[1]):
        if j % length == 0:
            grid = form.encode(w[:, j : j + length])
        # encode the column at the scales that stand, by trying every code
        every = np.arange(1 << form.bits)
        scale = dataformat(form.record.scale).decode(grid.scales.reshape(-1, 1), np.float64)
        values = dataformat(form.record.element).decode(every, np.float64)[None, :]
        if form.record.zero_point:
            values = values - dataformat(form.record.zero_point).decode(grid.mask_or_indices.reshape(-1, 1), np.float64)
        values = np.broadcast_to(values * scale, (w.shape[0], every.size))
        done[:, j] = np.take_along_axis(values, np.abs(values - w[:, j : j + 1]).argmin(1)[:, None], 1)[:, 0]
        inverse = np.linalg.inv(h[j:, j:])
        w[:, j:] -= np.outer((w[:, j] - done[:, j]) / inverse[0, 0], inverse[0])
    return done


@pytest.mark.parametrize("name", FORMS)
def test_it_is_the_column_by_column_procedure(name):
    form, x = dataformat(name), inputs(200, 48)
    weight = np.random.default_rng(1).normal(size=(8, 48))
    made = gptq(weight, x.T @ x, form)
    assert np.allclose(form.decode(made, np.float64), literal(weight, x.T @ x, form), rtol=1e-9, atol=0)
    assert np.array_equal(form.unpack(form.pack(made), made.shape, 1).codes, made.codes)


def test_more_columns_than_a_batch():
    form, x = dataformat("int4_g48"), inputs(600, 300)  # blocks straddle the batches of 128
    weight = np.random.default_rng(2).normal(size=(4, 300))
    made = form.decode(gptq(weight, x.T @ x, form), np.float64)
    assert np.allclose(made, literal(weight, x.T @ x, form), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", FORMS)
def test_with_an_identity_it_rounds_to_nearest(name):
    form = dataformat(name)
    weight = np.random.default_rng(3).normal(size=(16, 64))
    made, plain = gptq(weight, np.eye(64), form), form.encode(weight)
    assert np.array_equal(made.codes, plain.codes)
    assert np.array_equal(made.scales, plain.scales)


@pytest.mark.parametrize("name", [*FORMS, "int3_g32", "int2_channel"])
def test_outputs_are_nearer_than_after_rounding_to_nearest(name):
    form, x = dataformat(name), inputs(500, 64)
    weight = np.random.default_rng(4).normal(size=(32, 64))
    lost = [np.square(x @ (form.decode(made, np.float64) - weight).T).sum()
            for made in (gptq(weight, x.T @ x, form), form.encode(weight))]  # fmt: skip
    assert lost[0] < 0.7 * lost[1]


def test_inputs_that_are_always_zero():
    form, x = dataformat("int4_channel"), inputs(100, 8)
    x[:, 3] = 0
    weight = np.random.default_rng(5).normal(size=(4, 8))
    made = form.decode(gptq(weight, x.T @ x, form), np.float64)
    assert not made[:, 3].any()
    assert np.array_equal(made, form.decode(gptq(weight, 8 * (x.T @ x), form), np.float64))


def test_what_cannot_be_asked_for():
    form = dataformat("int4_channel")
    cases = [
        (np.ones((2, 3)), np.eye(2), form, "weight .out, in. and a Hessian"),
        (np.full((2, 2), np.nan), np.eye(2), form, "must be finite"),
        (np.ones((2, 2)), np.array([[1.0, 3], [3, 1]]), form, "not positive definite"),
        (np.ones((2, 2)), np.eye(2), dataformat("nvfp4"), "block formats without scales of scales"),
        (np.ones((2, 2)), np.eye(2), dataformat("bf16"), "block formats"),
    ]
    for weight, hessian, chosen, message in cases:
        with pytest.raises(RequestError, match=message):
            gptq(weight, hessian, chosen)
    with pytest.raises(RequestError, match="damping = -1"):
        gptq(np.ones((2, 2)), np.eye(2), form, damping=-1)


@pytest.mark.parametrize("name", ["int4_channel", "int4_g32", "int3_tensor", "fp4_e2m1_channel"])
def test_clipping_is_never_worse_in_any_block(name):
    form = dataformat(name)
    clipped = mse_optimal(form)
    x = np.random.default_rng(6).standard_t(3, size=(64, 128))
    length = form.record.length or (x.size if name.endswith("tensor") else 128)
    lost = [np.square(f.quantize(x) - x).reshape(-1, length).sum(1) for f in (clipped, form)]
    assert (lost[0] <= lost[1] * (1 + 1e-12)).all()
    assert lost[0].sum() < 0.95 * lost[1].sum()
    assert clipped.bits_per_element == form.bits_per_element
    with pytest.raises(RequestError, match="clipping is chosen for"):
        mse_optimal(dataformat("mxfp4"))


@pytest.mark.parametrize("name", ["int2_g16", "int4_channel", "int4_tensor", "uint4_g16_zp", "mxfp4"])
def test_columns_by_size_are_the_procedure_on_columns_in_that_order(name):
    form, x = dataformat(name), inputs(200, 64) * np.random.default_rng(9).uniform(0.2, 3, size=64)
    weight, hessian = np.random.default_rng(7).normal(size=(8, 64)), x.T @ x
    made = gptq(weight, hessian, form, by_size=True)
    grid = form.encode(weight)  # scales are those of the weights as they are
    assert np.array_equal(made.scales, grid.scales)
    order = np.argsort(-np.diag(hessian), kind="stable")
    h = hessian + DAMPING * np.diag(hessian).mean() * np.eye(64)
    left, done = weight.copy(), form.decode(made, np.float64)
    scale = dataformat(form.record.scale).decode(grid.scales, np.float64)
    scale = np.broadcast_to(np.repeat(scale, 64 // scale.shape[1], axis=1) if scale.ndim else scale, weight.shape)
    every = dataformat(form.record.element).decode(np.arange(1 << form.bits), np.float64)
    points = 0.0
    if form.record.zero_point:
        points = np.repeat(dataformat(form.record.zero_point).decode(grid.mask_or_indices, np.float64), 16, axis=1)
    shifts = np.broadcast_to(points, weight.shape)
    for at, column in enumerate(order):
        values = (every[None] - shifts[:, [column]]) * scale[:, [column]]
        nearest = np.abs(values - left[:, [column]]).min(axis=1)
        assert np.allclose(np.abs(done[:, column] - left[:, column]), nearest, atol=1e-9)
        inverse = np.linalg.inv(h[np.ix_(order[at:], order[at:])])
        left[:, order[at:]] -= np.outer((left[:, column] - done[:, column]) / inverse[0, 0], inverse[0])
    lost = [np.square(x @ (form.decode(q, np.float64) - weight).T).sum() for q in (made, form.encode(weight))]
    assert lost[0] < 0.6 * lost[1]


def test_scales_that_stand_keep_two_bits_from_growing():
    """Groups whose scales follow columns that make up for others can be worse than rounding to nearest."""
    form, x = dataformat("int2_g16"), inputs(300, 256)
    weight = np.random.default_rng(4).normal(size=(32, 256))

    def lost(encoded):
        return np.square(x @ (form.decode(encoded, np.float64) - weight).T).sum()

    hessian = x.T @ x
    by_size, given = (lost(gptq(weight, hessian, form, by_size=each)) for each in (True, False))
    assert by_size < given
    assert by_size < 0.5 * lost(form.encode(weight))
