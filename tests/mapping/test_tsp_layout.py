"""Layers on nodes: what fits, what would fit, and how operators are shared."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of
from accelsim.graph import routing
from accelsim.graph.operator import Kind
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.tsp.layout import Item, Layout, demand, layout, place, smallest
from accelsim.mapping.tsp.split import Splitter, Way
from accelsim.simulation import horizon
from accelsim.spec.infeasible import Infeasible
from tests.mapping.tsp_parts import part, system


def work(model: str, prompt: int = 512, generate: int = 2, weights: str | None = None, **more: object) -> Work:
    chosen = formats_of(system(), weights, None, None)
    return Work(catalog.model(model), chosen, 1, prompt, generate, "last", routing.parse("uniform"), fuse=True)


def seen(model: str, **more: object) -> Horizon:
    found = horizon(work(model, **more))  # type: ignore[arg-type]
    assert found is not None
    return found


def ways(model: str, width: int = 8) -> dict[str, Way]:
    graph = work(model).prefill()
    steps = Splitter(width, 320).steps(graph)
    return {step.op.name: step.way for _, parts in steps for step in parts}


def test_a_dense_layer_is_shared_with_two_sums() -> None:
    found = ways("llama-2-70b")
    assert found["layers.attention.qkv_proj"] is Way.COLUMNS
    assert found["layers.attention.attend"] is Way.PARTS
    assert found["layers.attention.o_proj"] is Way.DEPTH
    assert found["layers.mlp.gate_up_proj"] is Way.COLUMNS
    assert found["layers.mlp.activation_multiply"] is Way.PARTS
    assert found["layers.mlp.down_proj"] is Way.DEPTH
    assert found["layers.mlp_add_attention_norm"] is Way.REPEATED
    assert [name for name in found if name.startswith("layers.") and "all_reduce" in name] == [
        "layers.attention_add_mlp_norm.all_reduce", "layers.mlp_add_attention_norm.all_reduce",
    ]  # fmt: skip
    assert found["lm_head"] is Way.COLUMNS
    assert "lm_head.all_gather" in found


def test_experts_are_summed_once_behind_their_combination() -> None:
    graph = work("mixtral-8x7b").prefill()
    blocks = Splitter(8, 320).steps(graph)
    steps = [step for block, parts in blocks if block.name.startswith("layers") for step in parts]
    kinds = [step.op.kind for step in steps]
    assert kinds.count(Kind.ALL_REDUCE) == 2
    assert kinds.index(Kind.COMBINE) < max(i for i, kind in enumerate(kinds) if kind is Kind.ALL_REDUCE)
    router = next(step for step in steps if step.op.name.endswith("router"))
    assert router.way is Way.REPEATED  # eight columns make no fewer tiles on eight chips


def test_one_chip_shares_nothing() -> None:
    assert set(ways("llama-2-7b", width=1).values()) == {Way.REPEATED}


def test_weights_and_cache_of_all_nodes_are_those_of_the_model() -> None:
    asked = seen("llama-2-70b", prompt=4095)
    need = demand(asked, 8, 320)
    held = 8 * sum(item.repeat * (item.linear + item.other) for item in need.items)
    own = work("llama-2-70b", prompt=4095)
    weights, cache, _ = own.footprint("decode", own.prefill())
    assert held == pytest.approx(float(weights) + float(cache), rel=2e-3)  # norms are at every chip


def test_every_repetition_lies_on_one_node_and_no_chip_overflows() -> None:
    chip = part()
    for model in ("llama-2-70b", "llama-2-7b", "mixtral-8x7b"):
        asked = seen(model, prompt=2048)
        found = layout(system(), chip, asked)
        assert isinstance(found, Layout)
        assert asked.first is not None
        total: dict[str, int] = {}
        for content, repeat in found.contents:
            for block, count in content:
                total[block] = total.get(block, 0) + count * repeat
        assert total == {block.name: block.repeat for block in asked.first.blocks}
        assert 0.5 * chip.capacity_bytes < found.chip_bytes <= chip.capacity_bytes
        assert found.chips <= 576


def test_auto_is_the_smallest_system() -> None:
    chip = part()
    for model in ("llama-2-7b", "gpt2", "gpt2-xl", "mixtral-8x7b"):
        asked = seen(model)
        best = smallest(system(), chip, asked)
        assert isinstance(layout(best, chip, asked), Layout)
        fewer = best.count - 8 if best.count > 8 else best.count // 2
        if fewer:
            assert isinstance(layout(system(count=fewer), chip, asked), Infeasible)


def test_sixteen_bits_of_70b_do_not_fit_576_chips() -> None:
    found = layout(system(), part(), seen("llama-2-70b", weights="fp16"))
    assert isinstance(found, Infeasible)
    assert found.kind == "capacity"
    assert (found.demand, found.bound, found.unit) == (656.0, 576.0, "chips")
    assert "138 GB" in found.reason
    assert any(lever.startswith("chips = 656") for lever in found.levers)
    assert isinstance(layout(system(count=656), part(), seen("llama-2-70b", weights="fp16")), Layout)


def test_the_bits_that_would_fit_are_the_most_that_do() -> None:
    asked, chip = seen("llama-2-70b", weights="fp16"), part()
    found = layout(system(), chip, asked)
    assert isinstance(found, Infeasible)
    bits = next(float(lever.split()[4]) for lever in found.levers if "bits" in lever)
    need = demand(asked, 8, 320)
    assert need.bits == 16
    fits = [place(need, chip.capacity_bytes, b / 16) for b in (bits, bits + 0.1)]
    assert not isinstance(fits[0], Item)
    assert len(fits[0]) <= 72
    assert isinstance(fits[1], Item) or len(fits[1]) > 72


def test_a_layer_wider_than_a_node_says_so() -> None:
    found = layout(system(), part(), seen("deepseek-v3"))
    assert isinstance(found, Infeasible)
    assert found.demand > found.bound
    assert "split no further" in found.reason
    assert any("bits" in lever for lever in found.levers)
    assert not any("chips =" in lever for lever in found.levers)


def test_heads_that_are_fewer_than_chips_are_held_more_than_once() -> None:
    asked = seen("chatglm3-6b", prompt=4096)  # two heads of keys and values on eight chips
    need = demand(asked, 8, 320)
    one = demand(asked, 1, 320)
    cached = [item.other for item in need.items if item.repeat > 1]
    alone = [item.other for item in one.items if item.repeat > 1]
    assert cached[0] > 3.5 * alone[0] / 8
