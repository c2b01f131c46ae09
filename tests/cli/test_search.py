"""`accelsim search`: what it prints, writes and exits with."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture
def small(space):
    return ["search", space, "--trials", "40", "--workers", "1"]


def test_a_search_tells_the_front_and_keeps_its_designs(command, document, small, tmp_path):
    code, out, _ = command(*small, "--export", "trials.csv", "--plot", "front.png")
    assert code == 0, out
    assert "Which chip of this kind?" in out
    assert "80 designs; 40 trials (nsga2, seed 0)" in out
    assert "on the Pareto front:" in out
    assert (tmp_path / "front.png").stat().st_size > 10_000
    frame = pd.read_csv("trials.csv")
    assert frame["front"].any()
    again = document(*small)
    assert (again["evaluated"], again["distinct"], again["space"]) == (0, len(frame), 80)
    assert len(again["front"]) == frame["front"].sum()
    warm = document(*small, "--warm")
    assert warm["distinct"] != again["distinct"] or warm["front"] != again["front"]


def test_a_screened_search_says_where_the_two_disagree(command, document, small):
    code, out, _ = command(*small, "--screen", "--confirm", "3")
    assert code == 0, out
    assert "the best 3 confirmed by events" in out
    assert "rank correlation" in out
    assert "on the front of closed form or of events alone" in out
    found = document(*small, "--screen", "--confirm", "3")["screening"]
    assert len(found["confirmed"]) == 3
    assert set(found["agreement"]) == {"time_per_output_token_s", "energy_per_token_j"}


def test_without_a_design_to_choose_it_exits_with_1(command, space, tmp_path):
    text = (tmp_path / space).read_text().replace("average_power_w < 5000", "average_power_w < 1")
    (tmp_path / "never.toml").write_text(text)
    code, out, _ = command("search", "never.toml", "--trials", "10", "--workers", "1")
    assert code == 1
    assert "none to choose from" in out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--sampler", "nsga4"], "did you mean 'nsga"),
        (["--trials", "0"], "at least 1"),
        (["--screen", "--confirm", "1"], "at least 3 designs"),
        (["--warm", "--store", "none.sqlite"], "no results in none.sqlite"),
        (["--export", "frame.json"], "names that end in .csv, .parquet"),
        (["--timeout-per-point", "soon"], "expected a time such as"),
    ],
)
def test_bad_input(command, small, more, says):
    code, out, err = command(*small, *more)
    assert (code, out) == (2, "")
    assert says in err
