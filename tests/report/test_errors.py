"""Pictures of a validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.report import errors
from accelsim.validation.gpu import Points, Row, Score

SIZE = np.array([1.0, 64.0, 8192.0])
MEASURED = np.array([1e-6, 2e-5, 1e-3])


def row(what: str, on: str, off: float) -> Row:
    score = Score.of(MEASURED * off, MEASURED)
    return Row(on, what, 3, score, score, score, None, Points(SIZE, "m", MEASURED, MEASURED * off))


def test_a_folder_has_a_picture_of_every_class_and_a_file_the_first(tmp_path: Path) -> None:
    found = [row("bf16 GEMM", "a", 1.1), row("bf16 GEMM", "b", 0.9), row("m > 2048, x", "a", 1.0)]
    made = errors.draw(found, tmp_path / "pictures")
    assert [path.name for path in made] == ["bf16-gemm.png", "m-above-2048-x.png"]
    assert all(path.stat().st_size > 5000 for path in made)
    assert errors.draw(found, tmp_path / "one.svg") == [tmp_path / "one.svg"]
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert text.startswith("<?xml")


def test_both_panels_show_every_kernel() -> None:
    made = errors.scatter("x", [row("x", "a", 1.1), row("x", "b", 0.5)])
    for axes in made.axes:
        assert len(axes.collections[-1].get_offsets()) == 3
    assert "mean 10.0 %" in made.axes[0].get_title()


def test_nothing_to_draw_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="bf16 GEMM"):
        errors.draw([row("other", "a", 1.0)], tmp_path / "one.png")
