"""`accelsim show` of memories that compute: Table 2 of the survey (arXiv 2402.16363), and what contradicts it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accelsim import cli

CONTRADICTED = ("2 TB/s", "43.8 Gop/s")
"""Figures of that table that no clock and organisation of the part give."""


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert cli.main(["show", name, "--json"]) == 0
    return {row["what"]: row for row in json.loads(capsys.readouterr().out)["figures"]}


@pytest.mark.parametrize(
    ("name", "what", "printed", "quotient"),
    [
        ("upmem", "operations, Table 2 of the survey", "43.8 Gop/s", 1.023),
        ("upmem", "bandwidth inside the banks, Table 2 of the survey", "80.4 GB/s", 1.000),
        ("hbm-pim-cube", "arithmetic", "1.2 TFLOPS", 1.024),
        ("hbm-pim-cube", "bandwidth inside the banks, Table 2 of the survey", "2 TB/s", 0.614),
        ("gddr6-aim", "arithmetic, also in Table 2 of the survey", "1 TFLOPS", 1.024),
        ("gddr6-aim", "bandwidth inside the banks, Table 2 of the survey", "1 TB/s", 1.024),
        ("gddr6-aim", "bandwidth at the pins", "64 GB/s", 1.000),
    ],
)
def test_table_2_of_the_survey_beside_what_follows_from_the_descriptions(name, what, printed, quotient, capsys):
    row = shown(name, capsys)[what]
    assert row["published"] == printed
    assert row["ours_by_published"] == pytest.approx(quotient, abs=1e-3)
    assert ("contradicts" in row["notes"]) is (printed in CONTRADICTED)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("upmem-20dimm", (896e9, 1.608e12, None, 160 * 2**30)),
        ("gddr6-aim-card-16", (16.384e12, 16.384e12, 1.024e12, 16 * 2**30)),
        ("gddr6-aim-card-32", (32.768e12, 32.768e12, 2.048e12, 32 * 2**30)),
        ("gddr6-aim-1ch", (0.512e12, 0.512e12, 32e9, 2**29)),
        ("hbm-pim-64pch", (4.096e12, 4.096e12, 1.024e12, 16 * 2**30)),
        ("hbm-pim-64pch-plain", (None, None, 1.024e12, 32 * 2**30)),
    ],
)
def test_a_system_is_as_many_parts(name, figures, capsys):
    rows = shown(name, capsys)
    names = ("arithmetic", "bandwidth inside the banks", "bandwidth at the pins", "capacity")
    for what, value in zip(names, figures, strict=True):
        assert (what in rows) is (value is not None)
        if value is not None:
            assert rows[what]["ours"] == pytest.approx(value, rel=1e-3)


def test_the_quotient_follows_the_description(capsys):
    assert cli.main(["show", "gddr6-aim", "--set", "timing.nCCDL=4", "--json"]) == 0
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)["figures"]}
    assert rows["bandwidth inside the banks, Table 2 of the survey"]["ours_by_published"] == pytest.approx(0.512)


def test_people_read_two_tables(capsys):
    assert cli.main(["show", "upmem"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in ("of one DIMM", "44.80 Gop/s", "43.8 Gop/s", "1.023", "342 MHz"):
        assert words in out
    assert cli.main(["show", "a100-sxm-80gb"]) == 0
    assert "published figures" not in capsys.readouterr().out
