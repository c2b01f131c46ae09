"""IPUs as a device: supersteps of kernels, layers over chips, tensor parallelism, streaming, formats, closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.energy import COMPONENTS
from accelsim.errors import RequestError
from accelsim.evaluate.operators import single
from accelsim.evaluate.points import evaluate_points
from accelsim.evaluate.resolve import formats_of, reachable
from accelsim.explain import explain
from accelsim.graph.operator import Operator
from accelsim.mapping.kernel import Kernel
from accelsim.results import Run
from accelsim.simulation import simulate, simulate_operator

SHORT: dict[str, Any] = {"prompt": 4, "generate": 3}


def run(model: str = "gpt2", on: str = "ipu-mk2-8", **more: Any) -> Run:
    done = simulate(model, on, **{**SHORT, **more})
    assert done.infeasible is None, done.infeasible
    return done


def kernel(kind: str, on: str = "ipu-gc200", **dims: Any) -> Kernel:
    chip = catalog.chip(on)
    formats = formats_of(chip, None, None, None)
    device = device_for(chip, {form.name: form.bits for form in reachable(chip, formats)})
    made = device.kernel(single(kind, dims, formats))
    assert isinstance(made, Kernel)
    return made


def sent(done: Run, phase: str = "decode") -> dict[str, Any]:
    row = next(r for r in done.rows("operators") if r["name"] == "send" and r["phase"] == phase)
    return {**row, "count": row["count"] // next(p["steps"] for p in done.rows("phases") if p["phase"] == phase)}


# Kernels


def test_a_product_is_supersteps_of_exchange_and_compute_that_do_not_overlap() -> None:
    made = kernel("matmul", m=1, n=6400, k=1600)
    assert [phase.name for phase in made.phases] == [
        "multiply.exchange", "multiply.products", "multiply.issue", "reduce1.exchange", "reduce1.issue",
        "reduce1.vectors",
    ]  # fmt: skip
    assert all(phase.buffers == phase.steps == 1 for phase in made.phases)
    assert made.demand("chip.sync") == 2 * 393
    assert made.demand("chip.tile.sram") >= 2 * 6400 * 1600


def test_time_is_the_sum_of_what_the_planner_names() -> None:
    done = simulate_operator("matmul", m=1, n=6400, k=1600, on="ipu-gc200")
    chosen = kernel("matmul", m=1, n=6400, k=1600).choice
    parts = ("sync", "exchange", "load", "issue", "multiply", "vector")
    total = sum(chosen[f"{name}_cycles"] for name in parts)
    assert done.summary["cycles"] == pytest.approx(total, abs=6)


def test_attention_is_scores_softmax_and_sums() -> None:
    made = kernel("attention", query=1, kv=300, heads=25, head_dim=64)
    names = [phase.name.partition(".")[0] for phase in made.phases]
    assert list(dict.fromkeys(names)) == ["scores", "softmax", "context"]


def test_explain_says_what_was_considered_and_what_it_costs() -> None:
    found: Any = explain("gpt2-xl", "up_proj", "ipu-mk2-8", prompt=1)
    assert found.bound == "issue"
    assert found.choice["tiles"] > 1300
    assert len(found.alternatives) > 5
    assert found.alternatives[0].time_s == min(way.time_s for way in found.alternatives)
    assert {c.path for c in found.constants} >= {"timing.superstep", "vertex.worker", "peak.0.rate"}
    assert "peak.1.rate" not in {c.path for c in found.constants}
    assert found.closed_form_s < found.time_s


# Systems


def test_layers_follow_each_other_over_the_chips_and_activations_are_sent() -> None:
    done = run("gpt2-xl")
    assert sent(done)["count"] == 8  # to seven chips with layers, and back to the head
    assert sent(done)["bound"] == "sync"
    alone = run("gpt2", "ipu-gc200")
    assert not [row for row in alone.rows("operators") if row["name"] == "send"]


def test_a_lone_chip_is_a_system_of_one() -> None:
    alone, one = run("gpt2", "ipu-gc200"), run("gpt2", overrides={"count": 1})
    assert alone.summary["decode_time_s"] == one.summary["decode_time_s"]


def test_chips_that_share_layers_are_faster_where_work_is_large_and_send_sums() -> None:
    mesh = {"tensor_parallel": 4, "topology": "mesh", "neighbour_lanes": 1}
    pipeline, shared = run(prompt=512), run(prompt=512, overrides=mesh)
    assert shared.summary["prefill_time_s"] < pipeline.summary["prefill_time_s"]
    rows = {row["name"]: row for row in shared.rows("operators") if row["phase"] == "prefill"}
    assert rows["layers.mlp.down_proj"]["energy_j"] > 0
    assert rows["layers.attention.o_proj"]["bound"] in {"link", "sync"}
    assert shared.summary["flops"] == pipeline.summary["flops"]


def test_heads_that_cannot_be_dealt_equally_are_a_result_with_the_numbers_that_can() -> None:
    done = simulate("gpt2-xl", "ipu-mk2-8", overrides={"tensor_parallel": 2}, **SHORT)
    assert done.infeasible is not None
    assert "25 heads" in done.infeasible.reason
    assert done.infeasible.levers == ("tensor_parallel = 1", "tensor_parallel = 5", "tensor_parallel = 25")


def test_a_topology_needs_links() -> None:
    with pytest.raises(RequestError, match=r"7 neighbours of 2 links each, 14 in all, .* link\.lanes = 10"):
        run(overrides={"topology": "mesh"})


def test_what_the_tiles_cannot_hold_streams_in_every_pass() -> None:
    small = {"tile.sram": "200 KiB"}
    held, streamed = run(), run(overrides=small)
    assert held.summary["dram_bytes"] == 0
    assert streamed.summary["dram_bytes"] > 1e6
    assert streamed.summary["decode_time_s"] > held.summary["decode_time_s"]
    assert "memory" in set(streamed.operators["bound"])
    refused = simulate("gpt2", "ipu-c600-8", overrides=small, **SHORT)
    assert refused.infeasible is not None
    assert refused.infeasible.kind == "capacity"
    assert not refused.memory["fits"].any()


def test_the_number_of_chips_can_be_asked_for() -> None:
    assert run(chips=4).summary["memory_capacity_bytes"] == run().summary["memory_capacity_bytes"] / 2
    found = run("gpt2-xl", "ipu-c600-8", chips="auto")
    assert found.summary["memory_capacity_bytes"] < run("gpt2-xl", "ipu-c600-8").summary["memory_capacity_bytes"]


def test_an_encoder_keeps_its_chips_while_the_decoder_generates() -> None:
    done = run("t5-xxl", "ipu-mk2-32", prompt=16)
    assert done.summary["decode_time_s"] > 0
    assert sent(done)["count"] < sent(done, "prefill")["count"] - 10


def test_a_lone_chip_has_no_neighbours_to_call() -> None:
    with pytest.raises(RequestError, match="ipu-gc200 is one chip; name a system of them"):
        simulate("gpt2", "ipu-gc200", chips=2, **SHORT)


def test_requests_may_be_columns_and_figures_of_the_chip_may_not() -> None:
    model, chip = catalog.model("gpt2"), catalog.chip("ipu-mk2-8")
    points = evaluate_points(model, chip, {"batch": np.array([1, 4]), "prompt": 4, "generate": 3})
    single_runs = [run(batch=batch, fidelity="roofline").summary["total_time_s"] for batch in (1, 4)]
    assert points["total_time_s"] == pytest.approx(single_runs, rel=1e-12)
    with pytest.raises(RequestError, match=r"on GPUs only, not memory\.bandwidth"):
        evaluate_points(model, chip, {"memory.bandwidth": np.array([1e12, 2e12])})


# Programs of a fixed length, batches, passes over several tokens


def test_programs_attend_to_the_longest_sequence_and_cost_the_same_in_every_step() -> None:
    short, long = (run(generate=generate).summary["time_per_output_token_s"] for generate in (2, 40))
    assert short < long
    fixed, growing = run(generate=40), run(generate=40, overrides={"length": "growing"})
    first = run(generate=2, overrides={"length": "growing"})
    assert first.summary["time_per_output_token_s"] == pytest.approx(short, rel=0.01)
    assert growing.summary["decode_time_s"] < fixed.summary["decode_time_s"]
    assert fixed.summary["flops"] == growing.summary["flops"]


def test_a_batch_shares_the_weights_until_the_threads_are_full() -> None:
    one, six, seven = (run("gpt2-xl", batch=batch).summary["time_per_output_token_s"] for batch in (1, 6, 7))
    assert one < six < 1.3 * one
    assert seven > 1.05 * six


def test_a_pass_over_several_tokens_costs_what_the_tiles_take_for_it() -> None:
    one, four = (simulate_operator("matmul", m=m, n=6400, k=1600, on="ipu-gc200").summary["cycles"] for m in (1, 4))
    assert one < four < 1.3 * one


# Formats


@pytest.mark.parametrize(
    ("on", "options", "priced"),
    [
        ("ipu-gc200", {}, "amp"),
        ("ipu-gc200", {"weights": "int4_g128"}, "amp+convert(int4_g128->fp16)"),
        ("ipu-gc200", {"weights": "fp8_e4m3"}, "amp+convert(fp8_e4m3->fp16)"),
        ("ipu-c600", {"format": "fp8_e4m3"}, "amp+round(fp8_e4m3)"),
        ("ipu-gc200", {"format": "fp32"}, "amp"),
    ],
)
def test_the_pair_of_formats_says_which_rate_and_which_conversion(on: str, options: Any, priced: str) -> None:
    done = simulate_operator("matmul", m=64, n=4096, k=4096, on=on, **options)
    assert done.infeasible is None
    assert done.operators["priced_by"].tolist() == [priced]


def test_fp32_is_slower_and_fp8_faster_than_fp16_where_there_is_a_rate() -> None:
    def time(on: str, form: str) -> float:
        return float(simulate_operator("matmul", m=2048, n=4096, k=4096, on=on, format=form).summary["total_time_s"])

    assert time("ipu-c600", "fp8_e4m3") < time("ipu-c600", "fp16") < time("ipu-c600", "fp32")


def test_a_pair_without_a_rate_or_a_way_there_is_a_result() -> None:
    done = simulate_operator("matmul", m=4, n=64, k=64, on="ipu-gc200", format="bf16")
    assert done.infeasible is not None
    assert "no rate for bf16 x bf16" in done.infeasible.reason


# Closed form and engine


@pytest.mark.parametrize("model", ["gpt2", "chatglm3-6b", "mixtral-8x7b", "bert-base"])
def test_the_engine_is_never_faster_than_the_closed_form(model: str) -> None:
    more: dict[str, Any] = {"weights": "int4_g128"} if model == "mixtral-8x7b" else {}
    event, closed = (run(model, "ipu-mk2-32", fidelity=f, **more) for f in ("event", "roofline"))
    least = {(row["phase"], row["name"]): row for row in closed.rows("operators")}
    for row in event.rows("operators"):
        if row["name"] != "send":
            bound = least[row["phase"], row["name"]]
            assert row["time_s"] >= bound["time_s"], row["name"]
            assert row["flops"] == pytest.approx(bound["flops"], rel=1e-9)
            assert row["energy_j"] >= bound["energy_j"] * (1 - 1e-9), row["name"]


def test_folding_changes_nothing_but_the_number_of_events() -> None:
    folded, whole = run("gpt2-xl"), run("gpt2-xl", fold=False)
    differing = {key for key, value in folded.summary.items() if value != whole.summary[key] and not math.isnan(value)}
    assert differing == {"events"}
    assert folded.operators.equals(whole.operators)


def test_energy_adds_up_over_components_and_resources() -> None:
    done = run("gpt2-xl")
    parts = sum(done.summary[f"energy_{name}_j"] for name in COMPONENTS)
    assert done.resources["energy_j"].sum() == pytest.approx(done.summary["energy_j"], rel=1e-9)
    assert parts == pytest.approx(done.summary["energy_j"], rel=1e-9)


def test_chips_beyond_the_working_ones_count_in_the_utilization() -> None:
    eight, four = (run(chips=chips).resources.set_index("resource") for chips in (8, 4))
    ratio = four.loc["chip.tile.amp", "utilization"] / eight.loc["chip.tile.amp", "utilization"]
    assert 1.9 < ratio < 2.2


def test_an_all_reduce_runs_on_as_many_chips_as_there_are() -> None:
    done = simulate_operator("all_reduce", bytes=10**6, devices=8, on="ipu-mk2-8")
    assert done.operators["bound"].tolist() == ["link"]
    refused = simulate_operator("all_reduce", bytes=10**6, devices=9, on="ipu-mk2-8")
    assert refused.infeasible is not None
    assert refused.infeasible.bound == 8


def test_a_system_of_something_else_is_refused() -> None:
    with pytest.raises(RequestError, match="its part upmem is no IPU"):
        device_for(catalog.chip("ipu-mk2-8", {"part": "upmem"}), {})


def test_operators_are_those_of_the_graph() -> None:
    done = run("gpt2-xl")
    assert {row["kind"] for row in done.rows("operators")} >= {"matmul", "attention", "fused", "send", "embedding"}
    assert isinstance(kernel("gelu", elements=10_000).operator, Operator)
