"""What `--explain` says beside tensors is what execution reads: another plan, other words and other numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accelsim import catalog
from accelsim.execution import run, walk
from accelsim.execution.cache import KvCache
from accelsim.execution.executor import Executor
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import NumericsPlan, OperatorPlan
from accelsim.execution.rules import Pass
from accelsim.execution.stated import stated
from accelsim.execution.weights import Weights
from accelsim.graph.operator import Kind
from tests.execution.families import model, tokens, weights

NAME = "llama-gqa"


def made(on: str, name: str = NAME, **formats: str) -> Executor:
    return run.executor(model(name), weights(name), on=on, **formats)


def said(plan: NumericsPlan) -> dict[tuple[str, str], str]:
    return {(what, phase): how for what, phase, how in stated(plan)}


def test_everything_that_must_be_stated_is() -> None:
    found = said(made("h100-sxm", kv_cache_format="mxfp8_e4m3").planned(1, 40, range(8)))
    assert found["residual stream", "both"] == "bf16"
    assert found["norm statistics", "both"] == "fp32, one rounding per operation, sums in increasing index"
    assert found["RoPE", "both"].endswith("cosines and sines in bf16")
    assert found["softmax", "both"].startswith("fp32")
    # the kernel for prompts multiplies on the tensor cores, that of single heads on the lanes
    assert found["P before P V", "prefill"] == "bf16"
    assert found["P before P V", "decode"] == "fp32"
    assert "v_cache mxfp8_e4m3, 32 elements along head_dim, rounded once, when appended" in found["K and V", "both"]
    assert found["results of products", "both"] == "hopper-bf16, rounded to fp32"
    assert found["keys from position 0 on", "decode"].startswith("fp32-fma along k; tiles of 64 keys")


def test_machines_are_told_apart() -> None:
    found = said(made("dfx-u280-1", "gpt2").planned(1, 4, [4]))
    assert found["norm statistics", "both"].startswith("fp16")
    assert found["softmax", "both"].startswith("fp16")
    tiles = run.executor(catalog.model("gpt2"), {}, on="ipu-mk2-8", positions=96).planned(1, 64, [64])
    assert said(tiles)["keys from position 64 on", "decode"].startswith(
        "ipu-amp along k; Q K^T in 4 parts of 16, added"
    )
    assert "5 parts of 672, added in fp32, each of them 6 parts of 112, added in fp32 (assumed: from the first to" in (
        tiles.find("decode", "layers.mlp.down_proj").order
    )
    exact = run.executor(
        model(NAME), weights(NAME), numerics="exact", kv_cache_format="int4_g32", values_along="tokens"
    )
    found = said(exact.planned(1, 4, [4]))
    assert "exact sums, rounded once" in found["norm statistics", "both"]
    assert "v_cache int4_g32, 32 elements along tokens" in found["K and V", "both"]
    assert "the last group in the width of the lanes" in found["K and V", "both"]


@pytest.mark.parametrize("kind", [Kind.NORM, Kind.ROPE, Kind.ATTENTION, Kind.ADD])
def test_what_is_stated_is_read(kind: Kind) -> None:
    """A plan with other lanes for one kind of operator says so, and gives other logits."""
    executor = made("h100-sxm")
    graph, fed = executor.prefill_graph(1, 6), tokens(NAME, 6)
    plan = executor.planned(1, 6)

    def narrow(op: OperatorPlan) -> OperatorPlan:
        parts = tuple(narrow(part) for part in op.parts)
        return replace(op, lanes=Lanes("fp16") if op.kind is kind else op.lanes, parts=parts)

    def logits(which: NumericsPlan) -> np.ndarray:
        at = Pass(model(NAME), Weights(model(NAME), weights(NAME)), KvCache(1), fed, 0)
        return walk.run(graph, which, at)

    changed = replace(plan, operators=tuple(narrow(op) for op in plan.operators))
    assert not np.array_equal(logits(plan), logits(changed))
    if kind is not Kind.ADD:
        assert stated(plan) != stated(changed)


def test_p_is_rounded_as_stated() -> None:
    executor = made("h100-sxm")
    graph, fed, plan = executor.prefill_graph(1, 6), tokens(NAME, 6), executor.planned(1, 6)

    def rounded(op: OperatorPlan) -> OperatorPlan:
        return replace(op, keys=tuple(replace(keys, weights=catalog.format_("fp8_e4m3")) for keys in op.keys))

    def logits(which: NumericsPlan) -> np.ndarray:
        at = Pass(model(NAME), Weights(model(NAME), weights(NAME)), KvCache(1), fed, 0)
        return walk.run(graph, which, at)

    changed = replace(plan, operators=tuple(rounded(op) for op in plan.operators))
    assert said(changed)["P before P V", "prefill"] == "fp8_e4m3"
    assert not np.array_equal(logits(plan), logits(changed))
