"""Does `accelsim explain` take a kernel apart so that its parts add up?"""

from __future__ import annotations

import json
from typing import Any

import pytest

import accelsim
from accelsim.explain import explain
from accelsim.spec.infeasible import Infeasible

DECODE = ("llama-2-7b", "gate_up", "--on", "h100-sxm", "--prompt", "128")


@pytest.fixture(scope="module")
def gate_up() -> Any:
    found = explain("llama-2-7b", "gate_up", "h100-sxm", prompt=128)
    assert not isinstance(found, Infeasible)
    return found


# The computation


def test_time_is_that_of_the_run(gate_up: Any) -> None:
    run = accelsim.simulate("llama-2-7b", "h100-sxm", prompt=128, generate=2)
    row = next(r for r in run.rows("operators") if r["phase"] == "decode" and r["name"] == gate_up.operator)
    assert gate_up.operator == "layers.mlp.gate_up_proj"
    assert gate_up.count == row["count"] == 32
    assert gate_up.time_s == pytest.approx(row["time_s"] / row["count"], rel=1e-12)
    assert (gate_up.bound, gate_up.priced_by, gate_up.status) == (row["bound"], row["priced_by"], row["status"])
    assert gate_up.closed_form_s < gate_up.time_s


def test_limits_add_up_to_the_time(gate_up: Any) -> None:
    assert sum(limit.time_s for limit in gate_up.limits) == pytest.approx(gate_up.time_s, rel=1e-9)
    assert sum(limit.time_fraction for limit in gate_up.limits) == pytest.approx(1, rel=1e-9)
    assert gate_up.limits[0].limit == "chip.memory"
    assert [limit.time_s for limit in gate_up.limits] == sorted((r.time_s for r in gate_up.limits), reverse=True)


def test_demand_is_at_least_the_weights_and_never_above_a_rate(gate_up: Any) -> None:
    memory = next(use for use in gate_up.uses if use.resource == "chip.memory")
    once = 2 * 4096 * 22016 + 2 * 4096 + 2 * 22016
    assert once <= memory.amount <= once + 2 * 2 * 4096  # three waves: at most two further reads of the input row
    drawn = next(figure.value for figure in gate_up.constants if figure.path == "memory.dram")
    assert 0.95 * 3.35e12 < drawn < 3.35e12
    assert 0.8 < memory.amount / drawn / memory.alone_s < 1  # kernels draw less than plain streams
    tensor = next(use for use in gate_up.uses if use.resource == "chip.sm.tensor")
    assert tensor.unit == "clk"
    for use in gate_up.uses:
        assert 0 < use.rate_fraction <= 1
        assert use.time_fraction < 1.0 + 1e-9
        assert use.alone_s == pytest.approx(use.amount / use.rate, rel=1e-9)


def test_lifting_a_limit_helps_as_far_as_the_next_one(gate_up: Any) -> None:
    by_name = {limit.limit: limit for limit in gate_up.limits}
    start = next(figure.value for figure in gate_up.constants if figure.path == "calibration.gemm.start")
    assert by_name["launch"].lifted_s == pytest.approx(gate_up.time_s - 1.8e-6 - start, rel=1e-4)
    memory = by_name["chip.memory"]
    assert memory.speed_up == pytest.approx(gate_up.time_s / memory.lifted_s, rel=1e-4)
    assert 2 < memory.speed_up < 10
    rest = [use.alone_s for use in gate_up.uses if use.resource != "chip.memory"]
    assert memory.lifted_s > max(rest)
    for limit in gate_up.limits:
        assert limit.speed_up >= 1


