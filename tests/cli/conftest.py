"""Running the command line inside a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accelsim import cli

Answer = tuple[int, str, str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> Answer:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def document(command: Callable[..., Answer]) -> Callable[..., dict[str, Any]]:
    """Runs a command with --json that succeeds, and reads its one document."""

    def call(*arguments: str) -> dict[str, Any]:
        code, out, err = command(*arguments, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return call


SPACE = """
[question]
text = "Which chip of this kind?"

[fixed]
model = "gpt2"
chip = "h100-sxm"
fidelity = "roofline"
generate = 2
prompt = 64

[axes]
batch = { powers_of_two = [1, 8] }
memory.bandwidth = { log_range = ["1 TB/s", "8 TB/s"], count = 4 }
sm.count = [80, 90, 100, 120, 132]

[constraints]
power = "average_power_w < 5000"

[objectives]
time_per_output_token_s = "min"
energy_per_token_j = "min"
"""


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sweep of 80 designs in closed form, in a folder of its own; its name there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    return "space.toml"
