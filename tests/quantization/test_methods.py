"""Each method by itself, and on the shipped model with outliers: better than rounding to nearest where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.quantization import (
    awq_factors,
    gptq,
    hadamard,
    int8_with_outliers,
    kivi,
    mse_optimal,
    rotated,
    smooth_factors,
)
from accelsim.weights import Checkpoint, rescaled, shipped
from accelsim.weights.checkpoint import made
from accelsim.weights.rescaling import norm_readers
from tests.execution.truth import cases, plain
from tests.weights.measuring import CONFIG, WINDOW, bits, numbers

RNG = np.random.default_rng(8)
WINDOWS = 8  # of held-out text; what is chosen is chosen on as many of the calibration text


def held(name: str) -> Checkpoint:
    return Checkpoint({key: made(value) for key, value in cases.weights(name).items()}, origin="made")


def inputs_of(weights):
    """What every matrix of the shipped model reads on calibration text, [tokens, in]."""
    seen = {}

    def watch(name, x):
        seen[name] = x.reshape(-1, x.shape[-1])
        return x

    given = np.frombuffer(shipped.text("calibration")[: WINDOWS * WINDOW], np.uint8).reshape(WINDOWS, WINDOW)
    plain.forward(CONFIG, weights, given, watch, np.float32)
    return seen


@pytest.fixture(scope="module")
def model():
    return catalog.model(shipped.MODEL)


@pytest.fixture(scope="module")
def marked():
    return shipped.shipped("tiny-llama-outliers")


@pytest.fixture(scope="module")
def inputs(marked):
    return inputs_of(numbers(marked))


def loss(weights, watch=lambda name, x: x, cached=lambda name, x: x) -> float:
    return float(bits(weights, shipped.text("heldout"), WINDOWS, watch, cached).mean())


def int8_tensor(name, x):
    return dataformat("int8_tensor").quantize(x)


# transforms change nothing


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_smoothing_leaves_the_function(name):
    model = cases.model(name)
    factors = {norm: RNG.uniform(0.1, 9, model.hidden) for norm, _ in norm_readers(model)}
    tokens = cases.tokens(name)
    before = plain.forward(cases.CONFIGS[name], cases.weights(name), tokens)
    after = plain.forward(cases.CONFIGS[name], rescaled(held(name), model, factors), tokens)
    assert np.abs(after - before).max() < 1e-9 * np.abs(before).max()


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3", "mixtral"])
def test_rotation_leaves_the_function(name):
    model, tokens = cases.model(name), cases.tokens(name)
    turned = rotated(held(name), model, seed=4)
    before = plain.forward(cases.CONFIGS[name], cases.weights(name), tokens)
    after = plain.forward(cases.CONFIGS[name], turned, tokens)
    assert np.abs(after - before).max() < 1e-9 * np.abs(before).max()
    tensor = "model.layers.0.self_attn.o_proj.weight"
    assert np.abs(turned.array(tensor, np.float64) - cases.weights(name)[tensor]).max() > 0.01


def test_rotation_of_the_shipped_model_leaves_the_function(model, marked):
    given = np.frombuffer(shipped.text("calibration")[:64], np.uint8)
    wide = {name: marked.array(name, np.float64) for name in marked}
    before, after = (plain.forward(CONFIG, weights, given) for weights in (wide, rotated(marked, model)))
    assert np.abs(after - before).max() < 1e-9 * np.abs(before).max()


@pytest.mark.parametrize("width", [1, 2, 3, 12, 16, 48, 128, 96])
def test_hadamard_is_orthogonal_and_flat(width):
    made = hadamard(width, seed=1)
    assert np.allclose(made @ made.T, np.eye(width), atol=1e-12)
    assert np.abs(made).max() <= np.sqrt(2 / width) + 1e-12
    if width & (width - 1) == 0:
        assert np.allclose(np.abs(made), width**-0.5)


def test_what_cannot_be_turned_or_scaled():
    with pytest.raises(RequestError, match="only models with RMS norms"):
        rotated(held("gpt2"), cases.model("gpt2"))
    with pytest.raises(RequestError, match="lm_head that is tied"):
        rotated(held("llama-gqa"), cases.model("llama-gqa"))
    with pytest.raises(RequestError, match="no norm 'x'"):
        rescaled(held("llama"), cases.model("llama"), {"x": np.ones(48)})
    with pytest.raises(RequestError, match="48 positive numbers"):
        rescaled(held("llama"), cases.model("llama"), {"model.layers.0.input_layernorm": np.zeros(48)})
    with pytest.raises(RequestError, match="width = 0"):
        hadamard(0)


# LLM.int8


def test_outliers_apart_between_its_two_ends():
    x, w = RNG.normal(size=(20, 64)), RNG.normal(size=(16, 64))
    x[:, 5] *= 40
    half = dataformat("fp16")
    assert np.array_equal(int8_with_outliers(x, w, 0), half.quantize(x) @ half.quantize(w).T)
    int8 = dataformat("int8_channel")
    plain8 = int8.quantize(x) @ int8.quantize(w).T
    assert np.allclose(int8_with_outliers(x, w, np.inf), plain8, rtol=1e-12, atol=1e-12)
    errors = [np.abs(int8_with_outliers(x, w, threshold) - x @ w.T).max() for threshold in (6, np.inf)]
    assert errors[0] < errors[1] / 5
    for bad in ((x, w[:, 1:], 6), (x, w, -1), (x * np.nan, w, 6)):
        with pytest.raises(RequestError):
            int8_with_outliers(*bad)


def test_outliers_apart_on_the_shipped_model(marked, inputs):
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.3.mlp.gate_proj"):
        x, w = inputs[name].astype(np.float64), marked.array(name + ".weight", np.float64)
        errors = [np.square(int8_with_outliers(x, w, threshold) - x @ w.T).mean() for threshold in (6, np.inf)]
        assert errors[0] < errors[1]


# keys and values


def test_kivi_is_its_formats_and_keeps_what_is_late():
    k, v = RNG.normal(size=(2, 70, 32))
    k[:, 3] *= 30
    made = kivi(k, v, bits=2, group=32)
    form = dataformat("uint2_g32_zp")
    keys, values = made.decoded()
    assert np.array_equal(keys[:64], form.quantize(k[:64].T).T)
    assert np.array_equal(values[:64], form.quantize(v[:64]))
    assert np.array_equal(keys[64:], k[64:])
    assert np.array_equal(values[64:], v[64:])
    assert made.nbytes == 2 * form.storage_bytes((64, 32)) + 2 * 2 * 6 * 32
    # a large channel is nobody else's scale
    along = form.quantize(k[:64])
    others = np.arange(32) != 3
    assert np.square(keys[:64] - k[:64])[:, others].mean() < 0.25 * np.square(along - k[:64])[:, others].mean()
    for bad in ({"bits": 1}, {"group": 0}):
        with pytest.raises(RequestError):
            kivi(k, v, **bad)
    with pytest.raises(RequestError):
        kivi(k, v[:5])


def test_kivi_on_the_shipped_model(marked):
    def tokenwise(name, x):
        return dataformat("uint2_g32_zp").quantize(x)

    def both(name, x):
        if name.endswith("values"):
            return tokenwise(name, x)
        return np.stack([[kivi(head, head).decoded()[0] for head in window] for window in x]).astype(np.float32)

    weights = numbers(marked)
    usual = loss(weights)
    assert loss(weights, cached=both) - usual < loss(weights, cached=tokenwise) - usual


# choices of type


def test_ant_chooses_the_best_of_its_types():
    ant, forms = dataformat("ant4"), ("int4_symmetric", "flint4", "pot4", "fp4_e2m1")
    for x in (RNG.uniform(-1, 1, (8, 256)), RNG.standard_t(3, (8, 256)), RNG.laplace(size=(8, 256))):
        errors = [np.square(dataformat(form + "_tensor").quantize(x) - x).mean() for form in forms]
        assert np.square(ant.quantize(x) - x).mean() <= min(errors) * (1 + 1e-6)


def test_olive_keeps_the_bits_per_element():
    form, x = dataformat("olive4"), RNG.normal(size=(64, 128))
    x[RNG.random(x.shape) < 0.002] *= 20
    assert form.bits_per_element == 4
    assert form.encode(x).nbytes == x.size // 2 + 4
    olive, plain4 = (np.square(f.quantize(x) - x).mean() for f in (form, dataformat("int4_tensor")))
    assert olive < plain4


# the shipped model with outliers, each method in its own setting


def test_smoothing_and_rotation_help_one_scale_per_tensor(model, marked, inputs):
    weights = numbers(marked)
    factors = {}
    for norm, readers in norm_readers(model):
        first = readers[0].removesuffix(".weight")
        s = smooth_factors(np.abs(inputs[first]).max(0), [marked.array(name) for name in readers])
        factors[norm] = 1 / s
    smooth = numbers(rescaled(marked, model, factors))
    turned = numbers(rotated(marked, model))
    usual = loss(weights)
    nearest, smoothed, rotation = (loss(w, int8_tensor) - usual for w in (weights, smooth, turned))
    assert smoothed < nearest / 4
    assert rotation < nearest / 4


def rounded(marked, change):
    """The weights with every matrix of the layers through `change(name, array)`."""
    return {
        name: change(name, value).astype(np.float32) if ".layers." in name and value.ndim == 2 else value
        for name, value in numbers(marked).items()
    }


def test_gptq_and_clipping_help_weights_with_a_scale_per_tensor(marked, inputs):
    form = dataformat("int3_tensor")
    usual = loss(numbers(marked))

    def corrected(name, w):
        x = inputs[name.removesuffix(".weight")].astype(np.float64)
        return form.decode(gptq(w, x.T @ x, form))

    lost = {
        "nearest": loss(rounded(marked, lambda _, w: form.quantize(w))) - usual,
        "gptq": loss(rounded(marked, corrected)) - usual,
        "mse": loss(rounded(marked, lambda _, w: mse_optimal(form).quantize(w))) - usual,
    }
    assert lost["nearest"] > 0.1
    assert lost["gptq"] < 0.7 * lost["nearest"], lost
    assert lost["mse"] < 0.7 * lost["nearest"], lost


def test_awq_helps_weights_with_a_scale_per_channel(model, marked, inputs):
    form = dataformat("int3_channel")
    factors = {}
    for norm, readers in norm_readers(model):
        x = inputs[readers[0].removesuffix(".weight")][::4]
        factors[norm] = 1 / awq_factors(x, [marked.array(name) for name in readers], form, steps=10)
    salient = rescaled(marked, model, factors)
    nearest, aware = (loss(rounded(found, lambda _, w: form.quantize(w))) for found in (marked, salient))
    assert nearest - loss(numbers(marked)) > 0.05
    assert aware < nearest - 0.01


@pytest.mark.parametrize("name", ["int3_channel", "int3_g32", "mxfp4"])
def test_gptq_makes_the_outputs_of_every_matrix_nearer(marked, inputs, name):
    form = dataformat(name)
    for layer in ("0.self_attn.q_proj", "1.self_attn.o_proj", "2.mlp.up_proj", "3.mlp.down_proj"):
        x, w = inputs[f"model.layers.{layer}"].astype(np.float64), marked.array(f"model.layers.{layer}.weight")
        lost = [
            np.square(x @ (form.decode(q, np.float64) - w).T).sum() for q in (gptq(w, x.T @ x, form), form.encode(w))
        ]
        assert lost[0] < 0.7 * lost[1], layer


def test_factors_that_cannot_be_made():
    with pytest.raises(RequestError, match="alpha = 2"):
        smooth_factors(np.ones(3), [np.ones((2, 3))], alpha=2)
    with pytest.raises(RequestError, match="as many inputs"):
        smooth_factors(np.ones(3), [np.ones((2, 4))])
    with pytest.raises(RequestError, match="inputs"):
        awq_factors(np.ones(3), [np.ones((2, 3))], dataformat("int4_channel"))
    assert smooth_factors([4.0, 0], [np.array([[1.0, 2], [-4, 0]])]).tolist() == [1, 1]
