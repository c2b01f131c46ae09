"""Imports only point down: the contracts in pyproject.toml hold, and are able to fail."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
DESCRIPTIONS = {"arch", "workloads", "dataformats", "sweeps"}


def test_imports_only_point_down(root, python):
    done = python("-c", LINT, "--no-cache", cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_that_points_up_is_found(root, python, tmp_path):
    shutil.copytree(root / "accelsim", tmp_path / "accelsim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    with (tmp_path / "accelsim" / "units.py").open("a", encoding="utf-8") as units:
        units.write("\nfrom accelsim.spec import device\n")
    done = python("-c", LINT, "--no-cache", path=tmp_path, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "accelsim.units -> accelsim.spec.device" in done.stdout


def _imported(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def test_the_package_never_imports_a_folder_of_descriptions(root):
    culprits = {
        str(source.relative_to(root)): found
        for source in (root / "accelsim").rglob("*.py")
        if (found := _imported(source) & (DESCRIPTIONS | {"tests", "benchmarks"}))
    }
    assert not culprits


@pytest.mark.parametrize("folder", sorted(DESCRIPTIONS - {"sweeps"}))
def test_descriptions_are_data(root, folder):
    trained = {root / "workloads/tiny/train.py"}  # a tool beside what it made; nothing imports it
    assert not set((root / folder).rglob("*.py")) - trained, "only sweeps/ may hold Python"
