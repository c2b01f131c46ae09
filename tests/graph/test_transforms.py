"""Fusing: what it must keep, what it must save, and that graphs are whole before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.graph import build, footprint
from accelsim.graph.attention import Formats
from accelsim.graph.counts import Counts, count, matrix_flops
from accelsim.graph.export import rows
from accelsim.graph.numbers import prod
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role
from accelsim.graph.transforms import fuse, fuse_attention, fuse_elementwise, fuse_projections
from tests.graph.conftest import REPRESENTATIVES

TRANSFORMS = (fuse_projections, fuse_attention, fuse_elementwise, fuse)


def phases(name: str, formats: Formats, **keys: Any) -> list[Graph]:
    model = catalog.model(name)
    sizes = {"batch": 2, "prompt": 33, **keys}
    graphs = [build.prefill(model, formats=formats, **sizes)]
    if model.generates:
        graphs.append(build.decode(model, formats=formats, step=5, **sizes))
    return graphs


def total(graph: Graph, of: Callable[[Operator], Any]) -> Any:
    return sum(block.repeat * of(op) for block, op in graph)


def vector(graph: Graph) -> tuple[float, float]:
    """Vector FLOPs and special operations outside attention."""
    whole = Counts(0, 0, 0)
    for block, op in graph:
        if op.kind not in (Kind.ATTENTION, Kind.SCORES, Kind.SOFTMAX, Kind.CONTEXT):
            for _ in range(block.repeat):
                whole = whole + count(op)
    return whole.vector_flops, whole.special_ops


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_what_a_transform_keeps_and_saves(
    transform: Callable[[Graph], Graph], representative: str, bf16: Formats
) -> None:
    for graph in phases(representative, bf16):
        before = rows(graph)
        result = transform(graph)
        assert rows(graph) == before  # the input is as it was
        assert matrix_flops(result, causal=False) == matrix_flops(graph, causal=False)
        assert vector(result) == pytest.approx(vector(graph), rel=1e-12)
        for role in Role:
            assert total(result, lambda op, role=role: op.bytes(role)) <= total(
                graph, lambda op, role=role: op.bytes(role)
            ) * (1 + 1e-12)
        elements = [sum(b.repeat * prod(t.shape) for b, t in footprint.weights(g)) for g in (graph, result)]
        assert elements[0] == elements[1]
        names = [op.name for _, op in result]
        assert len(set(names)) == len(names)


def test_fusing_saves_in_every_phase(representative: str, bf16: Formats) -> None:
    for graph in phases(representative, bf16):
        fused = fuse(graph)
        assert sum(1 for _ in fused) < sum(1 for _ in graph)
        assert total(fused, lambda op: op.bytes()) < total(graph, lambda op: op.bytes())


def missing(graph: Graph) -> list[str]:
    """Reads of what nothing wrote before: caches may come from an earlier phase, tables from outside."""
    written: set[str] = set()
    found = []
    for _, op in graph:
        for tensor in op.inputs:
            given = tensor.role is Role.WEIGHT or tensor.name.endswith(".table")
            earlier = tensor.role is Role.KV_CACHE and graph.phase == "decode"
            if not (given or earlier or tensor.name in written):
                found.append(f"{op.name}: {tensor.name}")
        written |= {tensor.name for tensor in op.outputs}
    return found


def test_nothing_is_read_before_it_is_written(representative: str, bf16: Formats) -> None:
    for graph in phases(representative, bf16):
        for transform in TRANSFORMS:
            assert missing(transform(graph)) == []
        assert missing(graph) == []


def test_nothing_is_written_in_vain(representative: str, bf16: Formats) -> None:
    """Every output is read by a later operator, or is the result, the cache, or the next layer's input."""
    for graph in phases(representative, bf16):
        for form in (graph, fuse(graph)):
            read = {tensor.name for _, op in form for tensor in op.inputs}
            unread = {t.name for _, op in form for t in op.outputs if t.role is not Role.KV_CACHE} - read
            assert unread <= {"logits", "pooled"}


def test_the_exported_graph_is_in_one_piece(representative: str, bf16: Formats) -> None:
    for graph in phases(representative, bf16):
        for form in (graph, fuse(graph)):
            exported = form.to_networkx()
            assert exported.number_of_nodes() == sum(1 for _ in form)
            assert nx.is_weakly_connected(exported)
            once = nx.DiGraph((a, b) for a, b, carried in exported.edges(data="carried") if not carried)
            assert nx.is_directed_acyclic_graph(once)
            made = {op.name: {t.name for t in op.outputs} for _, op in form}
            for source, _, tensor in exported.edges(data="tensor"):
                assert set(tensor.split()) <= made[source]


def ops(graph: Graph) -> dict[str, Operator]:
    return {op.name: op for _, op in graph}


