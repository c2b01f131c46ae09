"""Each experiment after a figure of the survey finds what the survey shows, and draws it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "sweeps" / "survey"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "experiment")


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch):
    """Experiments import what they share as a script's folder lets them."""
    monkeypatch.syspath_prepend(str(FOLDER))


def test_every_figure_that_is_reproduced_has_an_experiment():
    figures = (5, 6, 7, 8, 9, 11, 15, 16, 18, 19, 20)
    assert {f"figure{number:02}" for number in figures} | {"table1", "table2", "kv_cache"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_survey_shows_is_found(name, tmp_path):
    experiment = importlib.import_module("experiment")
    module = importlib.import_module(name)
    checks = experiment.write(module, name, tmp_path)
    wrong = checks[~checks["ok"]]
    assert wrong.empty, wrong.to_string()
    numbers = checks[checks["kind"] != "turn"]
    assert len(numbers) >= 2
    assert len(checks) > len(numbers), "no turn"
    assert checks["low"].le(checks["high"]).all()
    assert (tmp_path / f"{name}.csv").stat().st_size > 100
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    block = experiment.block(f"survey-{name}", experiment.title(module), checks)
    begin, end = f"<!-- experiment: {name} -->\n", "\n<!-- /experiment -->"
    page = (ROOT / "docs" / "survey.md").read_text("utf-8")
    assert page.partition(begin)[2].partition(end)[0] == block, "python docs/refresh.py writes the page anew"
    kept = (ROOT / "docs" / "pictures" / f"survey-{name}.png").read_bytes()
    assert kept[16:24] == picture[16:24], "another size than the picture in the docs"


def test_a_figure_that_is_missed_is_told_and_fails_the_run(monkeypatch, tmp_path, capsys):
    experiment, module = importlib.import_module("experiment"), importlib.import_module("figure05")
    missed = experiment.near("peak, Top/s", 100.0, 155, 0.005, "stated", "section 3.1.1")
    monkeypatch.setattr(module, "checks", lambda found: [missed])
    monkeypatch.setattr(sys, "argv", ["figure05.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        experiment.main(module)
    assert stopped.value.code == 1
    assert "FAIL peak, Top/s: 100 in [154.225, 155.775]" in capsys.readouterr().out


def test_it_runs_as_its_first_lines_say(monkeypatch, tmp_path, capsys):
    experiment, module = importlib.import_module("experiment"), importlib.import_module("kv_cache")
    monkeypatch.setattr(sys, "argv", ["kv_cache.py", "--out", str(tmp_path)])
    experiment.main(module)
    assert "wrote" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "survey-kv_cache.csv", "survey-kv_cache-checks.csv", "survey-kv_cache.png"
    }  # fmt: skip
