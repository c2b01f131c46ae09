"""The public call: definitions, defaults and every refusal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.errors import AccelsimError, DescriptionError, RequestError, UnknownNameError


def test_the_definitions_of_the_metrics() -> None:
    run = accelsim.simulate("gpt2", "a100-sxm-80gb", batch=4, prompt=100, generate=11)
    s = run.summary
    assert s["time_to_first_token_s"] == s["prefill_time_s"]
    assert s["total_time_s"] == s["prefill_time_s"] + s["decode_time_s"]
    assert s["time_per_output_token_s"] == s["decode_time_s"] / 10
    assert s["tokens_per_s"] == 4 * 11 / s["total_time_s"]
    assert s["decode_tokens_per_s"] == pytest.approx(4 / s["time_per_output_token_s"], rel=1e-15)
    assert s["energy_per_token_j"] == s["energy_j"] / (4 * 11)
    assert s["cycles"] == round(s["total_time_s"] * 1.41e9)
    assert s["achieved_bandwidth_bytes_per_s"] == s["dram_bytes"] / s["total_time_s"]


def test_one_token_needs_no_decode() -> None:
    run = accelsim.simulate("gpt2", "h100-sxm", prompt=64, generate=1)
    assert [row["phase"] for row in run.rows("phases")] == ["prefill"]
    assert run.summary["decode_time_s"] == 0
    assert math.isnan(run.summary["time_per_output_token_s"])


def test_an_encoder_has_no_decode_phase() -> None:
    run = accelsim.simulate("bert-base", "h100-sxm", prompt=128)
    assert [row["phase"] for row in run.rows("phases")] == ["prefill"]
    asked = accelsim.simulate("bert-base", "h100-sxm", prompt=128, generate=5)
    assert any("encoder-only" in warning for warning in asked.warnings)
    assert asked.summary["prefill_time_s"] == run.summary["prefill_time_s"]


def test_formats_default_to_the_chip() -> None:
    assert accelsim.simulate("gpt2", "v100", prompt=8, generate=1).request.weights == "fp16"
    assert accelsim.simulate("gpt2", "h100-sxm", prompt=8, generate=1).request.kv_cache == "bf16"


def test_a_path_works_wherever_a_name_does(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 512, "vocab_size": 1000,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    by_file = accelsim.simulate(tmp_path / "config.json", "h100-sxm", prompt=16, generate=2)
    by_folder = accelsim.simulate(str(tmp_path), "h100-sxm", prompt=16, generate=2)
    assert by_file.summary == by_folder.summary
    assert by_file.summary["total_time_s"] > 0


def test_overrides_reach_the_chip() -> None:
    slow = accelsim.simulate("llama-2-7b", "h100-sxm", generate=2, overrides={"memory.bandwidth": "1 TB/s"})
    fast = accelsim.simulate("llama-2-7b", "h100-sxm", generate=2, overrides={"memory.bandwidth": "5 TB/s"})
    assert slow.summary["decode_time_s"] > 3 * fast.summary["decode_time_s"]


def test_a_prompt_beyond_the_context_warns_and_runs() -> None:
    run = accelsim.simulate("gpt2", "h100-sxm", prompt=1020, generate=8)
    assert run.ok
    assert any("1028 tokens exceed the 1024 positions" in warning for warning in run.warnings)


@pytest.mark.parametrize(
    ("chip", "start"),
    [("h100-sxm", "calibrated: GEMMs by trtllm-1.3 on h100-sxm"),
     ("h100-pcie", "uncalibrated: no kernel of this chip was measured; GEMMs by trtllm-1.3 on h100-sxm"),
     ("v100", "uncalibrated: no kernel of this chip was measured; GEMMs by trtllm-1.0 on a100-sxm-80gb"),
     ("mi300x", "uncalibrated: ")],
)  # fmt: skip
def test_every_result_says_what_its_constants_come_from(chip: str, start: str) -> None:
    run = accelsim.simulate("gpt2", chip, prompt=8, generate=1)
    assert any(warning.startswith(start) for warning in run.warnings)


def test_library_residency_and_clock_change_the_answer_and_are_told() -> None:
    def seconds(**more: Any) -> float:
        run = accelsim.simulate_operator("matmul", on="h100-sxm", **{"m": 16, "n": 4096, "k": 1024, **more})
        return float(run.summary["total_time_s"])

    assert seconds(residency="steady") < seconds()
    assert seconds(residency={"weights": "steady"}) < seconds()
    assert seconds(clock="sustained", m=4096) > seconds(m=4096)
    assert seconds(library="trtllm-1.0") != seconds()
    run = accelsim.simulate("gpt2", "h100-sxm", prompt=8, generate=1, library="trtllm-1.0", clock="sustained")
    assert (run.request.library, run.request.residency, run.request.clock) == ("trtllm-1.0", "cold", "sustained")
    assert run.operators["priced_by"].str.contains("@a100-sxm-80gb-trtllm-1.0").any()


@pytest.mark.parametrize(
    ("more", "message"),
    [({"library": "cublas"}, "no library named 'cublas'"), ({"residency": "hot"}, "residency = 'hot': allowed are"),
     ({"clock": "boost"}, "clock = 'boost': allowed are burst, sustained")],
)  # fmt: skip
def test_conditions_that_do_not_exist_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        accelsim.simulate("gpt2", "h100-sxm", prompt=8, generate=1, **more)


def test_conditions_are_those_of_gpus() -> None:
    with pytest.raises(AccelsimError, match="library, residency and clock are conditions of GPU kernels"):
        accelsim.simulate("gpt2", "groq-lpu-8", prompt=8, generate=2, clock="sustained")


def test_logits_of_all_positions_cost_more() -> None:
    last, every = (accelsim.simulate("gpt2", "h100-sxm", prompt=256, generate=1, logits=x) for x in ("last", "all"))
    extra = 255 * 2 * 768 * 50257
    assert every.summary["flops"] - last.summary["flops"] == pytest.approx(extra, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bach": 2}, "no keyword 'bach': did you mean 'batch'"),
        ({"batch": 0}, "batch = 0: expected a whole number of at least 1"),
        ({"batch": True}, "batch = True: expected a whole number"),
        ({"prompt": -5}, "prompt = -5: expected a whole number of at least 1"),
        ({"generate": 1.5}, "generate = 1.5: expected a whole number"),
        ({"fidelity": "evnt"}, "fidelity = 'evnt': allowed are event, roofline: did you mean 'event'"),
        ({"convention": "viewer"}, "convention = 'viewer': allowed are corrected, llm-viewer"),
        ({"logits": "none"}, "logits = 'none': allowed are last, all"),
        ({"flash": True}, "flash belongs to convention llm-viewer"),
        ({"routing": "zipf:x"}, "the exponent is no number"),
        ({"routing": "nowhere.json"}, "neither 'uniform', 'zipf:EXPONENT' nor a file"),
    ],
)
def test_bad_requests(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        accelsim.simulate("gpt2", "h100-sxm", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "chip", "more", "message"),
    [
        ("gpt2", "h100-sxn", {}, r"no chip named 'h100-sxn'[\s\S]*nearest: h100-sxm"),
        ("gtp2", "h100-sxm", {}, r"no model named 'gtp2'[\s\S]*nearest: gpt2"),
        ("gpt2", "h100-sxm", {"weights": "mxfp5"}, r"no format named 'mxfp5'[\s\S]*nearest: [a-z0-9_, ]*mxfp4"),
        ("gpt2", "h100-sxm", {"overrides": {"memory.bandwith": "1 TB/s"}}, r"memory\.bandwith[\s\S]*bandwidth"),
    ],
)
def test_unknown_names_come_with_the_nearest(model: str, chip: str, more: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        accelsim.simulate(model, chip, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3.35", "has no unit"),
        ("3.35 TB", r'did you mean "3.35 TB/s"'),
        ("0 TB/s", "must be greater than zero"),
        ("-1 TB/s", "must be greater than zero"),
    ],
)
def test_bad_quantities(value: str, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        accelsim.simulate("gpt2", "h100-sxm", overrides={"memory.bandwidth": value})


def test_a_single_operator() -> None:
    run = accelsim.simulate_operator("matmul", m=64, n=12288, k=12288, on="a100-sxm-80gb", format="fp16")
    (row,) = run.rows("operators")
    assert row["phase"] == "operator"
    assert row["flops"] == 2 * 64 * 12288 * 12288
    assert row["bytes"] == 2 * (64 * 12288 + 12288 * 12288 + 64 * 12288)
    assert run.summary["total_time_s"] > row["bytes"] / 2.039e12


@pytest.mark.parametrize(
    ("kind", "dims", "message"),
    [
        ("matmul", {"m": 1, "n": 2}, "matmul: k missing; it takes m, n, k, batch"),
        ("matmul", {"m": 1, "n": 2, "k": 0}, "k = 0: expected a whole number of at least 1"),
        ("matmul", {"m": 1, "n": 2, "k": 3, "hed": 1}, "unknown dimension 'hed'"),
        (
            "attention",
            {"query": 1, "kv": 8, "heads": 6, "kv_heads": 4, "head_dim": 64},
            "heads = 6 is not a multiple of kv_heads = 4",
        ),
        ("attention", {"query": 9, "kv": 8, "heads": 6, "head_dim": 64, "causal": True}, "kv = 8 is below query = 9"),
        ("softmax", {"elements": 4}, "takes rows and columns"),
        ("add", {}, "takes elements, or rows and columns"),
        ("matmull", {}, "no operator named 'matmull'"),
    ],
)
def test_bad_operators(kind: str, dims: dict[str, int], message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        accelsim.simulate_operator(kind, on="h100-sxm", **dims)


def test_several_gpus_share_a_model() -> None:
    one, eight = (accelsim.simulate("llama-2-13b", "h100-sxm", chips=n, prompt=256, generate=4) for n in (1, 8))
    assert eight.request.chip == "h100-sxm@8"
    assert one.summary["time_per_output_token_s"] / 8 < eight.summary["time_per_output_token_s"]
    assert eight.summary["time_per_output_token_s"] < one.summary["time_per_output_token_s"] / 2
    assert eight.summary["flops"] == one.summary["flops"]
    kinds = eight.operators.set_index("name")["kind"]
    assert {"all_reduce", "all_gather"} <= set(kinds)
    assert "collectives by nccl on h100-sxm" in eight.warnings[-1]
    bounds = [accelsim.simulate("llama-2-13b", "h100-sxm", chips=8, prompt=256, generate=4, fidelity="roofline")]
    assert bounds[0].summary["total_time_s"] < eight.summary["total_time_s"]


def test_as_few_gpus_as_hold_the_model() -> None:
    run = accelsim.simulate("llama-2-70b", "h100-sxm", chips="auto", prompt=16, generate=2)
    assert run.request.chip == "h100-sxm@2"
    alone = accelsim.simulate("llama-2-7b", "h100-sxm", chips="auto", prompt=16, generate=2)
    assert alone.request.chip == "h100-sxm"
    never = accelsim.simulate("llama-3.1-405b", "h100-sxm", chips="auto", prompt=16, generate=2)
    assert never.infeasible is not None
    assert never.infeasible.kind == "capacity"


def test_gpus_that_cannot_share_a_model() -> None:
    for chips, message in ((3, "cannot be shared evenly by 3"), (16, "a board joins 8 at most")):
        run = accelsim.simulate("llama-2-7b", "h100-sxm", chips=chips, prompt=16, generate=2)
        assert run.infeasible is not None
        assert message in run.infeasible.reason
    one = accelsim.simulate_operator("matmul", m=1, n=1, k=1, on="h100-sxm", chips=2)
    assert one.infeasible is not None


def test_no_public_name_is_hidden_by_a_module() -> None:
    """`accelsim.simulate` must stay the function, whatever was imported before."""
    package = Path(accelsim.__file__).parent
    modules = {path.stem for path in package.glob("*.py")} | {path.name for path in package.iterdir() if path.is_dir()}
    assert not modules & set(accelsim.__all__)
