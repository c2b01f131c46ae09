"""Scales that are known before the run: one for each tensor, the same in prefill and decode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelsimError
from tests.execution.families import CONFIGS, model, tokens, weights

FORMATS = {"weights_format": "int8_channel", "activations_format": "int8_tensor", "kv_cache_format": "int8_tensor"}


def run(name: str, **settings: Any) -> Any:
    text = tokens(name, 12, 4, seed=9)
    made = {**FORMATS, "scales": "static", "calibration": text, **settings}
    return accelsim.execute(model(name), weights(name), tokens(name), **made)


def differs(name: str, splits: Any) -> list[int]:
    whole = run(name, numerics="exact").logits.tobytes()
    return [at for at in splits if run(name, numerics="exact", prefill=at).logits.tobytes() != whole]


@pytest.mark.parametrize("name", ["llama-gqa", "mixtral"])
def test_decode_is_prefill(name: str) -> None:
    assert not differs(name, (1, 6))


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGS)
def test_decode_is_prefill_wherever_the_prompt_is_split(name: str) -> None:
    assert not differs(name, range(1, 12))


def test_with_scales_of_the_call_it_is_not() -> None:
    whole, split = (run("llama-gqa", numerics="exact", scales="dynamic", prefill=at) for at in (12, 5))
    assert not np.array_equal(whole.logits, split.logits)
    assert any("prefill and decode differ" in text for text in whole.warnings)
    assert not any("prefill and decode differ" in text for text in run("llama-gqa", numerics="exact").warnings)


def test_what_is_beyond_the_scale_is_clipped_and_said() -> None:
    quiet = run("llama", calibration=tokens("llama"), numerics="fp32")
    assert not any("beyond the range" in text for text in quiet.warnings)
    narrow = run("llama", calibration=tokens("llama", 2), numerics="fp32")
    assert any("beyond the range" in text for text in narrow.warnings)


def test_on_a_gpu_operators_write_what_products_take() -> None:
    plan = run("llama", on="h100-sxm", kv_cache_format="bf16").plan
    dynamic = run("llama", on="h100-sxm", kv_cache_format="bf16", scales="dynamic").plan
    assert plan.static
    assert sum(op.kind == "quantize" for op in plan.operators) < sum(op.kind == "quantize" for op in dynamic.operators)
    written = {t.storage.name for _, t in plan.lines() if t.output and t.storage is not None}
    assert "int8_tensor" in written


def test_scales_for_each_token_are_found_at_run_time() -> None:
    with pytest.raises(AccelsimError, match="name int8_tensor"):
        run("llama", activations_format="int8_channel")
    with pytest.raises(AccelsimError, match="give tokens"):
        run("llama", calibration=None)
