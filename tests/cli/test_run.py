"""Does `accelsim run` say what the simulation found, and say clearly what is wrong with a request?"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim import catalog
from accelsim.cli.progress import Bar
from accelsim.results import Run
from accelsim.results.export import json_ready

GPT2 = ("gpt2", "--on", "h100-sxm")
SMALL = ("gpt2", "--on", "h100-sxm", "--prompt", "64", "--generate", "3")


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def small(**request: Any) -> Run:
    return accelsim.simulate("gpt2", "h100-sxm", **{"prompt": 64, "generate": 3, **request})


# text


def test_headline_names_everything_resolved(command: Any) -> None:
    code, out, err = command("run", *SMALL)
    assert (code, err) == (0, "")
    first, second = out.splitlines()[:2]
    assert first == ("gpt2 on h100-sxm · bf16 weights, activations and KV · batch 1 · 64 in, 3 out · event · corrected")
    off = 100 * catalog.calibration("h100-sxm-trtllm-1.3").fitted.held.mean
    assert second.startswith(f"calibrated: GEMMs by trtllm-1.3 on h100-sxm ({off:.1f} % off); ")


def test_headline_tells_formats_apart(command: Any) -> None:
    _, out, _ = command("run", *SMALL, "--weights", "int4_g128", "--kv-cache", "fp8_e4m3", "--fidelity", "roofline")
    assert "int4_g128 weights, bf16 activations, fp8_e4m3 KV" in out.splitlines()[0]
    _, out, _ = command("run", *SMALL, "--kv-cache", "fp8_e4m3", "--fidelity", "roofline")
    assert "bf16 weights and activations, fp8_e4m3 KV" in out.splitlines()[0]


def test_figures_are_those_of_the_run(command: Any) -> None:
    _, out, _ = command("run", *SMALL)
    found = small()
    summary, phases = found.summary, {row["phase"]: row for row in found.rows("phases")}
    rows = words(out)
    first = next(row for row in rows if row.startswith("time to first token "))
    peak = 132 * 4096 * 1.83e9
    assert f"{summary['time_to_first_token_s'] * 1e6:.0f} us" in first
    assert f"{phases['prefill']['achieved_flops_per_s'] / peak * 100:.0f} % of 989" in first
    each = next(row for row in rows if row.startswith("time per output token "))
    assert f"{summary['time_per_output_token_s'] * 1e6:.0f} us" in each
    assert f"{phases['decode']['achieved_bytes_per_s'] / 3.35e12 * 100:.0f} % of 3.35" in each
    assert f"throughput {summary['tokens_per_s']:,.0f} tokens/s" in rows
    energy = next(row for row in rows if row.startswith("energy per token "))
    assert f"{summary['energy_per_token_j'] * 1e3:.1f} mJ" in energy
    assert f"static {summary['energy_static_j'] / summary['energy_j'] * 100:.0f} %" in energy
    assert "HBM3" in energy
    memory = next(row for row in rows if row.startswith("memory "))
    assert "0.25 GB of 80.0 (weights 0.25, KV 0.0024, activations " in memory
    assert any(row.startswith("simulated in") and row.endswith(f"{summary['events']} events") for row in rows)


def test_the_most_expensive_operators_come_first(command: Any) -> None:
    _, out, _ = command("run", *SMALL, "--top", "3")
    rows = sorted(
        (row for row in small().rows("operators") if row["phase"] == "decode"), key=lambda row: -row["time_s"]
    )
    lines = words(out)
    start = next(i for i, line in enumerate(lines) if line.startswith("three most expensive operators (decode, "))
    total = sum(row["time_s"] for row in rows)
    for line, row in zip(lines[start + 1 :], rows[:3], strict=True):
        assert line.startswith(f"{row['name']} x{row['count'] // 2} ")
        assert f" {row['time_s'] / total * 100:.0f} % " in line
        assert line.endswith(f"{row['priced_by']} {row['status']}")
    assert "most expensive" not in command("run", *SMALL, "--top", "0")[1]


def test_without_decode_the_prompt_is_told(command: Any) -> None:
    code, out, err = command("run", "bert-base", "--on", "v100", "--prompt", "128", "--fidelity", "roofline")
    assert (code, err) == (0, "")
    assert "time of the pass" in out
    assert "per output token" not in out
    assert "five most expensive operators (prefill)" in out
    assert "closed form" in out


def test_llm_viewer_gives_no_energy(command: Any) -> None:
    code, out, _ = command(
        "run", "llama-2-7b", "--on", "llm-viewer-a6000", "--convention", "llm-viewer", "--fidelity", "roofline",
        "--generate", "2", "--flash",
    )  # fmt: skip
    assert code == 0
    assert "energy" not in out
    assert "% of 768" in out
    assert "fused_attention" in out


# JSON


def test_json_is_one_document_with_the_numbers_of_the_run(document: Any) -> None:
    found = document("run", *SMALL)
    expected = small()
    assert found["schema"] == "accelsim/run/1"
    assert found["status"] == "ok"
    assert found["summary"] == dict(expected.summary)
    assert found["operators"] == json_ready(expected.rows("operators"))
    assert found["request"]["generate"] == 3


def test_every_option_reaches_the_simulation(document: Any) -> None:
    found = document(
        "run", "mixtral-8x7b", "--on", "h200-sxm", "--batch", "2", "--prompt", "16", "--generate", "2",
        "--weights", "int4_g128", "--activations", "bf16", "--kv-cache", "fp8_e4m3", "--fidelity", "roofline",
        "--logits", "all", "--routing", "zipf:1:drawn", "--unfused", "--seed", "7", "--no-fold",
        "--set", "memory.bandwidth=1 TB/s",
    )  # fmt: skip
    expected = accelsim.simulate(
        "mixtral-8x7b", "h200-sxm", batch=2, prompt=16, generate=2, weights="int4_g128", activations="bf16",
        kv_cache="fp8_e4m3", fidelity="roofline", logits="all", routing="zipf:1:drawn", fuse=False, seed=7, fold=False,
        overrides={"memory.bandwidth": "1 TB/s"},
    )  # fmt: skip
    assert found["summary"] == json_ready(expected.summary)
    assert found["request"] == asdict(expected.request)
    for key, value in {"logits": "all", "routing": "zipf:1:drawn", "fuse": False, "fold": False, "seed": 7}.items():
        assert found["request"][key] == value


def test_streams_arrive(document: Any) -> None:
    found = document("run", *SMALL, "--unfused", "--streams", "graph")
    assert found["request"]["streams"] == "graph"
    assert found["summary"] == json_ready(small(fuse=False, streams="graph").summary)


def test_a_faster_memory_makes_decode_faster(document: Any) -> None:
    fast = document("run", *SMALL, "--set", "memory.bandwidth=10 TB/s")["summary"]["time_per_output_token_s"]
    slow = document("run", *SMALL, "--set", "memory.bandwidth=1 TB/s")["summary"]["time_per_output_token_s"]
    assert fast < small().summary["time_per_output_token_s"] < slow


def test_json_of_an_infeasible_run(command: Any) -> None:
    code, out, err = command("run", "llama-2-70b", "--on", "h100-sxm", "--json")
    found = json.loads(out)
    assert (code, err) == (1, "")
    assert found["status"] == "infeasible"
    assert found["infeasible"]["kind"] == "capacity"
    assert found["infeasible"]["demand"] > found["infeasible"]["bound"] == 80e9
    assert found["summary"]["total_time_s"] is None
    assert found["memory"][0]["fits"] is False


# What cannot be done, and what is wrong


def test_a_model_that_does_not_fit_is_a_result_with_levers(command: Any) -> None:
    code, out, err = command("run", "llama-2-70b", "--on", "h100-sxm")
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.startswith("infeasible: 138 GB of weights, ")
    assert "do not fit 80.0 GB of h100-sxm memory: " in first
    assert first.endswith(" too much")
    assert second.startswith("  would fit: --weights ")
    assert " chips of this memory" in second


def test_several_chips_that_no_board_joins_are_a_result_too(command: Any) -> None:
    code, out, _ = command("run", *SMALL, "--chips", "16")
    assert code == 1
    assert out.startswith("infeasible: 16 chips of ")
    assert "a board joins 8 at most" in out


def test_a_prompt_beyond_the_context_is_warned_about(command: Any) -> None:
    code, out, err = command("run", "gpt2", "--on", "h100-sxm", "--prompt", "2000", "--generate", "2",
                             "--fidelity", "roofline")  # fmt: skip
    assert code == 0
    assert err.startswith("warning: prompt + generate = 2002 tokens exceed the 1024 positions that gpt2 was made for")
    assert "time to first token" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gpt2", "--on", "h100-sxn"), "error: no chip named 'h100-sxn' (--on)\n  nearest: h100-sxm, "),
        (("gtp2", "--on", "h100-sxm"), "error: no model named 'gtp2'\n  nearest: gpt2"),
        ((*GPT2, "--weights", "bf17"), "error: no format named 'bf17'\n  nearest: bf16"),
        ((*GPT2, "--kv-cache", "fp8_e4m"), "error: no format named 'fp8_e4m'\n  nearest: fp8_e4m3"),
        ((*GPT2, "--set", "memory.bandwith=5 TB/s"),
         "error: no key named 'memory.bandwith'\n  nearest: memory.bandwidth"),
        ((*GPT2, "--set", "memory.bandwidth=3350"), "has no unit: expected a bandwidth (B/s)"),
        ((*GPT2, "--set", "memory.bandwidth=3350 GB"), 'did you mean "3350 GB/s"?'),
        ((*GPT2, "--set", "memory.capacity=0 GB"), "must be greater than zero"),
        ((*GPT2, "--set", "memory.capacity=-80 GB"), "must be greater than zero"),
        ((*GPT2, "--batch", "0"), "error: batch = 0: expected a whole number of at least 1"),
        ((*GPT2, "--prompt", "-3"), "error: prompt = -3: expected a whole number of at least 1"),
        ((*GPT2, "--generate", "-1"), "error: generate = -1: expected a whole number of at least 0"),
        ((*GPT2, "--batch", "two"), "Invalid value for '--batch'"),
        ((*GPT2, "--fidelity", "evnt"), "allowed are event, roofline: did you mean 'event'?"),
        ((*GPT2, "--logits", "first"), "logits = 'first': allowed are last, all"),
        ((*GPT2, "--convention", "llm-viewer"), "add --fidelity roofline"),
        ((*GPT2, "--flash"), "flash belongs to convention llm-viewer"),
        (("gpt2", "--on", "llm-viewer-a6000"), "use convention llm-viewer with fidelity roofline"),
        ((*GPT2, "--chips", "0"), "error: --chips 0: expected a whole number of at least 1, or auto"),
        (("gpt2",), "Missing option '--on'"),
        ((*GPT2, "--plot", "x.gif"), "error: --plot x.gif: allowed are names that end in .png, "),
        ((*GPT2, "--export", "x.xls"), "error: --export x.xls: allowed are names that end in .json"),
        ((*GPT2, "--export", "/nowhere/x.json"), "there is no folder /nowhere"),
        ((*GPT2, "--plot-kind", "rofline"), "breakdown, timeline, commands: did you mean 'roofline'?"),
    ],
)  # fmt: skip
def test_bad_input_is_explained_on_stderr_and_exits_with_2(command: Any, arguments: Any, message: str) -> None:
    code, out, err = command("run", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")


def test_heads_and_unsupported_configurations_are_explained(command: Any, tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 4, "intermediate_size": 128, "vocab_size": 100, "rms_norm_eps": 1e-6,
    }  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    code, _, err = command("run", str(file), "--on", "h100-sxm")
    assert code == 2
    assert "6 query heads are not a multiple of 4 KV heads" in err
    file.write_text(json.dumps({"model_type": "rwkv", "hidden_size": 64}), encoding="utf-8")
    code, _, err = command("run", str(file), "--on", "h100-sxm")
    assert code == 2
    assert "rwkv" in err


def test_a_truncated_or_binary_chip_file_is_explained(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "chip.toml"
    file.write_text('name = "chip"\nfamily = "gpu', encoding="utf-8")
    assert command("run", "gpt2", "--on", str(file))[0] == 2
    file.write_bytes(b'name = "\xff\xfe"')
    code, _, err = command("run", "gpt2", "--on", str(file))
    assert code == 2
    assert "UTF-8" in err


# Files


def test_export_and_plot_are_written(command: Any, tmp_path: Path) -> None:
    code, out, err = command(
        "run", *SMALL, "--export", str(tmp_path / "all.json"), "--plot", str(tmp_path / "roofline.png")
    )
    assert (code, err) == (0, "")
    assert f"  wrote {tmp_path / 'all.json'}" in out.splitlines()
    assert json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["summary"] == dict(small().summary)
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["all.json", "roofline.png"]


def test_with_json_stdout_has_the_document_only(command: Any, tmp_path: Path) -> None:
    code, out, err = command("run", *SMALL, "--json", "--export", str(tmp_path / "run.csv"))
    assert code == 0
    assert json.loads(out)["status"] == "ok"
    assert "wrote" in err
    assert (tmp_path / "run-operators.csv").is_file()


def test_an_infeasible_run_is_exported_but_not_drawn(command: Any, tmp_path: Path) -> None:
    code, out, err = command(
        "run",
        "llama-2-70b",
        "--on",
        "h100-sxm",
        "--export",
        str(tmp_path / "x.json"),
        "--plot",
        str(tmp_path / "x.png"),
    )
    assert code == 1
    assert out.startswith("infeasible: ")
    assert "no roofline to draw" in err
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_an_interrupted_export_leaves_the_old_file(command: Any, tmp_path: Path, monkeypatch: Any) -> None:
    target = tmp_path / "run.json"
    target.write_text("old", encoding="utf-8")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    code, _, err = command("run", *SMALL, "--export", str(target))
    assert code == 130
    assert err.endswith("error: interrupted\n")
    assert target.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_an_interrupted_picture_leaves_nothing(command: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from matplotlib.figure import Figure

    def half(_: Figure, path: Path, **__: object) -> None:
        Path(path).write_bytes(b"half a picture")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", half)
    code, _, _ = command("run", *SMALL, "--plot", str(tmp_path / "roofline.png"))
    assert code == 130
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_simulation_exits_with_130(command: Any, monkeypatch: Any) -> None:
    from accelsim.engine.runner import Runner

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "run", interrupt)
    assert command("run", *SMALL) == (130, "", "error: interrupted\n")


# The bar


def test_a_quick_run_shows_no_bar_and_a_long_one_does(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Bar()
    bar("decode", 1, 10)
    assert bar._bar is None
    now = 101.5
    bar("decode", 2, 10)
    assert bar._bar is not None
    assert bar._bar.tasks[0].completed == 2
    bar.close()
    assert capsys.readouterr().out == ""
