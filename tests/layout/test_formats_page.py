"""The table of formats in the docs is what the descriptions say."""

from __future__ import annotations

import importlib.util
import re

import pytest

from accelsim import catalog


@pytest.fixture(scope="module")
def maker(root):
    spec = importlib.util.spec_from_file_location("formats_page", root / "docs" / "formats_page.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_page_is_up_to_date(maker):
    assert maker.PAGE.read_text(encoding="utf-8") == maker.page(), "run `make outputs`"


def test_it_has_a_row_for_every_format_and_links_that_lead_somewhere(root):
    text = (root / "docs" / "formats.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| \[(\w+)\]\(\.\./(dataformats/\S+\.toml)\) \| .* \|$", text, re.M)
    assert sorted(name for name, _ in found) == sorted(catalog.names("formats"))
    assert all((root / file).is_file() for _, file in found)


@pytest.mark.parametrize(
    "row",
    [
        "| float | 8 | 448 | 0.00195312 | 8 bits | datasheet |",
        "| block | 4.25 | 6 | 0.5 | fp4_e2m1, ue8m0 (floor), 32 | datasheet |",
        "| two_level_block | 4.5 | 6 | 0.5 | fp4_e2m1, fp8_e4m3 (to 6), 16, fp32 for the tensor | datasheet |",
        "| posit | 16 | 2^56 | 2^-56 | 16 bits | datasheet |",
        "| block | 4.15625 | 15 | 1 | uint4, fp16 (absmax), zero point uint4, 128 | derived |",
        "| outlier_list | 5 | 127 | 1 | int4_symmetric or int8_symmetric, fp32, tensor | assumed |",
        "| microexponent | 9 | 1.98438 | 0.015625 | sign and 7 bits, 8-bit exponent, 16, 1-bit shift for 2 |",
    ],
)
def test_rows_by_hand(root, row):
    assert row in (root / "docs" / "formats.md").read_text(encoding="utf-8")
