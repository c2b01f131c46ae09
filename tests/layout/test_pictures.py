"""Pictures of the docs: each stands beside the command that makes it, and that command makes one."""

from __future__ import annotations

import importlib.util
import re
import struct
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CELLS = [page for page in PAGES if page.read_text("utf-8").startswith("<!-- cells -->")]
SAVED = re.compile(r"!\[[^\]]*\]\(pictures/(\S+?)\)")


def refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FOUND = [
    (page, command, name) for page in PAGES for command, name in refresh().PICTURE.findall(page.read_text("utf-8"))
]


def experiments(page: Path) -> list[str]:
    """Experiments that a page shows; tests/sweeps holds the page to what they find."""
    return [name for _, name, _ in refresh().EXPERIMENT.findall(page.read_text("utf-8"))]


def size(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_every_picture_has_a_command_and_is_small() -> None:
    kept = {path for path in (ROOT / "docs" / "pictures").iterdir() if path.is_file()}
    drawn = {page.parent / f"pictures/survey-{name}.png" for page in PAGES for name in experiments(page)}
    asked = {name for page in PAGES for _, name, _ in refresh().QUESTION.findall(page.read_text("utf-8"))}
    drawn |= {ROOT / "docs" / "pictures" / f"question-{name}.png" for name in asked}
    saved = {ROOT / "docs" / "pictures" / name for page in CELLS for name in SAVED.findall(page.read_text("utf-8"))}
    assert kept == {page.parent / name for page, _, name in FOUND} | drawn | saved
    assert all(path.stat().st_size < 150_000 for path in kept)


@pytest.mark.parametrize(("page", "command", "name"), FOUND, ids=lambda value: Path(str(value)).stem)
def test_the_command_makes_a_picture_of_that_size(page, command, name, python, tmp_path) -> None:
    made = tmp_path / "made.png"
    done = python("-m", "accelsim", *command.split(), "--plot", str(made), cwd=tmp_path, env={"MPLBACKEND": "Agg"})
    assert done.returncode == 0, done.stderr
    assert size(made.read_bytes()) == size((page.parent / name).read_bytes())
