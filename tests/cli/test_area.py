"""`accelsim area`, and the areas of `accelsim validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accelsim import cli


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_parts_and_costs_add_up(run: Any) -> None:
    code, out, _ = run("area", "h100-sxm", "--set", "sm.count=66", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["process"] == "tsmc-4n"
    assert document["area_mm2"] == pytest.approx(sum(document["parts_mm2"].values()))
    assert document["cost_usd"] == pytest.approx(sum(document["parts_usd"].values()))


def test_table(run: Any) -> None:
    code, out, _ = run("area", "a6000")
    assert code == 0
    assert out.startswith("a6000 on samsung-8n: 592 mm2")
    assert "61 % without a defect" in out


def test_a_chip_without_a_die_is_bad_input(run: Any) -> None:
    code, out, err = run("area", "mi300x")
    assert (code, out) == (2, "")
    assert "has no [die]" in err


def test_validate_prints_errors_of_every_die(run: Any) -> None:
    code, out, _ = run("validate", "--family", "area")
    assert code == 0
    totals = [line for line in out.splitlines() if " total " in line]
    assert [line.split()[0] for line in totals] == ["GA100", "Aldebaran", "GV100", "GA102", "GH100", "AD102"]
    assert all("%" in line for line in totals)
    code, out, _ = run("validate", "--family", "area", "--json")
    assert {row["role"] for row in json.loads(out)["rows"]} == {"fit", "predict"}


def test_the_page_shows_what_is_printed(run: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "area.md").read_text("utf-8")
    shown = page.partition("```text\ndie ")[2].partition("```\n<!-- /output -->")[0]
    assert f"die {shown}" == run("validate", "--family", "area")[1], "python docs/refresh.py writes the page anew"
