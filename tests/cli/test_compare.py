"""`accelsim compare`: chips, exported runs, and sweeps."""

from __future__ import annotations

import pandas as pd
import pytest

CHIPS = ["compare", "h100-sxm", "h200-sxm", "--model", "gpt2", "--generate", "2", "--fidelity", "roofline"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_two_chips(command, document):
    code, out, _ = command(*CHIPS, "--export", "figures.csv")
    assert code == 0, out
    for said in ("time_per_output_token_s: ", "inputs differ:", "memory.bandwidth_bytes_per_s", "operators differ"):
        assert said in out
    found = document(*CHIPS)
    inputs = {row["input"]: (row["a"], row["b"]) for row in found["inputs"]}
    assert inputs["memory.bandwidth_bytes_per_s"] == (3.35e12, 4.8e12)
    assert inputs["chip"] == ("h100-sxm", "h200-sxm")
    ratios = {row["metric"]: row["ratio"] for row in found["metrics"]}
    assert 0.6 < ratios["time_per_output_token_s"] < 1
    decode = [row for row in found["operators"] if row["phase"] == "decode"]
    assert sum(row["share"] for row in decode) == pytest.approx(1)
    assert len(pd.read_csv("figures.csv")) == len(found["metrics"])


def test_one_chip_with_other_keys_and_the_same(document):
    one = ["compare", "h100-sxm", "h100-sxm", "--model", "gpt2", "--generate", "2", "--fidelity", "roofline"]
    assert document(*one)["lines"] == ["nothing differs"]
    found = document(*one, "--set", "batch=2", "--set-b", "memory.bandwidth=6.7 TB/s", "--set-b", "prompt=32")
    inputs = {row["input"]: (row["a"], row["b"]) for row in found["inputs"]}
    assert inputs["memory.bandwidth_bytes_per_s"] == (3.35e12, 6.7e12)
    assert inputs["prompt"] == (2048, 32)
    assert "batch" not in inputs


def test_runs_that_were_exported(command, document):
    for name, batch in (("a.json", "1"), ("b.json", "8")):
        run = ["run", "gpt2", "--on", "h100-sxm", "--generate", "2", "--prompt", "64", "--batch", batch]
        assert command(*run, "--fidelity", "roofline", "--export", name)[0] == 0
    found = document("compare", "a.json", "b.json")
    assert [row["input"] for row in found["inputs"]] == ["batch"]
    assert {row["metric"]: row["ratio"] for row in found["metrics"]}["flops"] > 7


def test_two_sweeps_and_their_exports(command, document, space, tmp_path):
    assert command("sweep", space, "--workers", "1", "--export", "first.csv")[0] == 0
    text = (tmp_path / space).read_text()
    (tmp_path / "other.toml").write_text(text.replace("prompt = 64", "prompt = 96").replace("[1, 8]", "[1, 4]"))
    assert command("sweep", "other.toml", "--workers", "1")[0] == 0
    same = document("compare", space, "first.csv")
    assert (same["both"], same["only_a"], same["only_b"], same["metrics"]) == (80, 0, 0, [])
    found = document("compare", "accelsim-results/space.sqlite", "other.toml")
    assert (found["both"], found["only_a"], found["only_b"]) == (60, 20, 0)
    assert {row["input"]: (row["a"], row["b"]) for row in found["inputs"]} == {"prompt": ("64", "96")}
    moved = {row["metric"]: row for row in found["metrics"]}
    assert moved["prefill_time_s"]["points"] == 60
    assert 1 < moved["prefill_time_s"]["least"] <= moved["prefill_time_s"]["median"] <= moved["prefill_time_s"]["most"]
    assert "batch = " in moved["prefill_time_s"]["at"]
    assert "memory_capacity_bytes" in found["equal"]
    code, out, _ = command("compare", space, "other.toml")
    assert code == 0
    assert "60 points in both, 20 only in the first, 0 only in the second" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "h100-sxm", "h200-sxm"], "which model"),
        (["compare", "h100-sxm", "run.json"], "h100-sxm is a chip and run.json a run"),
        (["compare", "run.json", "run.json"], "is no JSON"),
        (["compare", "list.json", "list.json"], "is no run"),
        (["compare", "pim_crossover", "pim_crossover", "--model", "gpt2"], "belong to chips"),
        (["compare", "pim_crossover", "pim_crossover"], "no results in"),
        ([*CHIPS, "--set", "bach=2"], "nearest: batch"),
        ([*CHIPS, "--set", "model=gpt2"], "expected a keyword of a run"),
        (["compare", "h100-sxn", "h200-sxm", "--model", "gpt2"], "nearest: h100-sxm"),
    ],
)
def test_bad_input(command, tmp_path, arguments, says):
    (tmp_path / "run.json").write_text("no")
    (tmp_path / "list.json").write_text("[]")
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_what_does_not_fit_is_said_and_exits_with_1(command):
    code, out, _ = command("compare", "h100-sxm", "h200-sxm", "--model", "opt-175b")
    assert code == 1
    assert "do not fit" in out
