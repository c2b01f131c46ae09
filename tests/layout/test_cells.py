"""Pages that are run print what they show, and save the pictures that they show."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.layout.test_pictures import size

DOCS = Path(__file__).resolve().parents[2] / "docs"


def cells() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cells", DOCS / "cells.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = [page for page in sorted(DOCS.glob("*.md")) if cells().marked(page.read_text("utf-8"))]


def test_each_persona_has_a_page() -> None:
    assert {page.stem for page in PAGES} == {"for-architects", "for-format-researchers", "for-deployment"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_prints_and_draws_what_it_shows(page: Path) -> None:
    text = page.read_text("utf-8")
    made, pictures = cells().run(text, page.name)
    assert made == text, "python docs/refresh.py writes the page anew"
    for name, picture in pictures.items():
        assert size(picture) == size((DOCS / "pictures" / name).read_bytes())


def test_what_a_cell_prints_is_compared(tmp_path: Path) -> None:
    page = "<!-- cells -->\n```python\nprint(1 + 1)\n```\n\n<!-- printed -->\n```text\n3\n```\n<!-- /printed -->\n"
    assert "```text\n2\n```" in cells().run(page, "page")[0]
