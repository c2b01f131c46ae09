"""Tensor parallelism: parts that add up, collectives where parts come together."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of
from accelsim.graph.counts import count
from accelsim.graph.footprint import weight_bytes
from accelsim.graph.operator import COLLECTIVE_KINDS, MATRIX_KINDS, Graph, Kind, Role
from accelsim.graph.parallel import SPLIT, copied_bytes, share, tensor_parallel, unfit
from accelsim.graph.routing import Routing

FORMATS = formats_of(catalog.chip("h100-sxm"), None, None, None)
MODELS = (
    "llama-2-7b",
    "llama-3-70b",
    "gpt-j-6b",
    "falcon-7b",
    "mixtral-8x7b",
    "deepseek-v2-lite",
    "opt-175b",
    "t5-xxl",
)


def graphs(model: str, *, fuse: bool = True) -> list[Graph]:
    work = Work(catalog.model(model), FORMATS, 2, 64, 4, "last", Routing(), fuse)
    return [work.prefill(), work.decode(2)]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_parts_of_all_chips_are_the_whole(model: str, fuse: bool) -> None:
    for graph in graphs(model, fuse=fuse):
        if unfit(graph, 4):
            assert model == "falcon-7b"  # 71 heads
            continue
        made = tensor_parallel(graph, 4)
        kept = [op for _, op in made if op.kind not in COLLECTIVE_KINDS]
        assert [op.name for op in kept] == [op.name for _, op in graph]
        for op in kept:
            part = share(op, 4)
            if op.kind in MATRIX_KINDS and SPLIT in op.attributes:
                assert 4 * float(count(part).matrix_flops) == pytest.approx(float(count(op).matrix_flops), rel=1e-3)
            for before, after in zip((*op.inputs, *op.outputs), (*part.inputs, *part.outputs), strict=True):
                parts = op.attributes.get(SPLIT, {}).get(before.name, 1)
                assert parts * float(after.bytes) == pytest.approx(float(before.bytes), rel=1e-3)


@pytest.mark.parametrize("model", ["llama-2-7b", "opt-175b"])
def test_two_all_reduces_in_a_layer_and_an_all_gather_of_the_logits(model: str) -> None:
    for graph in graphs(model):
        made = tensor_parallel(graph, 8)
        layer = next(block for block in made.blocks if block.repeat > 1)
        sums = [op for op in layer.operators if op.kind is Kind.ALL_REDUCE]
        assert len(sums) == 2
        tokens, hidden = sums[0].inputs[0].shape
        assert sums[0].dims["bytes"] == tokens * hidden * 2
        assert [op.kind for op in made.blocks[-1].operators][-1] is Kind.ALL_GATHER
        mlp = [op for op in layer.operators if op.kind is Kind.MATMUL]
        assert [op.attributes["parallel"] for op in mlp] == ["columns", "rows", "columns", "rows"]


def test_a_parallel_block_needs_one_all_reduce() -> None:
    layer = next(block for block in tensor_parallel(graphs("gpt-j-6b")[0], 4).blocks if block.repeat > 1)
    assert sum(op.kind is Kind.ALL_REDUCE for op in layer.operators) == 1


def test_experts_are_split_within_and_added_once_combined() -> None:
    layer = next(block for block in tensor_parallel(graphs("mixtral-8x7b")[0], 4).blocks if block.repeat > 1)
    names = [op.name.rpartition(".")[2] for op in layer.operators]
    assert names.index("combine") < len(names) - 2
    assert sum(op.kind is Kind.ALL_REDUCE for op in layer.operators) == 2
    router = next(op for op in layer.operators if op.name.endswith("router"))
    assert SPLIT not in router.attributes


def test_kv_heads_that_are_fewer_than_the_chips_are_held_several_times() -> None:
    graph = graphs("llama-3-70b")[1]  # 8 KV heads
    made = tensor_parallel(graph, 4)
    assert copied_bytes(made, 4)[1] == 0
    attend = next(op for _, op in tensor_parallel(graph, 8) if op.kind is Kind.ATTENTION)
    part = share(attend, 8)
    assert (part.dims["heads"], part.dims["kv_heads"]) == (8, 1)
    narrow = graphs("qwen2.5-0.5b")[1]  # 14 query heads, 2 KV heads
    assert unfit(narrow, 4) is not None
    twice = tensor_parallel(graphs("qwen2.5-7b")[1], 4)  # 28 and 4
    assert copied_bytes(twice, 4)[1] == 0
    one = tensor_parallel(graphs("gemma-2b")[1], 4)  # 8 and 1: every chip holds all keys
    assert share(next(op for _, op in one if op.kind is Kind.ATTENTION), 4).dims["kv_heads"] == 1
    held = sum(
        block.repeat * float(t.bytes)
        for block, op in one for t in op.inputs if t.role is Role.KV_CACHE and op.kind is Kind.ATTENTION
    )  # fmt: skip
    assert copied_bytes(one, 4)[1] == pytest.approx(3 * held)


def test_norms_are_held_by_every_chip_and_matrices_once() -> None:
    graph = graphs("llama-2-7b")[0]
    copies, cache = copied_bytes(tensor_parallel(graph, 8), 8)
    assert cache == 0
    assert copies == 7 * 2 * 4096 * (2 * 32 + 1)
    assert copies < 0.001 * float(weight_bytes(graph))
    assert copied_bytes(graph, 1) == (0, 0)
