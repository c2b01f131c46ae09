"""The wheel is what users get: its catalogue equals the four folders, and it works without the checkout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePosixPath

import pytest

FOLDERS = ("arch", "workloads", "dataformats", "sweeps")
LIST = "import json, accelsim.catalog as c; print(json.dumps([c.__file__, sorted(c.names('arch'))]))"

# one worker builds the wheel once for all of these
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(root, python, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    done = python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(root), cwd=out, path=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def _files(folder: Path) -> set[PurePosixPath]:
    return {
        PurePosixPath(path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_it_claims_one_name(unpacked):
    top = {path.name for path in unpacked.iterdir()}
    (metadata,) = top - {"accelsim"}
    assert metadata.startswith("accelsim-")
    assert metadata.endswith(".dist-info")


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_catalogue_is_the_folder(unpacked, root, folder):
    expected = _files(root / folder)
    assert PurePosixPath("README.md") in expected
    assert _files(unpacked / "accelsim" / "_catalog" / folder) == expected


def test_its_code_is_the_checkout_s(unpacked, root):
    shipped = {path for path in _files(unpacked / "accelsim") if path.parts[0] != "_catalog"}
    assert shipped == _files(root / "accelsim")


def test_it_lists_its_chips_without_the_checkout(unpacked, root, python, tmp_path):
    done = python("-c", LIST, path=unpacked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    where, chips = json.loads(done.stdout)
    assert Path(where).is_relative_to(unpacked)
    assert chips
    assert chips == json.loads(python("-c", LIST, path=root, cwd=tmp_path).stdout)[1]


def test_without_its_catalogue_it_says_what_is_missing(unpacked, python, tmp_path):
    """Not the `arch` folder of somebody else's package that happens to lie beside it."""
    bare = tmp_path / "site"
    with_code = (path for path in _files(unpacked / "accelsim") if path.parts[0] != "_catalog")
    for path in with_code:
        target = bare / "accelsim" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((unpacked / "accelsim" / path).read_bytes())
    (bare / "arch").mkdir()
    done = python("-c", LIST, path=bare, cwd=tmp_path)
    assert done.returncode != 0
    assert "description" in done.stderr
