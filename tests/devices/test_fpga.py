"""Whole runs on FPGA overlays: what must hold whatever the constants are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.numerics.accumulator import accumulator
from accelsim.results import BOUNDS, Run
from accelsim.simulation import simulate, simulate_operator

DFX = {"model": "gpt2-345m", "on": "dfx-u280-1", "prompt": 32, "generate": 32}
FLIGHT = {"model": "llama-2-7b", "on": "flightllm-u280", "prompt": 128, "generate": 64}


def run(base: dict[str, Any], **more: Any) -> Run:
    given = {**base, **more}
    return simulate(given.pop("model"), given.pop("on"), **given)


def seconds(base: dict[str, Any], **more: Any) -> float:
    found = run(base, **more)
    assert found.ok, found.infeasible
    return float(found.summary["total_time_s"])


# token-serial DFX ------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["dfx-u280-1", "dfx-u280-4"])
def test_time_depends_on_input_plus_output_only(on: str) -> None:
    model = "gpt2-345m"
    times = [seconds({"model": model, "on": on}, prompt=p, generate=65 - p) for p in (1, 16, 32, 64)]
    assert times == pytest.approx([times[0]] * 4, rel=1e-6)


def test_the_slope_grows_only_by_keys_and_values() -> None:
    """A token at a later position differs by the attention, and that by what it reads."""
    steps = [run(DFX, prompt=prompt, generate=2) for prompt in (64, 127, 511)]
    rows = [{row["name"]: row for row in step.rows("operators") if row["phase"] == "decode"} for step in steps]
    for name in rows[0]:
        times = [row[name]["time_s"] for row in rows]
        if "attend" not in name:
            assert times == pytest.approx([times[0]] * 3, rel=1e-9), name
    grown = rows[2]["layers.attention.attend"]["time_s"] - rows[1]["layers.attention.attend"]["time_s"]
    # 384 positions more: 24 layers x 2 x 1,024 elements x 2 B each at what the ports draw; softmax and deeper sums
    read_s = 384 * 24 * 2 * 1024 * 2 / 296.4e9
    assert read_s < grown < 2.2 * read_s


def test_a_batch_of_b_takes_b_times_batch_1() -> None:
    one = run(DFX)
    for batch in (2, 8):
        many = run(DFX, batch=batch)
        for key in ("prefill_time_s", "decode_time_s", "dram_bytes"):
            # rows of the position table are read once for all sequences
            assert many.summary[key] == pytest.approx(batch * one.summary[key], rel=1e-4)


def test_where_weights_are_shared_a_batch_gains() -> None:
    one, eight = seconds(FLIGHT), seconds(FLIGHT, batch=8)
    assert eight < 8 * one
    assert seconds(FLIGHT, batch=128, prompt=8, generate=8) < 128 * seconds(FLIGHT, prompt=8, generate=8) / 4


def test_a_pass_over_several_tokens_costs_what_the_hardware_makes_it_cost() -> None:
    """Positions at once, as speculation verifies them: as many passes on DFX; a panel pays off from some on."""
    dfx, flight = (
        [seconds({"model": m, "on": on}, prompt=p, generate=1, logits="all") for p in (1, 5, 64)]
        for m, on in (("gpt2-345m", "dfx-u280-1"), ("llama-2-7b", "flightllm-u280"))
    )
    assert dfx[1] == pytest.approx(5 * dfx[0], rel=0.01)
    assert dfx[2] == pytest.approx(64 * dfx[0], rel=0.04)
    assert flight[1] == pytest.approx(5 * flight[0], rel=0.05)
    assert flight[2] < 64 * flight[0] / 2


# the contract ----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [DFX, {**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4"}, FLIGHT], ids=str)
def test_tables_add_up(base: dict[str, Any]) -> None:
    found = run(base)
    summary = found.summary
    operators, phases, resources = (found.rows(name) for name in ("operators", "phases", "resources"))
    assert sum(row["time_s"] for row in operators) == pytest.approx(summary["total_time_s"], rel=1e-9)
    assert {row["bound"] for row in operators} <= set(BOUNDS)
    assert sum(row["energy_j"] for row in resources) == pytest.approx(summary["energy_j"], rel=1e-9)
    moved = sum(row["bytes"] for row in resources if row["resource"].endswith(".hbm"))
    assert summary["dram_bytes"] == moved
    assert all(0 <= row["utilization"] <= 1 for row in resources)
    assert all(row["fits"] for row in found.rows("memory"))
    assert sum(row["energy_j"] for row in phases) == pytest.approx(summary["energy_j"], rel=1e-9)
    assert found.rows("timeline")
    assert 0 < summary["average_power_w"] < summary["power_limit_w"]
    assert any("calibrated" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "base", [DFX, {**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4"}, FLIGHT, {**FLIGHT, "on": "flightllm-vhk158"},
             {**FLIGHT, "batch": 16}], ids=str,
)  # fmt: skip
def test_events_take_at_least_as_long_as_the_roofline(base: dict[str, Any]) -> None:
    event, roof = run(base), run(base, fidelity="roofline")
    for phase in ("prefill", "decode"):
        assert event.summary[f"{phase}_time_s"] >= roof.summary[f"{phase}_time_s"] > 0
    slow = {(row["phase"], row["name"]): row["time_s"] for row in event.rows("operators")}
    for row in roof.rows("operators"):
        assert slow[row["phase"], row["name"]] >= row["time_s"] * (1 - 1e-9), row["name"]
    assert roof.summary["energy_j"] <= event.summary["energy_j"] * (1 + 1e-9)


def test_the_timeline_shows_boards_and_their_messages() -> None:
    rows = run({**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4"}, generate=2).rows("timeline")
    names = {row["resource"] for row in rows}
    assert {"chip.board[0:4].hbm", "chip.board[0:4].router", "chip.board[0:4].core.issue"} <= names
    assert any(row["resource"] == "chip.board[0:4].link" and "o_proj" in row["name"] for row in rows)


def test_fold_changes_nothing() -> None:
    folded, run_out = run(DFX, generate=4), run(DFX, generate=4, fold=False)
    assert folded.rows("operators") == run_out.rows("operators")
    assert folded.summary["total_time_s"] == run_out.summary["total_time_s"]


def test_the_unfused_graph_runs_as_well() -> None:
    assert seconds(DFX, generate=4, fuse=False) >= seconds(DFX, generate=4)


def test_a_mixture_of_experts_runs() -> None:
    found = simulate("qwen1.5-moe-a2.7b", "flightllm-vhk158", prompt=8, generate=4)
    assert found.ok, found.infeasible


@pytest.mark.parametrize("name", ["dfx-u280", "flightllm-u280", "flightllm-vhk158"])
def test_the_accumulator_is_one_that_numbers_can_be_computed_with(name: str) -> None:
    part: Any = catalog.chip(name)
    assert accumulator(part.matrix.accumulator).name == part.matrix.accumulator


@pytest.mark.parametrize(
    ("kind", "dims"), [("matmul", {"m": 3, "n": 500, "k": 700}), ("softmax", {"rows": 4, "columns": 300}),
                       ("gelu", {"elements": 5000}), ("layernorm", {"rows": 2, "columns": 1024}),
                       ("attention", {"query": 2, "kv": 90, "heads": 8, "kv_heads": 2, "head_dim": 64})]
)  # fmt: skip
@pytest.mark.parametrize("on", ["dfx-u280", "dfx-u280-4", "flightllm-u280"])
def test_single_operators_run(on: str, kind: str, dims: dict[str, int]) -> None:
    found = simulate_operator(kind, on=on, **dims)
    assert found.ok, found.infeasible
    assert found.summary["total_time_s"] > 0
    assert simulate_operator(kind, on=on, fidelity="roofline", **dims).summary["total_time_s"] > 0


# knobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [DFX, {**FLIGHT, "generate": 16}], ids=str)
@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("hbm.channels", (8, 16, 24, 32)), ("clock.kernel.frequency", ("100 MHz", "150 MHz", "200 MHz", "300 MHz")),
        ("hbm.outstanding", (1, 2, 8)), ("hbm.latency", ("1 us", "122.2 ns", "10 ns")), ("vector.width", (8, 64)),
        ("issue.overhead_cycles", (100.0, 10.0)), ("hbm.burst", ("512 B", "2 KiB", "4 KiB")),
    ],
)  # fmt: skip
def test_more_never_hurts(base: dict[str, Any], key: str, values: tuple[Any, ...]) -> None:
    times = [seconds(base, overrides={key: value}) for value in values]
    assert times == sorted(times, reverse=True)
    assert times[-1] < times[0]


def test_more_links_bandwidth_and_shorter_messages_never_hurt() -> None:
    base = {**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4"}
    for key, values in (("network.bandwidth", ("10 Gbit/s", "100 Gbit/s")), ("network.overhead", ("5 us", "0 s"))):
        slow, fast = (seconds(base, overrides={key: value}) for value in values)
        assert fast < slow


def test_half_the_clock_doubles_compute_time() -> None:
    """Without latencies of the memory, everything that computes is counted in cycles."""
    still = {"hbm.latency": "0 s", "ddr.latency": "0 s", "hbm.port_bits": 8192}
    op = {"m": 1, "n": 64, "k": 4096}
    free = {**still, "issue.overhead_cycles": 0.0}
    full, half = (
        simulate_operator("layernorm", on="dfx-u280", rows=64, columns=1024,
                          overrides={**free, "clock.kernel.frequency": f}).summary["total_time_s"]
        for f in ("200 MHz", "100 MHz")
    )  # fmt: skip
    assert half == pytest.approx(2 * full, rel=1e-3)
    times = [
        next(row["busy_s"] for row in simulate_operator(
            "matmul", on="dfx-u280", overrides={**still, "clock.kernel.frequency": f}, **op,
        ).rows("resources") if row["resource"] == "chip.core.issue")
        for f in ("200 MHz", "100 MHz")
    ]  # fmt: skip
    assert times[1] == pytest.approx(2 * times[0], rel=1e-6)


def test_the_sweep_of_d_at_constant_multipliers_finds_64_by_16() -> None:
    shapes = [(d, 1024 // d) for d in (8, 16, 32, 64, 128, 256, 512, 1024)]
    for prompt, generate in ((32, 32), (64, 64), (32, 256)):
        times = {
            d: seconds(DFX, prompt=prompt, generate=generate, overrides={"matrix.d": d, "matrix.l": l})
            for d, l in shapes
        }
        assert min(times, key=lambda d: times[d]) == 64
        wider = [times[d] for d, _ in shapes if d >= 64]
        assert wider == sorted(wider)


@pytest.mark.parametrize(
    ("resource", "slow", "bound"),
    [
        ("memory", {"hbm.channels": 1, "hbm.port_bits": 8}, "memory"), ("vector", {"vector.width": 1}, "vector"),
        ("issue", {"issue.overhead_cycles": 9000.0}, "issue"),
        ("pipeline", {"hbm.latency": "1 ms", "hbm.outstanding": 256}, "pipeline"),
    ],
)  # fmt: skip
def test_a_starved_resource_becomes_the_bound(resource: str, slow: dict[str, Any], bound: str) -> None:
    rows = run(DFX, generate=2, overrides=slow).rows("operators")
    assert bound in {row["bound"] for row in rows}, resource


@pytest.mark.parametrize(
    ("slow", "bound"), [({"network.overhead": "5 ms"}, "sync"), ({"network.bandwidth": "1 Mbit/s"}, "link")]
)
def test_a_starved_ring_becomes_the_bound(slow: dict[str, Any], bound: str) -> None:
    rows = run({**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4"}, generate=2, overrides=slow).rows("operators")
    assert bound in {row["bound"] for row in rows}


# what cannot be --------------------------------------------------------------------------------


def test_an_overlay_that_the_part_cannot_hold_is_a_result() -> None:
    found = run(DFX, overrides={"matrix.d": 128, "matrix.l": 32})
    assert found.infeasible is not None
    assert "3,774 too many" in str(found.infeasible)
    assert not run(DFX, overrides={"matrix.d": 128, "matrix.l": 32}, fidelity="roofline").ok


def test_boards_by_number_and_the_smallest_ring() -> None:
    base = {**DFX, "model": "gpt2-1.5b-dfx", "on": "dfx-u280-4", "generate": 4}
    assert seconds(base, chips=2) > seconds(base) > seconds(base, chips=6)
    auto = run({**base, "model": "llama-2-7b"}, chips="auto")
    assert auto.summary["memory_capacity_bytes"] == 2 * 8 * 2**30  # 13.5 GB
    assert not run(base, chips=5).ok
    with pytest.raises(RequestError, match="chips = 0"):
        run(base, chips=0)


def test_a_model_that_no_ring_holds_says_how_much_is_missing() -> None:
    base = {**DFX, "on": "dfx-u280-4", "generate": 2}
    large = run({**base, "model": "opt-175b"}, chips="auto", fidelity="roofline")
    assert large.summary["memory_capacity_bytes"] == 48 * 8 * 2**30  # 350 GB need 41 boards, 96 heads divide by 48
    found = run(base, chips="auto", batch=65536)
    assert found.infeasible is not None
    assert "16 boards, the most that divide 16 heads" in found.infeasible.reason


def test_a_model_that_does_not_fit_names_what_the_overlay_can_do_about_it() -> None:
    found = run({**DFX, "model": "llama-2-7b"}).infeasible
    assert found is not None
    assert found.kind == "capacity"
    assert found.demand > found.bound == 8 * 2**30
    assert found.levers[0] == "2 boards"
    assert not any("fp8" in lever for lever in found.levers)
    wide = run(FLIGHT, weights="int8", on="flightllm-u280", batch=16, prompt=1024).infeasible
    assert wide is not None
    assert any("flightllm_w3.5" in lever for lever in wide.levers)


# speed -----------------------------------------------------------------------------------------


def test_published_configurations_are_quick() -> None:
    run(DFX, generate=2)  # compiles and samples the memory
    run(FLIGHT, generate=2)
    for base, more in ((DFX, {}), (FLIGHT, {"generate": 512})):
        since = time.process_time()
        run(base, **more)
        assert time.process_time() - since < 2
