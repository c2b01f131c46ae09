"""Small files, no prints, a short list of public names, a quick start, and nothing of the machine that built it."""

from __future__ import annotations

import ast
import importlib
import json
import re
import statistics
import subprocess
import tomllib
from pathlib import Path

import pytest

HARD_LIMIT_LINES = 450
MEDIAN_LIMIT_LINES = 150
PUBLIC_NAMES = 15
HEAVY = ("pandas", "matplotlib", "networkx", "scipy")
COMMANDS = ("run", "operator", "explain", "graph", "list", "show", "check", "demo")


def _lines(root: Path) -> dict[str, int]:
    return {
        str(source.relative_to(root)): len(source.read_text(encoding="utf-8").splitlines())
        for source in (root / "accelsim").rglob("*.py")
    }


def test_no_file_is_longer_than_the_limit(root):
    assert not {name: count for name, count in _lines(root).items() if count > HARD_LIMIT_LINES}


def test_the_median_file_is_short(root):
    counts = [count for name, count in _lines(root).items() if not name.endswith("__init__.py")]
    assert statistics.median(counts) <= MEDIAN_LIMIT_LINES


def test_only_the_command_line_prints(root):
    culprits = []
    for source in (root / "accelsim").rglob("*.py"):
        name = source.relative_to(root / "accelsim").as_posix()
        if name == "cli.py" or name.startswith("cli/"):
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                culprits.append(f"accelsim/{name}:{node.lineno}")
    assert not culprits


def test_the_package_has_few_public_names_and_all_exist():
    accelsim = importlib.import_module("accelsim")
    assert 0 < len(accelsim.__all__) <= PUBLIC_NAMES
    assert len(set(accelsim.__all__)) == len(accelsim.__all__)
    for name in accelsim.__all__:
        assert getattr(accelsim, name) is not None


def test_importing_the_package_leaves_the_heavy_libraries_alone(python):
    done = python("-c", "import accelsim, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert "accelsim" in loaded
    assert not loaded & set(HEAVY)


def test_help_names_the_commands_and_stays_light(python):
    done = python("-m", "accelsim", "--help", env={"NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb"})
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", done.stdout), command
    code = (
        "import runpy, sys\n"
        "sys.argv = ['accelsim', '--help']\n"
        "try:\n    runpy.run_module('accelsim', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in sys.argv[2:] + " + repr(list(HEAVY)) + " if name in sys.modules], file=sys.stderr)\n"
    )
    assert python("-c", code).stderr.strip() == "[]"


def test_the_console_script_points_at_something_callable(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, attribute = project["scripts"]["accelsim"].partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def _tracked(root: Path) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: nothing says which files are part of the project")
    return [path for name in done.stdout.split("\0") if name and (path := root / name).is_file()]


# Written in pieces, so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.~$)}-])/(?:home|Users|root|work|opt)" + r"/\w")
INDEX = re.compile(r"pypi\." + r"org|python" + r"hosted\.org|--(?:extra-)?index" + r"-url|https?://\S*/sim" + r"ple\b")


def test_no_tracked_file_knows_the_machine_or_a_package_index(root):
    culprits = []
    for path in _tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE.search(line) or INDEX.search(line) or str(root) in line:
                culprits.append(f"{path.relative_to(root)}:{number}: {line.strip()[:100]}")
    assert not culprits, "\n".join(culprits)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("see /ho" + "me/ada/accelsim", True),
        ("--index" + "-url https://example.org", True),
        ("work/energy and time/wo" + "rk/cycle", False),
        ("#!/usr/bin/env bash", False),
    ],
)
def test_the_patterns_of_the_test_above(line, found):
    assert bool(MACHINE.search(line) or INDEX.search(line)) is found


def test_every_pin_is_exact_and_plain(root):
    pins = [line for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert len(pins) > 50
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", pin), pin
    names = [re.sub(r"[-_.]+", "-", pin.partition("==")[0].lower()) for pin in pins]
    assert len(names) == len(set(names))


def _required(root: Path, *extras: str) -> set[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"]]
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", text)[0].lower()) for text in texts}


def test_everything_that_the_tests_and_linters_install_is_pinned(root):
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0].lower()) for line in text.splitlines()}
    assert _required(root, "test", "dse", "cluster", "parquet", "web", "dev") <= pinned
    assert not _required(root, "trace") <= pinned
