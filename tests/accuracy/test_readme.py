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


def row_of(text: str, *begins: str) -> dict[str, str]:
    """The cells of the row that begins so, by column."""
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    names = next(cells for cells in lines if "bits/weight" in cells)
    return dict(zip(names, next(cells for cells in lines if cells[: len(begins)] == [*begins]), strict=True))


def test_what_the_first_window_decides() -> None:
    """Noise is that of the first 256 tokens, and prices are those of another model: both hold at any limit."""
    ((_, text),) = OUTPUT.findall(README.read_text("utf-8"))
    form, chip = "int4_g128", "gddr6-aim-32ch"
    asked = ["accuracy", "tiny-llama", "--formats", form, "--on", chip, "--limit", "256"]
    found = CliRunner().invoke(app, asked).stdout
    got, want = row_of(found, form), row_of(text, chip, form)
    for column in ("bits/weight", "SQNR, dB", "to exact, dB", "KV/token", "time/token", "energy/token"):
        assert got[column] == want[column]
    (noisiest,) = (line for line in found.splitlines() if line.startswith(f"  {form}: "))
    assert noisiest.replace(form, f"{form}, {chip}") in text.splitlines()


@pytest.mark.long
def test_the_command_prints_it() -> None:
    ((command, text),) = OUTPUT.findall(README.read_text("utf-8"))
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert done.stdout == text
