"""What must be in memory, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.graph import build, footprint, parameters
from accelsim.graph.attention import Formats
from accelsim.graph.transforms import fuse


@pytest.mark.parametrize("name", ["gpt2", "t5-xxl", "deepseek-v3", "mixtral-8x7b", "gemma-2-9b", "bert-base"])
@pytest.mark.parametrize("fused", [False, True])
def test_weights_are_there_once(name: str, fused: bool, bf16: Formats) -> None:
    model = catalog.model(name)
    graph = build.prefill(model, batch=1, prompt=3, formats=bf16)
    assert footprint.weight_bytes(fuse(graph) if fused else graph) == 2 * parameters.count(model)


def test_weights_in_four_bits_but_the_wide_ones() -> None:
    four, sixteen = catalog.format_("int4"), catalog.format_("bf16")
    model = catalog.model("llama-2-7b")
    graph = build.prefill(model, batch=1, prompt=3, formats=Formats(four, sixteen, sixteen, sixteen))
    parts = parameters.count_by_part(model)
    narrow = parts["attention"] + parts["feed_forward"]
    assert footprint.weight_bytes(graph) == narrow / 2 + 2 * (parameters.count(model) - narrow)


@pytest.mark.parametrize(
    ("name", "context", "per_sequence"),
    [
        ("llama-2-7b", 4096, 32 * 4096 * 2 * 4096),
        ("llama-3-8b", 4096, 32 * 4096 * 2 * 1024),
        ("falcon-7b", 100, 32 * 100 * 2 * 64),
        ("gemma-2-9b", 8000, 21 * (4096 + 8000) * 2 * 8 * 256),  # half of the layers keep a window
        ("mistral-7b", 9000, 32 * 4096 * 2 * 1024),
        ("deepseek-v3", 1000, 61 * 1000 * (512 + 64)),
        ("t5-xxl", 10, 24 * (10 + 50) * 2 * 4096),  # its own positions and the prompt's
    ],
)
def test_the_cache(name: str, context: int, per_sequence: int, bf16: Formats) -> None:
    found = footprint.kv_cache_bytes(catalog.model(name), bf16, batch=3, context=context, prompt=50)
    assert found == 3 * per_sequence * 2


def test_the_cache_of_arrays(bf16: Formats) -> None:
    model, context = catalog.model("gemma-2-9b"), np.array([10, 5000])
    found = footprint.kv_cache_bytes(model, bf16, batch=1, context=context, prompt=context)
    assert np.asarray(found).tolist() == [
        footprint.kv_cache_bytes(model, bf16, batch=1, context=int(c), prompt=int(c)) for c in context
    ]


def test_the_largest_working_set_is_the_scores_until_they_are_fused(bf16: Formats) -> None:
    graph = build.prefill(catalog.model("llama-2-7b"), batch=2, prompt=2048, formats=bf16)
    scores = 2 * 32 * 2048 * 2048 * 2
    residual = 2 * 2048 * 4096 * 2
    assert footprint.activation_bytes(graph) == 2 * scores + residual
    gate_and_up = 2 * 2048 * 11008 * 2
    assert footprint.activation_bytes(fuse(graph)) == 3 * gate_and_up + residual  # their product beside them


def test_the_residual_stream_is_not_counted_twice(bf16: Formats) -> None:
    graph = build.decode(catalog.model("gpt2"), batch=1, prompt=1, step=1, formats=bf16)
    # two positions: nothing is larger than lm_head's result beside its input
    assert footprint.activation_bytes(graph) == 2 * (768 + 50257)
