"""The README's table of formats on two chips is what its command prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.cli import app

README = Path(__file__).parents[2] / "README.md"
OUTPUT = re.compile(r"<!-- output: accelsim (accuracy .*?) -->\n```text\n(.*?)```\n<!-- /output -->", re.S)


def test_five_formats_on_two_chips_from_one_command() -> None:
    ((command, text),) = OUTPUT.findall(README.read_text("utf-8"))
    assert len(command.split("--formats ")[1].split()[0].split(",")) == 5
    chips = re.findall(r"--on (\S+)", command)
    assert len(set(chips)) == 2
    for chip in chips:
        assert text.count(f"\n  {chip} ") == 5


@pytest.mark.long
def test_the_command_prints_it() -> None:
    ((command, text),) = OUTPUT.findall(README.read_text("utf-8"))
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert done.stdout == text
