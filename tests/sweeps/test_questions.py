"""The page of questions shows what the experiments print; each is held by a test of its own on fewer points."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "questions.md"


def blocks():
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {found[2]: found[0] for found in module.QUESTION.finditer(PAGE.read_text("utf-8"))}


def test_each_question_has_an_experiment_and_an_answer_on_the_page():
    assert set(blocks()) == {"format_budget", "pim_crossover", "sram_or_hbm", "power_split"}
    for name, block in blocks().items():
        assert (ROOT / "sweeps" / f"{name}.py").is_file()
        assert len(block.splitlines()) > 6, "python docs/refresh.py writes the page anew"


@pytest.mark.long
@pytest.mark.parametrize("name", blocks())
def test_the_page_shows_what_the_experiment_prints(name, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "sweeps" / f"{name}.py", "--out", tmp_path], cwd=tmp_path, check=True,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        assert line.startswith("wrote ") or line.rstrip() in blocks()[name]
