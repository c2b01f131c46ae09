"""Kernels in several streams: the order that tensors impose, and no work lost or gained."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of
from accelsim.graph.routing import Routing
from accelsim.mapping.order import dependencies
from accelsim.simulation import simulate


def layer(fuse: bool) -> dict[str, tuple[str, ...]]:
    chip = catalog.chip("h100-sxm")
    work = Work(catalog.model("llama-2-7b"), formats_of(chip, None, None, None), 1, 32, 1, "last", Routing(), fuse)
    block = next(block for block in work.prefill().blocks if block.name.startswith("layers"))
    return {name.removeprefix("layers."): waits for name, waits in dependencies(block.operators).items()}


def test_projections_of_one_input_wait_for_the_norm_only() -> None:
    waits = layer(fuse=False)
    for name in ("q_proj", "k_proj", "v_proj"):
        assert waits[f"attention.{name}"] == ("layers.attention_norm",)
    assert waits["mlp.up_proj"] == ("layers.mlp_norm",)


def test_a_writer_waits_for_the_readers_of_what_it_overwrites() -> None:
    """The residual addition overwrites `hidden`, which the opening norm read."""
    assert "layers.attention_norm" in layer(fuse=False)["attention_add"]


def test_every_operator_waits_for_something_but_the_first() -> None:
    waits = layer(fuse=False)
    assert [name for name, before in waits.items() if not before] == ["attention_norm"]


@pytest.mark.parametrize("name", ["llama-2-7b", "qwen1.5-moe-a2.7b", "deepseek-v2-lite"])
def test_streams_overlap_but_do_the_same_work(name: str) -> None:
    one, many = (simulate(name, "h100-sxm", prompt=32, generate=3, fuse=False, streams=s) for s in ("one", "graph"))
    assert many.summary["total_time_s"] < one.summary["total_time_s"]
    for key in ("flops", "dram_bytes", "energy_memory_j", "energy_tensor_j", "energy_vector_j"):
        assert many.summary[key] == pytest.approx(one.summary[key], rel=1e-12)
    total = many.summary["total_time_s"]
    for row in many.rows("resources"):
        assert row["utilization"] <= 1 + 1e-9
        assert row["busy_s"] <= total * (1 + 1e-9)


def test_folding_is_exact_with_several_streams() -> None:
    folded, run = (
        simulate("qwen1.5-moe-a2.7b", "h100-sxm", prompt=16, generate=3, streams="graph", fold=fold)
        for fold in (True, False)
    )
    without = {key: value for key, value in folded.summary.items() if key != "events"}
    assert without == {key: value for key, value in run.summary.items() if key != "events"}
    assert folded.rows("resources") == run.rows("resources")
    assert folded.rows("operators") == run.rows("operators")
