"""Methods of quantisation in executions: what they leave alone, and what they are by their own definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelsimError
from accelsim.execution.methods import Calibrated
from accelsim.formats import dataformat
from accelsim.quantization import gptq, kivi
from accelsim.quantization.arithmetic import Split
from accelsim.quantization.methods import METHODS
from tests.execution.families import CONFIGS, model, tokens, weights

TEXT = {"calibration": tokens("llama", 12, 4, seed=5)}


def run(name: str, **settings: Any) -> Any:
    return accelsim.execute(model(name), weights(name), tokens(name), **settings)


def test_there_are_ten() -> None:
    names = "rtn clip smooth gptq awq rotate kivi ant olive split"
    assert list(METHODS) == names.split()
    assert all(each.source for each in METHODS.values())


@pytest.mark.parametrize(
    ("name", "method"),
    [("llama", "smooth"), ("llama", "awq"), ("llama", "rotate"), ("mixtral", "rotate"), ("gpt2", "smooth")],
)  # fmt: skip
def test_what_moves_scales_or_turns_leaves_the_function(name: str, method: str) -> None:
    text = tokens(name, 12, 2, seed=5)
    before, after = (run(name, numerics="fp64", method=each, calibration=text).logits for each in ("rtn", method))
    assert np.abs(after - before).max() <= 1e-9 * np.abs(before).max()


@pytest.mark.parametrize("name", ["llama-gqa", "gpt2", "mixtral"])
def test_inputs_are_those_that_products_read(name: str) -> None:
    """The output of a product is its input times its weight."""
    known = Calibrated(model(name), weights(name), tokens(name, 6, 2))
    prefix, tensor = {
        "gpt2": ("transformer.h.1.", "attn.c_attn"), "mixtral": ("model.layers.1.", "self_attn.q_proj"),
        "llama-gqa": ("model.layers.1.", "self_attn.q_proj"),
    }[name]  # fmt: skip
    seen: dict[tuple[str, int | None, str], Any] = {}
    accelsim.execute(
        model(name), weights(name), tokens(name, 6, 2), numerics="fp32", fuse=False,
        observe=lambda op, layer, out, x: seen.update({(op, layer, out): np.array(x)}),
    )  # fmt: skip
    matrix = known.weights.array(f"{prefix}{tensor}.weight", np.float64)
    found = known.inputs[f"{prefix}{tensor}.weight"]
    q = next(x for (op, layer, out), x in seen.items() if layer == 1 and "q_proj" in op and out == "q")
    made = found @ (matrix[:, : q.shape[1]] if name == "gpt2" else matrix.T)
    bias = known.weights.array(f"{prefix}{tensor}.bias")[: q.shape[1]] if name == "gpt2" else 0
    np.testing.assert_allclose(made + bias, q, atol=1e-4)


@pytest.mark.parametrize(("name", "tensor"), [("llama", "model.layers.1.mlp.down_proj.weight"),
                                              ("gpt2", "transformer.h.1.attn.c_attn.weight")])  # fmt: skip
def test_weights_are_what_the_method_gives(name: str, tensor: str) -> None:
    known = Calibrated(model(name), weights(name), tokens(name, 12, 4))
    form = dataformat("int4_g16")
    chosen = known.choose(METHODS["gptq"], form.record)
    x, w = known.inputs[tensor].astype(np.float64), known.weights.array(tensor, np.float64)
    turned = w.T if name == "gpt2" else w
    wanted = form.decode(gptq(turned, x.T @ x, form, by_size=True))
    found = chosen.weights.array(tensor)
    assert np.array_equal(found.T if name == "gpt2" else found, wanted)
    # executed as they are: the same as their numbers
    settings: dict[str, Any] = {"numerics": "exact", "calibration": tokens(name, 12, 4)}
    made = run(name, weights_format="int4_g16", method="gptq", **settings)
    numbers = {key: chosen.weights.array(key) for key in chosen.weights}
    assert np.array_equal(made.logits, accelsim.execute(model(name), numbers, tokens(name), numerics="exact").logits)


def test_clipping_keeps_the_format_of_plan_and_price() -> None:
    on = {"on": "h100-sxm", "weights_format": "int4_g16"}
    plans = [run("llama", method=method, **on).plan for method in ("rtn", "clip")]
    assert plans[0] == plans[1]
    assert not np.array_equal(*(run("llama", method=method, **on).logits for method in ("rtn", "clip")))


GROUPS = {"kv_cache_format": "uint2_g4_zp", "method": "kivi"}


@pytest.mark.parametrize("name", ["llama-gqa", "mistral-window"])
def test_groups_of_tokens_are_the_same_wherever_the_prompt_is_split(name: str) -> None:
    whole = run(name, numerics="exact", **GROUPS).logits
    for prefill in (1, 4, 7):
        assert whole.tobytes() == run(name, numerics="exact", prefill=prefill, **GROUPS).logits.tobytes(), prefill


def test_groups_of_tokens_are_those_of_kivi() -> None:
    name, seen = "llama-gqa", {}
    run(name, observe=lambda op, layer, out, x: seen.setdefault((layer, out), np.array(x)))
    plain = dict(seen)
    seen.clear()
    run(name, **GROUPS, observe=lambda op, layer, out, x: seen.setdefault((layer, out), np.array(x)))
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        wanted = kivi(plain[0, "k_cache"][:, part], plain[0, "v_cache"][:, part], bits=2, group=4)
        for values, out in zip(wanted.decoded(), ("k_cache", "v_cache"), strict=True):
            np.testing.assert_allclose(seen[0, out][:, part], values, rtol=1e-6)
    found = run(name, **GROUPS).plan
    axes = {(t.name, t.axis) for _, t in found.lines() if t.name in ("k_cache", "v_cache")}
    assert axes == {("k_cache", "tokens"), ("v_cache", "head_dim")}
    with pytest.raises(AccelsimError, match="leave values_along out"):
        run(name, values_along="tokens", **GROUPS)


INT8 = {"weights_format": "int8_channel", "activations_format": "int8_channel"}


@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_outliers_apart_between_their_two_ends(name: str) -> None:
    usual = run(name, on="h100-sxm", **INT8)
    none = run(name, on="h100-sxm", method=replace(Split(), outliers_from=np.inf), **INT8)
    assert np.array_equal(none.logits, usual.logits)
    every = run(name, on="h100-sxm", method=replace(Split(), outliers_from=0.0), **INT8)
    wide = run(name, on="h100-sxm", weights_format="int8_channel")
    same_weights = run(name, numerics="fp64", weights_format="int8_channel").logits
    errors = [np.sqrt(np.square(found.logits - same_weights).mean()) for found in (every, wide, usual)]
    assert errors[0] < 1.2 * errors[1]
    assert errors[0] < errors[2]
    assert any("outlier columns" in text for text in every.warnings)


def test_outliers_need_a_pass_that_finds_them() -> None:
    with pytest.raises(AccelsimError, match="on a GPU or without a chip"):
        run("llama", on="ipu-mk2-8", weights_format="int8_channel", activations_format="int8_channel", method="split")


def test_methods_leave_quantised_weights_alone() -> None:
    given = weights("llama")
    name = "model.layers.0.mlp.up_proj.weight"
    held = {**given, name: dataformat("int8_channel").encode(given[name])}
    with pytest.raises(AccelsimError, match=r"up_proj.weight is int8_channel in the checkpoint already"):
        accelsim.execute(model("llama"), held, tokens("llama"), weights_format="int4_g16", method="clip")


def test_every_family_has_inputs_for_all_its_matrices() -> None:
    for name in CONFIGS:
        known = Calibrated(model(name), weights(name), tokens(name, 4, 2))
        chosen = known.choose(METHODS["gptq"], dataformat("int4_channel").record)
        assert any(chosen.weights.dtype(key) == "int4_channel" for key in chosen.weights)
