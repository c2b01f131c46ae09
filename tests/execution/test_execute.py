"""Logits of every family: by definition, with and without a cache, in every reference mode."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from accelsim.execution import run
from tests.execution.families import CONFIGS, logits, model, tokens, weights

NAMES = sorted(CONFIGS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fuse", [True, False])
def test_float64_gives_the_logits_of_the_definition(name: str, fuse: bool) -> None:
    given, fed = weights(name), tokens(name)
    found = accelsim.execute(model(name), given, fed, numerics="fp64", fuse=fuse)
    want = logits(name, given, fed[0])
    assert found.logits.dtype == np.float64
    np.testing.assert_allclose(found.logits[0], want, rtol=0, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_1e_5_of_the_largest_logit(name: str) -> None:
    given, fed = weights(name), tokens(name)
    found = accelsim.execute(model(name), given, fed, numerics="fp32", prefill=4)
    want = logits(name, given, fed[0])
    assert found.logits.dtype == np.float32
    np.testing.assert_allclose(found.logits[0], want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("name", NAMES)
def test_exact_decode_equals_prefill_bit_for_bit_wherever_the_prompt_is_split(name: str) -> None:
    given, fed = weights(name), tokens(name, count=9, batch=2)
    the_model = model(name)
    whole = accelsim.execute(the_model, given, fed, numerics="exact").logits
    for prefill in range(1, fed.shape[1]):
        split = accelsim.execute(the_model, given, fed, numerics="exact", prefill=prefill).logits
        assert split.tobytes() == whole.tobytes()


@pytest.mark.parametrize("numerics", ["hopper-fp8", "hopper-bf16", "dfx-fp16", "aim-bf16", "fp32", "quire16"])
@pytest.mark.parametrize("tile", [None, 4])
def test_decode_equals_prefill_with_the_accumulators_of_machines_too(numerics: str, tile: int | None) -> None:
    """Scales are per token, blocks of K and V lie along head_dim, tiles start at position 0."""
    name = "llama-gqa"
    given, fed, the_model = weights(name), tokens(name, count=7), model(name)
    formats = {"weights_format": "int8_channel", "activations_format": "int8_channel", "kv_cache_format": "fp8_e4m3"}
    if numerics in ("dfx-fp16", "aim-bf16"):  # sums of int8 codes are beyond fp16
        formats |= {"weights_format": "fp16", "activations_format": "fp16"}
    whole = accelsim.execute(the_model, given, fed, numerics=numerics, tile=tile, **formats)
    for prefill in (1, 5):
        split = accelsim.execute(the_model, given, fed, numerics=numerics, tile=tile, prefill=prefill, **formats)
        assert split.logits.tobytes() == whole.logits.tobytes()


@pytest.mark.parametrize("name", ["mixtral", "mistral-window", "llama-gqa"])
def test_exact_decode_equals_prefill_in_narrow_formats_wherever_the_prompt_is_split(name: str) -> None:
    """Scales per token and per channel; experts, windows and grouped heads; tiles start at position 0."""
    given, fed, the_model = weights(name), tokens(name, count=9), model(name)
    formats = {"weights_format": "int4_g32", "activations_format": "mxfp8_e4m3", "kv_cache_format": "mxfp8_e4m3"}
    whole = accelsim.execute(the_model, given, fed, numerics="exact", tile=4, **formats).logits
    for prefill in range(1, 9):
        split = accelsim.execute(the_model, given, fed, numerics="exact", tile=4, prefill=prefill, **formats)
        assert split.logits.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ["llama-gqa", "mistral-window", "gpt2"])
def test_fused_equals_unfused_within_the_error_of_the_sums(name: str) -> None:
    """Online softmax scales partial sums once per tile: at most (tiles + 4) roundings of P V and of the sum."""
    given, fed, the_model = weights(name), tokens(name, count=16), model(name)
    unfused = accelsim.execute(the_model, given, fed, numerics="fp32", fuse=False).logits
    exact = accelsim.execute(the_model, given, fed, numerics="exact").logits
    largest = np.abs(unfused).max()
    found = [accelsim.execute(the_model, given, fed, numerics="fp32", tile=tile).logits for tile in (None, 1, 4, 8)]
    for fused in found:
        assert np.abs(fused - unfused).max() <= 1e-5 * largest
        assert np.abs(fused - exact).max() <= 1e-5 * largest
    assert any(not np.array_equal(found[0], other) for other in found[1:])  # the order of tiles is real


def test_generation_is_greedy_and_goes_on_from_the_cache() -> None:
    name = "qwen2"
    given, fed, the_model = weights(name), tokens(name, count=5, batch=2), model(name)
    found = accelsim.execute(the_model, given, fed, generate=4)
    assert found.tokens.shape == (2, 9)
    assert found.logits.shape == (2, 8, the_model.vocabulary)
    again = accelsim.execute(the_model, given, found.tokens[:, :-1])
    assert again.logits.tobytes() == found.logits.tobytes()
    assert np.array_equal(found.tokens[:, 5:], np.argmax(again.logits[:, 4:], axis=-1))


def test_greedy_takes_the_lowest_among_equals() -> None:
    logits = np.zeros((2, 3, 7), dtype=np.float32)
    logits[0, -1, [2, 5]] = 1
    logits[1, 0, 6] = 9  # an earlier position decides nothing
    assert run.greedy(logits).tolist() == [[2], [0]]


def test_overrides_change_single_tensors() -> None:
    name = "llama"
    given, fed, the_model = weights(name), tokens(name), model(name)
    plain = accelsim.execute(the_model, given, fed, numerics="exact", weights_format="int4_channel")
    kept = accelsim.execute(
        the_model, given, fed, numerics="exact", weights_format="int4_channel", overrides={"down_proj.weight": "fp32"}
    )
    want = accelsim.execute(the_model, given, fed, numerics="fp64").logits
    assert np.square(kept.logits - want).sum() < np.square(plain.logits - want).sum()


def test_weights_that_are_quantised_already_are_not_rounded_again() -> None:
    name = "llama"
    given, fed, the_model = weights(name), tokens(name), model(name)
    form = accelsim.dataformat("mxfp4")
    encoded = {
        tensor: form.encode(value, axis=1) if "proj" in tensor else value for tensor, value in given.items()
    }  # fmt: skip
    found = accelsim.execute(the_model, encoded, fed, numerics="exact")
    want = accelsim.execute(the_model, given, fed, numerics="exact", weights_format="mxfp4", overrides={})
    decoded = {t: form.decode(v) if "proj" in t else v for t, v in encoded.items()}
    assert found.logits.tobytes() == accelsim.execute(the_model, decoded, fed, numerics="exact").logits.tobytes()
    assert found.logits.shape == want.logits.shape


def test_what_a_format_clips_is_counted() -> None:
    name = "llama"
    given = weights(name)
    given["model.layers.0.mlp.up_proj.weight"] = given["model.layers.0.mlp.up_proj.weight"] * 1e4
    found = accelsim.execute(model(name), given, tokens(name), activations_format="fp8_e4m3")
    assert any("up" in text and "% of the elements" in text for text in found.warnings)


@pytest.mark.parametrize("numerics", ["quire8", "quire16-es1"])
def test_quires_take_posits(numerics: str) -> None:
    """Every operand of a product is rounded to the posit whose products the register holds, P among them."""
    name = "llama-gqa"
    given, fed = weights(name), tokens(name, count=6)
    found = accelsim.execute(model(name), given, fed, numerics=numerics, weights_format="posit8", tile=4)
    unit = found.plan.find("prefill", "lm_head").unit
    assert unit.first.name == unit.second.name == numerics.replace("quire", "posit").replace("-", "_")
    assert np.isfinite(found.logits).all()
    other = accelsim.execute(model(name), given, fed, numerics="exact", weights_format="posit8", tile=4)
    assert not np.array_equal(found.logits, other.logits)


def test_half_precision_lanes_add_squares_beyond_their_range_and_say_so() -> None:
    """32 squares of 100 are beyond 65,504: the norm of such a token is 0; the others keep the digits of fp16."""
    given, fed = weights("llama"), np.array([[3, 5, 7, 11]])
    settings = dict.fromkeys(("weights_format", "activations_format", "kv_cache_format"), "fp16")
    quiet = accelsim.execute(model("llama"), given, fed, on="dfx-u280-1", **settings)
    exact = accelsim.execute(model("llama"), given, fed, numerics="fp64").logits
    noise = ((quiet.logits - exact) ** 2).sum(-1)
    assert (10 * np.log10((exact**2).sum(-1) / noise) > 45).all()
    assert not any("sum of squares" in text for text in quiet.warnings)
    given["model.embed_tokens.weight"][11] = 100.0
    loud = accelsim.execute(model("llama"), given, fed, on="dfx-u280-1", **settings)
    assert "final_norm, sum of squares: 25 % of the elements are beyond the range of their format" in loud.warnings
    assert not loud.logits[0, 3].any()
    np.testing.assert_array_equal(loud.logits[0, :3], quiet.logits[0, :3])
    wide = accelsim.execute(model("llama"), given, fed, on="h100-sxm", **settings)
    assert not any("sum of squares" in text for text in wide.warnings)
