"""Pages embed the outputs of examples as they are: `python docs/refresh.py` writes them anew."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [page for page in sorted(DOCS.glob("*.md")) if "<!-- example: " in page.read_text("utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_embeds_is_what_the_example_prints(page: Path) -> None:
    spec = importlib.util.spec_from_file_location("refresh", DOCS / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    refresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(refresh)
    text = page.read_text("utf-8")
    assert refresh.embedded(text) == text
    assert refresh.embedded(text.replace(" 1", " 2")) != text.replace(" 1", " 2"), "it would be noticed"
