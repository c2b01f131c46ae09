"""Graphs that transformers computes against graphs that the builder knows, operator by operator."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph import build, footprint, parameters
from accelsim.graph.attention import Formats
from accelsim.graph.counts import count, matrix_flops
from accelsim.graph.numbers import prod
from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Role
from accelsim.graph.routing import Routing
from accelsim.graph.tracer import trace
from accelsim.graph.transforms import fuse, fuse_projections
from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model

SMALL: dict[str, dict[str, Any]] = {
    "llama": {
        "model_type": "llama", "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
        "num_key_value_heads": 6, "intermediate_size": 160, "vocab_size": 300,
    },
    "llama, grouped and tied": {
        "model_type": "llama", "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
        "num_key_value_heads": 2, "head_dim": 20, "intermediate_size": 160, "vocab_size": 300,
        "tie_word_embeddings": True, "attention_bias": True,
    },
    "mixtral": {
        "model_type": "mixtral", "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 3, "intermediate_size": 160, "vocab_size": 300, "num_local_experts": 5,
        "num_experts_per_tok": 2, "sliding_window": None,
    },
    "gemma2": {
        "model_type": "gemma2", "hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 6,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 160, "vocab_size": 300, "sliding_window": 10,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def torch() -> Any:
    """Skips where torch and transformers are not installed."""
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


def built(model: Model, phase: str, formats: Formats, **keys: Any) -> Graph:
    if phase == "prefill":
        return build.prefill(model, formats=formats, batch=2, prompt=keys.pop("prompt", 21), **keys)
    return build.decode(model, formats=formats, batch=2, prompt=keys.pop("prompt", 21), step=3, **keys)


def traced(config: Any, phase: str, formats: Formats, **keys: Any) -> Graph:
    return trace(config, phase=phase, batch=2, step=3, formats=formats, **{"prompt": 21, **keys})


def operators(graph: Graph, kinds: frozenset[Kind] | None = None) -> Counter[Any]:
    """How often each operator runs: kind, dimensions, arithmetic and bytes by role."""
    found: Counter[Any] = Counter()
    for block, op in graph:
        if kinds is None or op.kind in kinds:
            moved = tuple(op.bytes(role) for role in Role)
            found[op.kind, tuple(sorted(op.dims.items())), count(op), moved] += block.repeat
    return found


def caches(graph: Graph) -> Counter[Any]:
    """Shapes of the keys and values that attention reads and that are appended."""
    shapes: Counter[Any] = Counter()
    for block, op in graph:
        for tensor in (*op.inputs, *op.outputs):
            if tensor.role is Role.KV_CACHE:
                shapes[op.kind, tensor.shape] += block.repeat
    return shapes


def same_form(graph: Graph) -> Graph:
    """Experts' gate and up matrices are stored as one by transformers, as two by the builder."""
    return fuse_projections(graph) if any(op.kind is Kind.EXPERTS for _, op in graph) else graph


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize("name", SMALL)
def test_small_models_operator_by_operator(name: str, phase: str, torch: Any, bf16: Formats) -> None:
    model = read_config(SMALL[name], name="m", source="a test", status="assumed")
    ours, theirs = (same_form(g) for g in (built(model, phase, bf16), traced(SMALL[name], phase, bf16)))
    assert operators(theirs) == operators(ours)
    assert caches(theirs) == caches(ours)
    assert [block.repeat for block in theirs.blocks] == [block.repeat for block in ours.blocks]


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize("name", ["llama-2-7b", "llama-3-8b", "mixtral-8x7b"])
def test_full_models_operator_by_operator(name: str, phase: str, torch: Any, bf16: Formats) -> None:
    model = catalog.model(name)
    ours = built(model, phase, bf16, prompt=2048)
    theirs = traced(name, phase, bf16, prompt=2048)
    assert matrix_flops(theirs) == matrix_flops(ours)
    assert operators(same_form(theirs)) == operators(same_form(ours))
    assert caches(theirs) == caches(ours)
    kv_heads = model.decoder[0].layers[0].attention.kv_heads
    length = 2048 if phase == "prefill" else 2051
    assert {shape for kind, shape in caches(theirs) if kind is Kind.SCORES} == {(2, length, kv_heads, 128)}


@pytest.mark.parametrize(("name", "teraflops"), [("llama-2-7b", 29.2616), ("llama-3-8b", 32.9381)])
def test_published_flops_of_a_prefill(name: str, teraflops: float, torch: Any) -> None:
    graph = trace(name, phase="prefill", prompt=2048, logits="all")
    assert round(matrix_flops(graph, causal=False) / 1e12, 4) == teraflops


