"""FLOPs and bytes against hand calculation and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.graph import build
from accelsim.graph.attention import Formats
from accelsim.graph.counts import ACTIVATIONS, Counts, attended_pairs, count, matrix_flops, rectangle_flops
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role, Tensor
from accelsim.graph.transforms import fuse, fuse_attention


def prefill(name: str, formats: Formats, **keys: object) -> Graph:
    return build.prefill(catalog.model(name), **{"batch": 1, "prompt": 2048, "formats": formats, **keys})  # type: ignore[arg-type]


def moved(graph: Graph, role: Role) -> float:
    return float(sum(block.repeat * op.bytes(role) for block, op in graph))


@pytest.mark.parametrize(
    ("name", "teraflops", "layer", "layers", "kv", "vocabulary"),
    [
        # per token and layer: q, o, k, v, and three feed-forward matrices
        ("llama-2-7b", 29.2616, 2 * 4096**2 + 2 * 4096 * 4096 + 3 * 4096 * 11008, 32, 32, 32000),
        ("llama-3-8b", 32.9381, 2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336, 32, 8, 128256),
    ],
)
def test_prefill_of_2048_tokens(
    name: str, teraflops: float, layer: int, layers: int, kv: int, vocabulary: int, bf16: Formats
) -> None:
    graph = prefill(name, bf16, logits="all")
    total = matrix_flops(graph, causal=False)
    assert round(total / 1e12, 4) == teraflops
    attention = layers * 2 * 2 * 2048 * 2048 * 4096  # however few the KV heads are
    assert total == 2 * 2048 * (layers * layer + 4096 * vocabulary) + attention
    assert matrix_flops(fuse(graph), causal=False) == total
    (append,) = [op for _, op in graph if op.kind is Kind.KV_APPEND]
    assert append.dims["elements"] == 2 * 2048 * kv * 128


def test_logits_of_the_last_position_save_the_rest_of_lm_head(bf16: Formats) -> None:
    every, last = (matrix_flops(prefill("llama-2-7b", bf16, logits=which)) for which in ("all", "last"))
    assert every - last == 2 * 2047 * 4096 * 32000


def test_causality_halves_attention_exactly(bf16: Formats) -> None:
    graph = fuse_attention(prefill("llama-2-7b", bf16))
    saved = matrix_flops(graph, causal=False) - matrix_flops(graph)
    assert saved == 32 * 32 * 2 * 256 * (2048 * 2048 - 2048 * 2049 // 2)


def test_bytes_of_a_decode_step_of_llama_2(bf16: Formats) -> None:
    batch, prompt, step = 3, 100, 7
    graph = fuse(build.decode(catalog.model("llama-2-7b"), batch=batch, prompt=prompt, step=step, formats=bf16))
    read_rows = 6_738_415_616 - 32000 * 4096 + batch * 4096  # all weights, but of the embedding the rows of the batch
    assert moved(graph, Role.WEIGHT) == 2 * read_rows
    kv = 32 * batch * 2 * 4096
    assert moved(graph, Role.KV_CACHE) == 2 * kv * (prompt + step + 1)  # read with the new token, and that one written
    width, inner = 4096, 11008
    per_layer = (
        (width + 3 * width)  # q, k, v together
        + (2 * width + width)  # rope and append read q and k, v; they write q; sines below
        + (width + width)  # attention: q, context
        + (width + width)  # o_proj
        + (2 * width + 2 * width)  # add and norm: residual, branch; residual, normed
        + (width + 2 * inner)  # gate and up
        + (2 * inner + inner)  # activation and product
        + (inner + width)
        + (2 * width + 2 * width)
    )
    k_and_sines = 32 * (batch * width + 128)
    head = batch * (width + width + width) + batch * (width + 32000)  # embedding, its norm; lm_head
    assert moved(graph, Role.ACTIVATION) == 2 * (32 * batch * per_layer + k_and_sines + head)


def test_grouped_heads_read_fewer_keys(bf16: Formats) -> None:
    def cache(name: str) -> float:
        return moved(build.decode(catalog.model(name), batch=1, prompt=999, step=1, formats=bf16), Role.KV_CACHE)

    assert cache("llama-2-7b") == 4 * cache("llama-3-8b") == 32 * 2 * 4096 * 2 * 1001
    assert cache("falcon-7b") == 32 * 2 * 64 * 2 * 1001  # one KV head of 64


def brute_pairs(query: int, past: int, causal: bool, window: int | None) -> int:
    total = 0
    for i in range(query):
        for j in range(past + query):
            seen = j <= past + i if causal else True
            total += seen and (window is None or j > past + i - window)
    return total


@given(st.integers(1, 30), st.integers(0, 30), st.one_of(st.none(), st.integers(1, 40)))
def test_pairs_of_a_causal_window(query: int, past: int, window: int | None) -> None:
    assert attended_pairs(query, past, past + query, causal=True, window=window) == brute_pairs(
        query, past, True, window
    )


@given(st.integers(1, 30), st.integers(0, 30))
def test_pairs_without_a_mask(query: int, past: int) -> None:
    assert attended_pairs(query, past, past + query, causal=False, window=None) == brute_pairs(query, past, False, None)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
def test_keys_that_a_decode_step_reads_are_those_it_computes_with(prompt: int, step: int, window: int) -> None:
    form = catalog.format_("bf16")
    model = catalog.model("mistral-7b")
    layer = model.decoder[0].layers[0]
    attention = layer.attention.model_copy(update={"window": window})
    group = model.decoder[0].model_copy(update={"layers": (layer.model_copy(update={"attention": attention}),)})
    model = model.model_copy(update={"decoder": (group,)})
    graph = fuse_attention(
        build.decode(model, batch=1, prompt=prompt, step=step, formats=Formats(form, form, form, form))
    )
    (attend,) = [op for _, op in graph if op.kind is Kind.ATTENTION]
    pairs = brute_pairs(1, prompt + step - 1, True, window)
    assert count(attend).matrix_flops == 2 * 32 * pairs * 256
    assert attend.bytes(Role.KV_CACHE) == pairs * 8 * 256 * 2


def one(kind: Kind, dims: dict[str, int], **attributes: object) -> Counts:
    tensor = Tensor("x", (1,), Role.ACTIVATION, catalog.format_("bf16"))
    return count(Operator(name="x", kind=kind, dims=dims, inputs=(tensor,), outputs=(tensor,), attributes=attributes))


def test_vector_work_by_kind() -> None:
    elements = {"elements": 60, "rows": 6}
    assert one(Kind.NORM, elements, norm="rms") == Counts(0, 240, 6)
    assert one(Kind.NORM, elements, norm="layer") == Counts(0, 420, 6)
    assert one(Kind.SOFTMAX, elements) == Counts(0, 240, 66)
    assert one(Kind.SOFTMAX, elements, position_bias="relative") == Counts(0, 300, 66)
    assert one(Kind.ROPE, elements) == Counts(0, 180, 0)
    assert one(Kind.ADD, elements) == one(Kind.MULTIPLY, elements) == Counts(0, 60, 0)
    assert one(Kind.EMBEDDING, {**elements, "tables": 3}) == Counts(0, 120, 0)
    assert one(Kind.COMBINE, {**elements, "active": 2}) == Counts(0, 240, 0)
    assert one(Kind.ROUTE, {**elements, "active": 2}) == Counts(0, 360, 60)
    assert one(Kind.DISPATCH, elements) == one(Kind.ALL_REDUCE, elements) == Counts(0, 0, 0)
    for name, (flops, special) in ACTIVATIONS.items():
        assert one(Kind.ACTIVATION, elements, activation=name) == Counts(0, 60 * flops, 60 * special)


def test_every_activation_of_the_catalogue_is_priced(representative: str, bf16: Formats) -> None:
    names = {
        op.attributes["activation"] for _, op in prefill(representative, bf16, prompt=4) if op.kind is Kind.ACTIVATION
    }
    assert names <= set(ACTIVATIONS)
    assert names


def test_a_special_operation_counts_as_one_flop() -> None:
    assert Counts(1, 2, 4).flops == 7
    assert Counts(1, 2, 4) + Counts(1, 1, 1) == Counts(2, 3, 5)


def test_appending_converts_where_the_cache_has_its_own_format(bf16: Formats) -> None:
    narrow = Formats(bf16.weights, bf16.activations, catalog.format_("fp8_e4m3"), bf16.wide)
    model = catalog.model("llama-2-7b")
    for formats, flops in ((bf16, 0), (narrow, 2 * 4096)):
        graph = build.decode(model, batch=1, prompt=5, step=1, formats=formats)
        (append,) = [op for _, op in graph if op.kind is Kind.KV_APPEND]
        assert count(append).flops == flops


def test_formats_go_where_they_belong() -> None:
    weights, acts, cache, wide = (catalog.format_(n) for n in ("mxfp4", "bf16", "fp8_e4m3", "fp32"))
    formats = Formats(weights, acts, cache, wide)
    graph = build.decode(catalog.model("mixtral-8x7b"), batch=1, prompt=5, step=1, formats=formats)
    for _, op in graph:
        for tensor in (*op.inputs, *op.outputs):
            if tensor.role is Role.ACTIVATION:
                assert tensor.format is acts
            elif tensor.role is Role.KV_CACHE:
                assert tensor.format is cache
            elif op.name.rpartition(".")[2] in (
                "q_proj",
                "k_proj",
                "v_proj",
                "o_proj",
                "up_proj",
                "gate_proj",
                "down_proj",
            ):
                assert tensor.format is weights
            else:
                assert tensor.format is wide, op.name
    assert weights.bytes_per_element == 4.25 / 8
    (q,) = [op for _, op in graph if op.name == "layers.attention.q_proj"]
    assert q.bytes(Role.WEIGHT) == 4096 * 4096 * 4.25 / 8
    assert q.operand_formats() == (acts, weights)


def test_rectangles_of_operators_that_are_not_attention() -> None:
    form = catalog.format_("bf16")
    out = Tensor("y", (2, 3), Role.ACTIVATION, form)
    dims = {"m": 2, "n": 3, "k": 5, "batch": 7}
    op = Operator(name="x", kind=Kind.MATMUL, dims=dims, inputs=(), outputs=(out,))
    assert rectangle_flops(op) == 2 * 2 * 3 * 5 * 7
    assert matrix_flops(Graph("m", "prefill", (Block("b", 4, (op,)),))) == 4 * 420


def test_pairs_of_arrays() -> None:
    query, past = np.array([1, 4, 9]), np.array([7, 0, 3])
    found = attended_pairs(query, past, past + query, causal=True, window=5)
    assert found.tolist() == [brute_pairs(int(q), int(p), True, 5) for q, p in zip(query, past, strict=True)]  # type: ignore[union-attr]
