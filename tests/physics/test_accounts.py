"""Energy, time, bytes and memory add up, whichever frame one asks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.results import Run
from accelsim.units import PS_PER_S
from tests.physics.models import few_layers
from tests.physics.random_chips import chips, gpu, operators

CASES: dict[str, dict[str, Any]] = {
    "llama-3-8b": {"prompt": 300, "generate": 4, "batch": 3},
    "gemma-2-9b": {"prompt": 130, "generate": 2, "weights": "mxfp4"},
    "deepseek-v2-lite": {"prompt": 70, "generate": 3, "batch": 2},
    "t5-xxl": {"prompt": 40, "generate": 3},
    "bert-base": {"prompt": 128, "batch": 8},
}


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest) -> Run:
    """Several structures on an H100."""
    done = accelsim.simulate(few_layers(request.param, 3), "h100-sxm", **CASES[request.param])
    assert done.infeasible is None
    return done


def components(run: Run) -> float:
    """All parts of the summary's energy."""
    names = ("tensor", "vector", "register", "shared", "l2", "memory", "link", "board", "static")
    return sum(run.summary[f"energy_{name}_j"] for name in names)


def test_components_add_up_to_the_energy(run: Run) -> None:
    assert components(run) == pytest.approx(run.summary["energy_j"], rel=1e-12)
    assert run.phases["energy_j"].sum() == pytest.approx(run.summary["energy_j"], rel=1e-12)
    assert run.resources["energy_j"].sum() == pytest.approx(run.summary["energy_j"], rel=1e-12)
    dynamic = run.summary["energy_j"] - run.summary["energy_static_j"]
    assert run.operators["energy_j"].sum() == pytest.approx(dynamic, rel=1e-12)


def test_static_energy_is_idle_power_times_time(run: Run) -> None:
    expected = gpu("h100-sxm").power.idle_w * run.summary["total_time_s"]
    assert run.summary["energy_static_j"] == pytest.approx(expected, rel=1e-12)


def test_the_timeline_adds_up_to_the_resources(run: Run) -> None:
    rows = run.timeline.assign(busy=lambda t: (t["end_ps"] - t["start_ps"]) * t["repeat"])
    for column in ("amount", "bytes", "energy_j"):
        rows[column] = rows[column] * rows["repeat"]
    sums = rows.groupby("resource")[["busy", "amount", "bytes", "energy_j"]].sum()
    for name, row in run.resources.set_index("resource").iterrows():
        if name not in sums.index:
            assert row["busy_s"] == row["amount"] == 0 or name == "chip.static"
            continue
        assert sums.loc[name, "busy"] / PS_PER_S == pytest.approx(row["busy_s"], rel=1e-12)
        assert sums.loc[name, "amount"] == row["amount"]
        assert sums.loc[name, "bytes"] == row["bytes"]
        assert sums.loc[name, "energy_j"] == pytest.approx(row["energy_j"], rel=1e-9)


def test_intervals_of_a_resource_never_overlap_and_lie_within_the_run(run: Run) -> None:
    total = round(run.summary["total_time_s"] * PS_PER_S)
    for name, rows in run.timeline.groupby("resource"):
        spans = sorted(
            (row.start_ps + turn * row.period_ps, row.end_ps + turn * row.period_ps)
            for row in rows.itertuples()
            for turn in range(row.repeat)
        )
        assert spans[0][0] >= 0
        assert spans[-1][1] <= total
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), name


def test_bytes_are_conserved_between_operators_phases_resources_and_summary(run: Run) -> None:
    memory = run.resources.set_index("resource").loc["chip.memory", "bytes"]
    assert run.operators["dram_bytes"].sum() == memory == run.summary["dram_bytes"]
    assert run.phases["dram_bytes"].sum() == memory
    roles = run.operators[["weight_bytes", "kv_bytes", "activation_bytes"]].sum(axis=1)
    assert (roles - run.operators["bytes"]).abs().max() <= 1e-6 * run.operators["bytes"].max()
    # whole bytes are moved: at most one is rounded up per tensor and execution
    assert (run.operators["dram_bytes"] >= run.operators["bytes"] - 1e-3).all()


def test_times_and_rates_are_told_consistently(run: Run) -> None:
    summary, phases = run.summary, run.phases
    assert phases["time_s"].sum() == pytest.approx(summary["total_time_s"], rel=1e-12)
    assert summary["cycles"] == pytest.approx(summary["total_time_s"] * 1.83e9, abs=1)
    assert summary["achieved_bandwidth_bytes_per_s"] == pytest.approx(summary["dram_bytes"] / summary["total_time_s"])
    for _, row in phases.iterrows():
        mine = run.operators[run.operators["phase"] == row["phase"]]
        assert mine["time_s"].sum() == pytest.approx(row["time_s"], rel=1e-9)
        assert mine["flops"].sum() == pytest.approx(row["flops"], rel=1e-12)


@given(chips(), operators())
def test_average_power_lies_between_idle_and_limit_or_the_excess_is_told(
    chip: Any, op: tuple[str, dict[str, Any]]
) -> None:
    kind, dims = op
    run = accelsim.simulate_operator(kind, on=chip, **dims)
    if run.infeasible is not None:
        assert run.summary["fits"] is False or run.infeasible.kind != "capacity"
        return
    power, limit = run.summary["average_power_w"], chip.power.limit_w
    assert power >= chip.power.idle_w * (1 - 1e-12)
    assert components(run) == pytest.approx(run.summary["energy_j"], rel=1e-12)
    assert run.summary["power_excess_w"] == pytest.approx(max(0.0, power - limit), abs=1e-9)
    told = [text for text in run.warnings if "above the board limit" in text]
    if power > limit:
        assert len(told) == 1
        assert f"{power:.0f} W" in told[0]
        assert f"{power - limit:.0f} W above" in told[0]
        assert "assumed" in told[0]
    else:
        assert told == []


@given(st.sampled_from(["llama-2-7b", "mixtral-8x7b", "falcon-180b"]), st.sampled_from(["fp16", "fp8_e4m3", "mxfp4"]))
def test_a_model_that_does_not_fit_is_a_result_with_figures(name: str, weights: str) -> None:
    run = accelsim.simulate(
        name, "h100-sxm", prompt=64, generate=2, weights=weights, overrides={"memory.capacity": "2 GB"}
    )
    assert run.infeasible is not None
    assert run.infeasible.kind == "capacity"
    assert run.infeasible.demand == run.summary["peak_memory_bytes"] > run.infeasible.bound == 2e9
    assert run.summary["fits"] is False
    assert "too much" in run.infeasible.reason
    assert any("chips" in lever for lever in run.infeasible.levers)
    memory = run.memory
    assert (
        memory["peak_bytes"] == memory["weights_bytes"] + memory["kv_cache_bytes"] + memory["activations_bytes"]
    ).all()
    assert not memory["fits"].any()
    assert run.summary["total_time_s"] != run.summary["total_time_s"], "no time is claimed"
