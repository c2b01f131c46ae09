"""What is refused, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelsimError
from tests.execution.families import CONFIGS, model, tokens, weights

NAME = "llama"


def refused(match: str, *, given: dict[str, Any] | None = None, fed: Any = None, **settings: Any) -> None:
    given = weights(NAME) if given is None else given
    with pytest.raises(AccelsimError, match=match):
        accelsim.execute(model(NAME), given, tokens(NAME) if fed is None else fed, **settings)


@pytest.mark.parametrize("fuse", [True, False])
def test_a_missing_tensor_is_named(fuse: bool) -> None:
    given = weights(NAME)
    del given["model.layers.1.mlp.up_proj.weight"]
    refused(r"no tensor model\.layers\.1\.mlp\.up_proj\.weight", given=given, fuse=fuse)


def test_a_misshapen_tensor_is_named_with_both_shapes() -> None:
    given = weights(NAME)
    given["model.norm.weight"] = np.ones(31, dtype=np.float32)
    refused(r"model\.norm\.weight has shape \[31\], the model asks for \[32\]", given=given)
    given = weights(NAME)
    given["lm_head.weight"] = given["lm_head.weight"].T
    refused(r"lm_head\.weight has shape \[32, 61\], the model asks for \[61, 32\]", given=given)


def test_weights_that_are_not_finite_are_counted() -> None:
    given = weights(NAME)
    given["lm_head.weight"][3, 4] = np.nan
    refused(r"lm_head\.weight has 1 infinities or NaN", given=given)


@pytest.mark.parametrize(
    ("fed", "match"),
    [
        ([3, 61], r"token 61 at \[0, 1\]"), ([3, -1], "token -1"), ([0.5], "whole numbers"), ([], "at least one"),
        (np.zeros((1, 1, 1), dtype=int), "shape"), ([0] * 65, "64"),
    ],
)  # fmt: skip
def test_tokens(fed: Any, match: str) -> None:
    refused(match, fed=fed)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"numerics": "hoper-fp8"}, "nearest: hopper-fp8"), ({"weights_format": "mxpf4"}, "mxfp4"),
        ({"on": "h100-sxm", "numerics": "exact"}, "give one of them"), ({"prefill": 13}, "1 to 12"),
        ({"prefill": 0}, "1 to 12"), ({"generate": -1}, "at least 0"), ({"generate": 60}, "positions"),
        ({"overrides": {"upproj": "fp16"}}, "no tensor is named 'upproj'"), ({"kv_format": "bf16"}, "kv_cache_format"),
        ({"on": "h100-sxm", "tile": 4}, "own tiles"), ({"method": "gtpq"}, "nearest: gptq"),
        ({"method": "gptq", "weights_format": "int4_channel"}, "calibration"),
        ({"method": "gptq", "weights_format": "nvfp4"}, "scales of scales"),
        ({"method": "kivi", "kv_cache_format": "int8_channel"}, "uint2_g32_zp"), ({"scales": "statik"}, "static"),
        ({"scales": "static", "activations_format": "int8_channel"}, "int8_tensor"),
        ({"scales": "static", "activations_format": "int8_tensor"}, "calibration"),
    ],
)  # fmt: skip
def test_settings(settings: dict[str, Any], match: str) -> None:
    refused(match, **settings)


def test_a_family_that_is_not_executed() -> None:
    with pytest.raises(AccelsimError, match=r"bloom .* is priced but not executed"):
        accelsim.execute("bloom-176b", {}, [1])


def test_prefixes_of_files_may_differ() -> None:
    for name in CONFIGS:
        given, fed = weights(name), tokens(name)
        prefix = {"gpt2": "transformer."}.get(name, "")
        shorter = {
            prefix + tensor.removeprefix("model.decoder.").removeprefix("model."): value
            for tensor, value in given.items()
        }
        first = accelsim.execute(model(name), given, fed).logits
        assert first.tobytes() == accelsim.execute(model(name), shorter, fed).logits.tobytes()