def test_the_chosen_way_is_the_fastest_alternative(gate_up: Any) -> None:
    times = [alternative.time_s for alternative in gate_up.alternatives]
    assert times == sorted(times)
    assert len(times) > 10
    assert gate_up.alternatives[0].label == gate_up.choice["label"]
    assert gate_up.choice["waves"] == -(-gate_up.choice["tiles"] // 132)


def test_every_constant_has_value_unit_source_and_status(gate_up: Any) -> None:
    found = {constant.path: constant for constant in gate_up.constants}
    assert len(found) == len(gate_up.constants)
    assert (found["memory.bandwidth"].value, found["memory.bandwidth"].unit) == (3.35e12, "B/s")
    assert found["memory.bandwidth"].status == "datasheet"
    assert (found["sm.count"].value, found["sm.count"].unit) == (132, "")
    assert found["sm.max_tiles"].status == "assumed"
    rates = [path for path in found if path.startswith("peak.") and path.endswith(".rate")]
    assert [found[path].value for path in rates] == [4096]  # the row of bf16 x bf16 and no other
    assert all(constant.source for constant in gate_up.constants)


def test_what_only_some_kernels_use_is_listed_where_it_is_used(gate_up: Any) -> None:
    def paths(operator: str, **request: Any) -> set[str]:
        found = explain("llama-2-7b", operator, "h100-sxm", prompt=512, **request)
        assert not isinstance(found, Infeasible)
        return {constant.path for constant in found.constants}

    plain = {constant.path for constant in gate_up.constants}
    assert not any(path.startswith(("convert", "vector", "l2.latency")) for path in plain)
    converted = paths("gate_up", weights="int4_g128")
    assert len([path for path in converted if path.startswith("convert.")]) == 1
    assert "vector.rate" in converted
    decode = paths("attend")
    assert {"vector.rate", "vector.special", "l2.latency"} <= decode  # softmax, and the sum over its KV splits
    assert "sm.operand_sharing" not in decode


def test_an_override_is_shown_as_assumed() -> None:
    found = explain("gpt2", "lm_head", "h100-sxm", prompt=16, overrides={"memory.bandwidth": "1 TB/s"})
    assert not isinstance(found, Infeasible)
    bandwidth = next(constant for constant in found.constants if constant.path == "memory.bandwidth")
    assert (bandwidth.value, bandwidth.status) == (1e12, "assumed")


def test_prefill_and_later_steps() -> None:
    prefill = explain("gpt2", "attend", "h100-sxm", phase="prefill", prompt=512)
    assert not isinstance(prefill, Infeasible)
    assert (prefill.step, prefill.dims["query"], prefill.dims["kv"]) == (0, 512, 512)
    later = explain("gpt2", "attend", "h100-sxm", step=10, prompt=512)
    assert not isinstance(later, Infeasible)
    assert (later.step, later.dims["query"], later.dims["kv"]) == (10, 1, 522)


def test_elementwise_operators_are_explained_too() -> None:
    found = explain("llama-2-7b", "activation_multiply", "h100-sxm", prompt=16)
    assert not isinstance(found, Infeasible)
    assert found.bound == "launch"
    assert found.limits[0].speed_up > 2
    assert found.alternatives == ()
    assert "vector.rate" in {constant.path for constant in found.constants}


# The command


def test_text_has_every_part(command: Any, gate_up: Any) -> None:
    code, out, err = command("explain", *DECODE)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "layers.mlp.gate_up_proj of llama-2-7b on h100-sxm · decode step 1 · batch 1 · 128 in"
    assert lines[1] == "matmul m=1 n=22016 k=4096 batch=1 · bf16"
    assert "bound by memory" in out
    assert f"priced by {gate_up.priced_by}; weakest figure used: assumed" in lines
    for text in (f"tile {gate_up.choice['tile']}", f"waves {gate_up.choice['waves']}", "split 1", "stages "):
        assert any(line.startswith(text) for line in lines)
    assert "what set the pace bound for share without it, same tiles speed-up" in lines
    assert any(line.startswith("chip.memory memory ") and line.endswith("x") for line in lines)
    assert f"alternatives considered, best 10 of {len(gate_up.alternatives)} time" in lines
    assert any(line.startswith(gate_up.choice["label"]) and line.endswith(" chosen") for line in lines)
    assert any(line.startswith("memory.bandwidth 3.350 TB/s datasheet [") for line in lines)
    assert any(line.startswith("peak.0.rate 4096 FLOP/clk derived [") for line in lines)
    sources = [line for line in lines if line.startswith("[")]
    assert [line.partition(" ")[0] for line in sources] == [f"[{i + 1}]" for i in range(len(sources))]
    assert "[1] " + gate_up.constants[0].source in lines


def test_json_has_the_explanation(document: Any, gate_up: Any) -> None:
    found = document("explain", *DECODE)
    assert found["schema"] == "accelsim/explain/1"
    assert found["time_s"] == gate_up.time_s
    assert found["limits"] == json.loads(json.dumps(gate_up.to_dict()["limits"]))
    assert len(found["constants"]) == len(gate_up.constants)
    assert found["choice"]["tile"] == gate_up.choice["tile"]


def test_options_change_the_answer(document: Any, gate_up: Any) -> None:
    half = document("explain", *DECODE, "--weights", "int8", "--set", "memory.bandwidth=1 TB/s")
    memory = next(use for use in half["uses"] if use["resource"] == "chip.memory")
    assert memory["amount"] == 4096 * 22016 + 2 * 4096 + 2 * 22016
    assert 0.8e12 < memory["rate"] < 0.97e12  # what kernels get of it
    unfused = document("explain", "llama-2-7b", "gate_proj", "--on", "h100-sxm", "--unfused")
    assert unfused["dims"]["n"] == 11008


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("llama-2-7b", "gate_pu_proj"),
         "error: no operator named 'gate_pu_proj' (decode of llama-2-7b)\n  nearest: layers.mlp.gate_up_proj"),
        (("llama-2-7b", "proj"), "error: operator 'proj' could be any of 4 in the decode of llama-2-7b: layers."),
        (("llama-2-7b", "gate_up", "--phase", "decod"), "error: phase = 'decod': allowed are prefill, decode"),
        (("llama-2-7b", "gate_up", "--step", "0"), "error: step = 0: expected a whole number of at least 1"),
        (("llama-2-7b", "gate_up", "--prompt", "0"), "error: prompt = 0: expected a whole number of at least 1"),
        (("bert-base", "attend", "--phase", "decode"), "error: bert-base is encoder-only: it has no decode phase"),
        (("llama-2-7b", "gate_up", "--set", "sm.cout=3"), "error: no key named 'sm.cout'\n  nearest: sm.count"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(command: Any, arguments: Any, message: str) -> None:
    code, out, err = command("explain", *arguments, "--on", "h100-sxm")
    assert (code, out) == (2, "")
    assert err.startswith(message)


def test_a_model_that_does_not_fit_is_a_result(command: Any) -> None:
    code, out, _ = command("explain", "llama-2-70b", "gate_up", "--on", "h100-sxm")
    assert code == 1
    assert out.startswith("infeasible: 138 GB of weights")
    code, out, _ = command("explain", "llama-2-70b", "gate_up", "--on", "h100-sxm", "--json")
    assert code == 1
    assert json.loads(out)["status"] == "infeasible"


def test_an_encoder_is_explained_in_its_only_phase(document: Any) -> None:
    found = document("explain", "bert-base", "up_proj", "--on", "v100", "--prompt", "64")
    assert (found["phase"], found["step"]) == ("prefill", 0)
