"""`accelsim crossover`: of a sweep and of chips."""

from __future__ import annotations

import pandas as pd
import pytest

CHIPS = ["crossover", "h100-sxm", "a100-sxm-80gb", "--model", "gpt2", "--set", "fidelity=roofline"]
ROOFLINE = [*CHIPS, "--set", "prompt=64", "--workers", "1"]
FILE = """
[fixed]
model = "gpt2"
fidelity = "roofline"
generate = 4
prompt = 128

[axes]
batch = [1, 512]
chip = [
    { base = "h100-sxm", name = "wide", memory.bandwidth = "4 TB/s", sm.count = 60 },
    { base = "h100-sxm", name = "fast", memory.bandwidth = "2 TB/s" },
]

[objectives]
total_time_s = "min"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide_or_fast.toml").write_text(FILE)
    return "wide_or_fast.toml"


def test_a_sweep_s_crossover_has_both_sides(command, document, file):
    code, out, _ = command("crossover", file, "--export", "sides.csv")
    assert code == 0, out
    assert "total_time_s along batch: wide against fast" in out
    assert "wide up to batch" in out
    found = document("crossover", file)
    (answer,) = found["answers"]
    (bracket,) = answer["brackets"]
    assert (bracket["below"]["best"], bracket["above"]["best"]) == ("wide", "fast")
    assert bracket["below"]["values"]["wide"] < bracket["below"]["values"]["fast"]
    assert bracket["above"]["values"]["wide"] > bracket["above"]["values"]["fast"]
    row = pd.read_csv("sides.csv").iloc[0]
    assert (row["below"], row["above"]) == (bracket["below"]["at"], bracket["above"]["at"])
    wider = document("crossover", file, "--step", "16")["answers"][0]["brackets"][0]
    assert wider["above"]["at"] - wider["below"]["at"] <= 16


def test_chips_are_compared_along_a_range(command, document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = document(*ROOFLINE, "--along", "batch=1:64")
    assert found["contenders"] == ["h100-sxm", "a100-sxm-80gb"]
    assert found["metric"] == "time_per_output_token_s"
    assert found["answers"][0]["text"] == "h100-sxm throughout, batch 1 to 64"
    code, out, _ = command(*ROOFLINE, "--along", "memory.bandwidth=1 TB/s:4 TB/s", "--metric", "energy_per_token_j")
    assert code == 0
    assert "energy_per_token_j along memory.bandwidth" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*CHIPS], "expected AXIS=FIRST:LAST, such as batch=1:256"),
        ([*CHIPS, "--along", "batch=64:1"], "two rising numbers"),
        ([*CHIPS, "--along", "batch=1:many"], "two rising numbers"),
        (["crossover", "h100-sxm", "a100-sxm-80gb", "--along", "batch=1:2"], "which model?"),
        (["crossover", "wide_or_fast.toml", "--model", "gpt2"], "--model belongs to chips"),
        (["crossover", "wide_or_fast.toml", "--along", "batch=1:2"], "--along with a range belongs to chips"),
        (["crossover", "wide_or_fast.toml", "--along", "bach"], "axes: batch, chip"),
        (["crossover", "wide_or_fast.toml", "--metric", "total_tim_s"], "nearest: total_time_s"),
    ],
)
def test_bad_input(command, file, arguments, says):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert says in err
