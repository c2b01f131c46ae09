"""Every row of the reference of memories that compute: equal where the mechanism is, near where the peer's queue is."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import common
from accelsim.validation import pim

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "pim" / "cycles.csv"
ROWS = pim.rows()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = common.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize("row", [row for row in ROWS if row.peer in ("PIMSimulator", "aim_simulator")], ids=str)
def test_cycles_are_those_of_the_public_simulators(row: pim.Row) -> None:
    assert row.ours == row.cycles


@pytest.mark.parametrize("row", [row for row in ROWS if row.peer == "DRAMsim3"], ids=str)
def test_streams_are_within_a_percent(row: pim.Row) -> None:
    assert row.ours == pytest.approx(row.cycles, rel=0.01)


def test_rows_without_a_model_say_so() -> None:
    assert {row.peer for row in ROWS if row.ours is None} == {"AttAcc"}


def test_every_row_of_the_reference_is_there() -> None:
    if not SHARED.exists():
        pytest.skip("the reference lies beside the project, not in it")
    with SHARED.open(encoding="utf-8") as file:
        wanted = sorted(int(row["cycles"]) for row in csv.DictReader(file))
    assert sorted(row.cycles for row in ROWS) == wanted


def test_the_command_prints_every_row(run: Any) -> None:
    code, out, err = run("validate", "--family", "pim")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == len(ROWS) + 1
    assert sum(line.endswith("equal") for line in lines) == sum(row.difference == 0 for row in ROWS)
    assert sum(line.endswith(pim.NOT_MODELLED) for line in lines) == 6


def test_the_document_has_every_row(run: Any) -> None:
    code, out, _ = run("validate", "--family", "pim", "--json")
    assert code == 0
    document = json.loads(out)
    assert len(document["rows"]) == len(ROWS)
    assert {"peer", "on", "what", "cycles", "ours", "difference"} <= set(document["rows"][0])


def test_without_a_family_every_published_figure_is_printed(run: Any) -> None:
    code, out, err = run("validate")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for name in ("pim", "ipu", "fpga", "tsp"):
        assert name in lines
        _, alone, _ = run("validate", "--family", name)
        assert alone.strip() in out