def test_names_of_fused_llama(bf16: Formats) -> None:
    graph = fuse(phases("llama-2-7b", bf16)[0])
    assert [op.name for _, op in graph] == [
        "embedding", "layers.opening_norm", "layers.attention.qkv_proj", "layers.attention.rope_kv_append",
        "layers.attention.attend", "layers.attention.o_proj", "layers.attention_add_mlp_norm",
        "layers.mlp.gate_up_proj", "layers.mlp.activation_multiply", "layers.mlp.down_proj",
        "layers.mlp_add_attention_norm", "lm_head",
    ]  # fmt: skip
    qkv = ops(graph)["layers.attention.qkv_proj"]
    assert (qkv.dims["n"], [t.name for t in qkv.outputs]) == (3 * 4096, ["q", "k", "v"])
    assert [t.elements for t in qkv.inputs] == [66 * 4096, 4096**2, 4096**2, 4096**2]
    append = ops(graph)["layers.attention.rope_kv_append"]
    assert [t.name for t in append.inputs] == ["q", "k", "layers.attention.rope.table", "v"]
    assert [t.name for t in append.outputs] == ["q", "k_cache", "v_cache"]


def test_flash_attention_never_writes_the_scores(bf16: Formats) -> None:
    graph = phases("llama-2-7b", bf16)[0]
    plain, fused = (total(form, lambda op: op.bytes(Role.ACTIVATION)) for form in (graph, fuse_attention(graph)))
    assert plain - fused == 32 * 4 * 2 * 32 * 33 * 33 * 2  # scores and probabilities, written and read


def test_rope_of_a_part_leaves_the_rest_to_be_read_by_append(bf16: Formats) -> None:
    fused = ops(fuse(phases("gpt-j-6b", bf16)[0]))["layers.attention.rope_kv_append"]
    read = {t.name: t.elements for t in fused.inputs}
    assert read["q"] == 66 * 16 * 64  # only what is rotated
    assert read["k"] == read["v"] == 66 * 4096  # all of it goes to the cache


def test_fused_attention_reads_the_position_bias(bf16: Formats) -> None:
    attend = ops(fuse(phases("t5-xxl", bf16)[0]))["encoder.attention.attend"]
    assert [t.name for t in attend.inputs] == ["q", "k", "v", "position_bias"]
    cross = ops(fuse(phases("t5-xxl", bf16)[0]))["layers.cross_attention.attend"]
    assert [t.name for t in cross.inputs] == ["q", "cross_k_cache", "cross_v_cache"]


def test_norms_move_to_the_addition_before_them_in_both_stacks(bf16: Formats) -> None:
    found = ops(fuse(phases("t5-xxl", bf16)[0]))
    assert "encoder.opening_norm" in found
    assert "layers.opening_norm" in found
    assert "encoder.mlp_add_attention_norm" in found
    assert "encoder.final_norm" not in found


def test_parallel_blocks_add_both_branches_and_norm_at_once(bf16: Formats) -> None:
    fused = ops(fuse(phases("gpt-j-6b", bf16)[1]))["layers.attention_add_mlp_add_attention_norm"]
    assert [t.name for t in fused.inputs[:3]] == ["hidden", "attended", "fed"]
    assert [t.name for t in fused.outputs] == ["hidden", "normed"]
    assert [part.kind for part in fused.parts] == [Kind.ADD, Kind.ADD, Kind.NORM]


def test_a_graph_without_layers_is_left_alone(bf16: Formats) -> None:
    graph = phases("llama-2-7b", bf16)[0]
    head = graph.with_blocks((graph.blocks[-1],))
    assert [op.name for _, op in fuse(head)] == ["final_norm", "lm_head"]
    assert fuse(graph.with_blocks((Block("head", 1, ()),))).blocks == (Block("head", 1, ()),)


def compare(vectors: Graph, singles: list[Graph]) -> None:
    """Every figure of a graph of arrays, element by element, against graphs of numbers."""
    for index, single in enumerate(singles):
        for (block, op), (other_block, other) in zip(vectors, single, strict=True):
            assert (block.name, block.repeat, op.name, op.kind) == (
                other_block.name, other_block.repeat, other.name, other.kind,
            )  # fmt: skip
            counted, expected = count(op), count(other)
            pairs = [
                (counted.matrix_flops, expected.matrix_flops), (counted.vector_flops, expected.vector_flops),
                (counted.special_ops, expected.special_ops), *((op.bytes(role), other.bytes(role)) for role in Role),
            ]  # fmt: skip
            for figure, wanted in pairs:
                value = np.broadcast_to(np.asarray(figure), (len(singles),))[index]
                assert value == pytest.approx(wanted, rel=1e-12, abs=0), op.name


@given(
    name=st.sampled_from(REPRESENTATIVES),
    points=st.lists(st.tuples(st.integers(1, 64), st.integers(1, 9000), st.integers(1, 500)), min_size=1, max_size=4),
    fused=st.booleans(),
    logits=st.sampled_from(["last", "all"]),
)
def test_arrays_of_points_equal_single_points(
    name: str, points: list[tuple[int, int, int]], fused: bool, logits: str
) -> None:
    form = catalog.format_("mxfp4")
    formats, model = Formats(form, form, form, form), catalog.model(name)
    finish: Callable[[Graph], Graph] = fuse if fused else lambda graph: graph
    batch, prompt, step = (np.array(column) for column in zip(*points, strict=True))

    def first(b: Any, p: Any) -> Graph:
        return finish(build.prefill(model, batch=b, prompt=p, formats=formats, logits=logits))

    def later(b: Any, p: Any, s: Any) -> Graph:
        return finish(build.decode(model, batch=b, prompt=p, step=s, formats=formats))

    compare(first(batch, prompt), [first(b, p) for b, p, _ in points])
    if model.generates:
        compare(later(batch, prompt, step), [later(*point) for point in points])