@pytest.mark.parametrize(
    "name",
    ["gpt2", "gpt-j-6b", "gpt-neox-20b", "opt-125m", "bloom-176b", "falcon-7b", "phi-2", "phi-3-mini", "qwen3-8b"],
)
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_other_families_multiply_the_same_matrices(name: str, phase: str, torch: Any, bf16: Formats) -> None:
    """Some store q, k and v, or gate and up, in one matrix; falcon-40b caches broadcast keys and is left out."""
    ours, theirs = (
        fuse_projections(built(catalog.model(name), phase, bf16)),
        fuse_projections(traced(name, phase, bf16)),
    )
    if name == "bloom-176b":  # its attention multiplies and adds slopes in one call; what is added cannot be told
        kinds = MATRIX_KINDS
        assert matrix_flops(theirs) == matrix_flops(ours)
    else:
        kinds = MATRIX_KINDS | {Kind.NORM, Kind.SOFTMAX, Kind.KV_APPEND, Kind.ACTIVATION}
    if name == "qwen3-8b":  # transformers norms q before it projects k
        ours, theirs = built(catalog.model(name), phase, bf16), traced(name, phase, bf16)
    assert operators(theirs, frozenset(kinds)) == operators(ours, frozenset(kinds))


@pytest.mark.parametrize("name", ["deepseek-v2-lite", "deepseek-v3", "qwen3-30b-a3b", "qwen1.5-moe-a2.7b"])
def test_mixtures_and_latents_need_the_same_matrix_flops_in_prefill(name: str, torch: Any, bf16: Formats) -> None:
    ours, theirs = built(catalog.model(name), "prefill", bf16), traced(name, "prefill", bf16)
    assert matrix_flops(theirs) == matrix_flops(ours)
    assert [(b.name, b.repeat) for b in theirs.blocks] == [(b.name, b.repeat) for b in ours.blocks]


@pytest.mark.parametrize("name", ["llama", "llama, grouped and tied", "mixtral", "gemma2"])
def test_every_parameter_is_traced(name: str, torch: Any, bf16: Formats) -> None:
    model = read_config(SMALL[name], name="m", source="a test", status="assumed")
    graph = traced(SMALL[name], "prefill", bf16)
    elements = sum(block.repeat * prod(tensor.shape) for block, tensor in footprint.weights(graph))
    assert elements == parameters.count(model)


@pytest.mark.parametrize("name", SMALL)
def test_traced_graphs_are_whole_and_can_be_fused(name: str, torch: Any, bf16: Formats) -> None:
    for phase in ("prefill", "decode"):
        graph = traced(SMALL[name], phase, bf16)
        for form in (graph, fuse(graph)):
            written: set[str] = set()
            for _, op in form:
                for tensor in op.inputs:
                    outside = tensor.role is not Role.ACTIVATION or tensor.name.endswith(".table")
                    assert outside or tensor.name in written, f"{op.name} reads {tensor.name}"
                written |= {tensor.name for tensor in op.outputs}
        assert matrix_flops(fuse(graph), causal=False) == matrix_flops(graph)
        assert sum(op.kind is Kind.ATTENTION for _, op in fuse(graph)) == (2 if name == "gemma2" else 1)


def test_experts_are_counted_through_the_routing(torch: Any, bf16: Formats) -> None:
    drawn = Routing(zipf=1.0, drawn=True, seed=5)
    graph = traced(SMALL["mixtral"], "decode", bf16, routing=drawn)
    (up, down) = [op for _, op in graph if op.kind is Kind.EXPERTS]
    distinct = drawn.distinct(5, 2, 2)
    assert (up.dims["m"], up.dims["n"], up.dims["experts"]) == (4, 320, distinct)
    assert down.bytes(Role.WEIGHT) == distinct * 160 * 96 * 2
    assert list(down.attributes["loads"]) == list(drawn.loads(5, 2, 2))


def test_a_path_or_keys_instead_of_a_name(torch: Any, tmp_path: Path, bf16: Formats) -> None:
    (tmp_path / "tiny").mkdir()
    file = tmp_path / "tiny" / "config.json"
    file.write_text(json.dumps(SMALL["llama"]))
    graphs = [traced(source, "decode", bf16) for source in (file, str(file.parent), SMALL["llama"])]
    assert [graph.model for graph in graphs] == ["tiny", "tiny", "llama"]
    assert operators(graphs[0]) == operators(graphs[1]) == operators(graphs[2])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "no-such-family"}, "has no model_type 'no-such-family'"),
        ({"model_type": "t5"}, "'t5' is no decoder"),
        ({"model_type": "bert", "num_hidden_layers": 1}, "'bert' is no decoder"),
    ],
)
def test_models_that_cannot_be_traced(config: dict[str, Any], message: str, torch: Any) -> None:
    with pytest.raises(RequestError, match=message):
        trace(config, phase="prefill", prompt=4)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RequestError, match=r"needs torch, which is not installed: pip install 'accelsim\[trace\]'"):
        trace("llama-2-7b", phase="prefill")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"phase": "train"}, "phase = 'train': allowed are prefill, decode"),
        ({"phase": "prefill", "logits": "some"}, "logits = 'some': allowed are last, all"),
        ({"phase": "decode", "step": 0}, "step = 0: expected a whole number of at least 1"),
        ({"phase": "prefill", "batch": 1.5}, r"batch = 1\.5: expected a whole number"),
        ({"phase": "prefill", "prompt": True}, "prompt = True: expected a whole number"),
    ],
)
def test_bad_arguments(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        trace("llama-2-7b", **keys)


def test_a_configuration_without_a_family() -> None:
    with pytest.raises(RequestError, match="the configuration of model has no model_type"):
        trace({"hidden_size": 3}, phase="prefill")
