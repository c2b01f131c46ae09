"""Examples cannot rot: each docs/examples/*.py prints exactly what the *.out file beside it says."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="there are no examples yet")
def test_every_example_has_its_output_and_every_output_its_example():
    assert EXAMPLES
    assert {path.stem for path in EXAMPLES} == {path.stem for path in FOLDER.glob("*.out")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_prints_what_is_written_beside_it(example, python, tmp_path):
    done = python(str(example), cwd=tmp_path, env={"MPLBACKEND": "Agg", "NO_COLOR": "1", "COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == example.with_suffix(".out").read_text(encoding="utf-8")
