"""Each folder that a user edits opens with a README whose first line says what belongs there."""

from __future__ import annotations

import pytest

BEHAVIOUR = {
    "arch": "accelsim/devices",
    "workloads": "accelsim/graph",
    "dataformats": "accelsim/numerics",
    "sweeps": "accelsim/explore",
}


@pytest.mark.parametrize("folder", sorted(BEHAVIOUR))
def test_the_first_line_says_what_belongs_there(root, folder):
    first = (root / folder / "README.md").read_text(encoding="utf-8").splitlines()[0]
    assert len(first.split()) >= 5, f"{folder}/README.md opens with {first!r}: say what belongs there"


@pytest.mark.parametrize("folder", sorted(BEHAVIOUR))
def test_it_says_where_the_behaviour_lives(root, folder):
    text = (root / folder / "README.md").read_text(encoding="utf-8")
    assert "accelsim/" in text
    if (root / BEHAVIOUR[folder]).is_dir():
        assert BEHAVIOUR[folder] in text


@pytest.mark.parametrize("name", ["LICENSE", "CITATION.cff", "CONTRIBUTING.md", "CHANGELOG.md", "README.md"])
def test_the_house_has_its_papers(root, name):
    assert (root / name).stat().st_size > 200


def test_the_licence_is_the_whole_apache_text(root):
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    for heading in ("1. Definitions.", "3. Grant of Patent License.", "9. Accepting Warranty or Additional Liability."):
        assert heading in text
    assert "END OF TERMS AND CONDITIONS" in text
