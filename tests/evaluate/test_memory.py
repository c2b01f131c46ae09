"""A model that does not fit is a result: how much is missing, what set it, what would help."""

from __future__ import annotations

import math

import pytest

from accelsim.simulation import simulate


def test_weights_beyond_the_memory_name_formats_that_fit() -> None:
    run = simulate("llama-2-70b", "h100-sxm")
    assert not run.ok
    assert run.status == "infeasible"
    why = run.infeasible
    assert why is not None
    assert why.kind == "capacity"
    assert why.unit == "B"
    assert why.demand > why.bound == 80e9
    assert why.demand == run.summary["peak_memory_bytes"]
    assert "138 GB of weights" in why.reason
    assert "80.0 GB of h100-sxm memory" in why.reason
    assert any(lever.startswith("--weights fp8_e4m3 (69.") for lever in why.levers)
    assert any(lever.startswith("--weights int4_g128 (36.") for lever in why.levers)
    assert math.isnan(run.summary["total_time_s"])
    assert run.rows("memory")[0]["fits"] is False


@pytest.mark.parametrize("lever", ["--weights fp8_e4m3", "--weights int4_g128"])
def test_the_format_levers_do_fit(lever: str) -> None:
    assert simulate("llama-2-70b", "h100-sxm", prompt=128, generate=2, weights=lever.split()[1]).ok


def test_a_batch_too_large_names_one_that_fits() -> None:
    why = simulate("llama-2-7b", "h100-sxm", batch=64, generate=2).infeasible
    assert why is not None
    lever = next(lever for lever in why.levers if lever.startswith("--batch"))
    batch = int(lever.split()[1])
    assert 1 <= batch < 64
    assert simulate("llama-2-7b", "h100-sxm", batch=batch, generate=2, fidelity="roofline").ok


def test_a_context_too_long_names_one_that_fits() -> None:
    why = simulate("llama-2-7b", "rtx-4090", prompt=100_000, generate=2).infeasible
    assert why is not None
    lever = next(lever for lever in why.levers if lever.startswith("about"))
    tokens = int(lever.split()[1])
    assert simulate("llama-2-7b", "rtx-4090", prompt=int(tokens * 0.98), generate=2, fidelity="roofline").ok


def test_the_kv_cache_is_that_of_the_last_step() -> None:
    run = simulate("llama-2-7b", "h100-sxm", prompt=100, generate=29, batch=3)
    prefill, decode = run.rows("memory")
    per_position = 3 * 2 * 32 * 4096 * 2  # batch, K and V, layers, width, bf16
    assert prefill["kv_cache_bytes"] == 100 * per_position
    assert decode["kv_cache_bytes"] == 128 * per_position


def test_block_scales_count_in_weights() -> None:
    plain, block = (simulate("llama-2-7b", "h100-sxm", prompt=8, generate=1, weights=w) for w in ("int4", "mxfp4"))
    linear = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    assert block.summary["weights_bytes"] - plain.summary["weights_bytes"] == linear * 0.25 / 8


def test_several_chips_hold_a_model_together() -> None:
    one, two = (simulate("llama-2-7b", "h100-sxm", prompt=8, generate=2, chips=n).memory.iloc[0] for n in (1, 2))
    norms = 2 * 4096 * (2 * 32 + 1)
    assert two["weights_bytes"] == one["weights_bytes"] + norms
    assert two["kv_cache_bytes"] == one["kv_cache_bytes"]
    assert two["capacity_bytes"] == 2 * one["capacity_bytes"]
