"""`accelsim sweep`: what it prints, writes and exits with."""

from __future__ import annotations

import json

import pandas as pd
import pytest

FILE = """
# A question.

[question]
text = "Which batch?"

[fixed]
model = "gpt2"
chip = "h100-sxm"
fidelity = "roofline"
generate = 2

[axes]
batch = { powers_of_two = [1, 8] }
memory.bandwidth = ["1 TB/s", "3350 GB/s"]

[constraints]
power = "average_power_w < 650"

[objectives]
time_per_output_token_s = "min"
energy_per_token_j = "min"

[plot]
x = "batch"
y = "time_per_output_token_s"
color = "memory.bandwidth"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "which_batch.toml").write_text(FILE)
    return "which_batch.toml"


def test_a_dry_run_says_what_it_comes_to_and_writes_nothing(command, document, file, tmp_path):
    code, out, _ = command("sweep", file, "--dry-run")
    assert code == 0
    assert "8 points, 0 of them in the store" in out
    assert "1 groups; 8 points in closed form" in out
    assert "about" in out
    assert "3.350000e+12" in out
    assert document("sweep", file, "--dry-run")["points"] == 8
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_run_gives_frame_picture_and_best_points_and_the_next_finds_them(command, document, file, tmp_path):
    code, out, _ = command("sweep", file)
    assert code == 0, out
    assert "8 points: 0 were there, 8 evaluated" in out
    assert "8 ok" in out
    assert "least time_per_output_token_s" in out
    assert "Pareto front" in out
    results = tmp_path / "accelsim-results"
    assert (results / "which_batch.png").stat().st_size > 10_000
    assert len(pd.read_csv(results / "which_batch.csv")) == 8
    again = document("sweep", file, "--export", "frame.parquet")
    assert (again["known"], again["evaluated"]) == (8, {})
    assert again["complete"] is True
    assert len(pd.read_parquet("frame.parquet")) == 8


def test_show_check_and_list_know_sweeps(command, document, file):
    assert command("check", file)[1] == f"{file}: ok, sweep over batch, memory.bandwidth\n"
    code, out, _ = command("show", file)
    assert code == 0
    assert "powers_of_two = (1, 8)" in out
    found = {row["name"]: row["question"] for row in document("list", "sweeps")["sweeps"]}
    assert "HBM-PIM" in found["pim_crossover"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sweep", "which_bach.toml"], "no file named"),
        (["sweep", "pim_crosover"], "nearest: pim_crossover"),
        (["sweep", "which_batch.toml", "--budget", "soon"], "expected a time such as 90s, 10min or 2h"),
        (["sweep", "which_batch.toml", "--plot", "picture.gif"], "names that end in .png"),
        (["sweep", "which_batch.toml", "--export", "nowhere/frame.csv"], "there is no folder nowhere"),
        (["sweep", "which_batch.toml", "--workers", "0"], "expected at least 1"),
        (["sweep", "broken.toml"], "unknown key"),
        (["sweep", "wrong.toml"], "nearest: memory.bandwidth"),
    ],
)
def test_bad_input_is_said_and_exits_with_2(command, file, tmp_path, arguments, says):
    (tmp_path / "broken.toml").write_text(FILE.replace("[plot]", "[plots]"))
    (tmp_path / "wrong.toml").write_text(FILE.replace('memory.bandwidth = ["', 'memory.bandwith = ["'))
    code, out, err = command(*arguments)
    assert code == 2
    assert says in err
    assert not out


def test_a_sweep_without_one_feasible_point_exits_with_1(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "huge.toml").write_text(
        '[fixed]\nmodel = "opt-175b"\nchip = "h100-sxm"\nfidelity = "roofline"\n[axes]\nbatch = [1, 2]\n'
    )
    code, out, _ = command("sweep", "huge.toml")
    assert code == 1
    assert "2 infeasible" in out
    assert "do not fit" in out


def test_times():
    from accelsim.cli.sweep_options import clock, span

    assert [span("--budget", text) for text in ("90", "90s", "10min", "1.5 h", None)] == [90, 90, 600, 5400, None]
    assert [clock(seconds) for seconds in (0.42, 12.0, 180.0, 9000.0)] == ["0.42 s", "12 s", "3 min", "2.5 h"]


def test_the_line_behind_the_bar():
    from accelsim.cli.sweep_bar import line
    from accelsim.explore.driver import Progress

    state = Progress(100, 10, done=30, counts={"ok": 25, "failed": 2, "infeasible": 3}, best=0.5)
    state.since_s -= 10
    assert line(state, "energy_j") == "3 points/s, 2 failed, 3 infeasible, best energy_j 0.5"
    assert (state.left, state.failures) == (60, 2)
    assert json.dumps(state.counts)
