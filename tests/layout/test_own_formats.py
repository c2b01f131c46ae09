"""One TOML adds a format: found by path or in a folder of one's own, and held to the contract like a shipped one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import AccelsimError, DescriptionError
from tests.contract import test_formats

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "dataformats" / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```toml\n(.*?)```", README, re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the format of the README."""
    assert EXAMPLE
    (tmp_path / "posit8_b24.toml").write_text(EXAMPLE[1], encoding="utf-8")
    monkeypatch.setenv(catalog.OWN_FORMATS, str(tmp_path))
    return tmp_path


def test_the_example_of_the_readme_is_found_by_path(tmp_path):
    assert EXAMPLE
    file = tmp_path / "posit8_b24.toml"
    file.write_text(EXAMPLE[1], encoding="utf-8")
    made = accelsim.dataformat(file)
    assert made.bits_per_element == pytest.approx(8 + 8 / 24)
    x = np.random.default_rng(1).normal(size=(3, 50)).astype(np.float32)
    for axis in (0, 1):
        encoded = made.encode(x, axis=axis)
        assert encoded.scales.shape == ((1, 50), (3, 3))[axis]
        assert len(made.pack(encoded)) == made.storage_bytes(x.shape, axis)
        assert np.abs(made.decode(encoded) - x).max() < 0.2
    with pytest.raises(AccelsimError, match="no format named 'posit8_b24'"):
        accelsim.dataformat("posit8_b24")


def test_a_folder_of_ones_own_joins_the_catalogue(folder):
    assert "posit8_b24" in catalog.names("formats")
    assert accelsim.dataformat("posit8_b24").record is catalog.format_(folder / "posit8_b24.toml")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "my4.toml").write_text(
        '# Mine.\nname = "my4"\nkind = "integer"\nbits = 4\nsource = "a test"\nstatus = "assumed"\n'
    )
    assert catalog.format_("my4").bits == 4


def test_two_folders_and_mistakes(folder, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    (other / "int4.toml").write_text(
        '# Mine.\nname = "int4"\nkind = "integer"\nbits = 4\nsource = "a test"\nstatus = "assumed"\n'
    )
    monkeypatch.setenv(catalog.OWN_FORMATS, os.pathsep.join((str(folder), str(other))))
    with pytest.raises(DescriptionError, match="same stem"):
        catalog.format_("int4")
    monkeypatch.setenv(catalog.OWN_FORMATS, str(folder / "missing"))
    with pytest.raises(AccelsimError, match=r"ACCELSIM_FORMATS names .*missing.*, which is no folder"):
        catalog.names("formats")


def test_the_contract_picks_it_up(folder, python):
    """The command of the README, for the quicker tests."""
    chosen = "posit8_b24 and (scaled or (reference and plain)) or no_two"
    done = python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_formats.py", "-k", chosen, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b(\d+) passed", done.stdout), done.stdout
    assert int(re.search(r"\b(\d+) passed", done.stdout)[1]) >= 5


def test_the_contract_fails_for_a_second_name_of_a_shipped_format(folder):
    (folder / "mine.toml").write_text(
        '# Mine.\nname = "mine"\nkind = "integer"\nbits = 4\nsource = "a test"\nstatus = "assumed"\n', encoding="utf-8"
    )
    with pytest.raises(AssertionError, match="mine is int4: say alias_of"):
        test_formats.test_no_two_shipped_formats_are_one()
