"""Constants of collectives: errors on rows that they were not fitted to, and that they follow from the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim import catalog
from accelsim.cli import app
from accelsim.errors import RequestError
from accelsim.mapping.gpu.library import collectives
from accelsim.mapping.gpu.links import fastest
from accelsim.spec.calibration import Calibration
from accelsim.spec.collective import OPERATIONS, CollectiveConstants
from accelsim.spec.device import GpuChip
from accelsim.validation import messages, tables
from accelsim.validation.calibrate import errors
from accelsim.validation.collectives import GROWTH, RANGES, TABLE, Rows, fit, parts, read, seconds

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference" / "gpu"
RECORDS = [record for record in map(catalog.calibration, catalog.names("calibrations")) if record.collective]
measured = pytest.mark.skipif(not FOLDER.exists(), reason="the reference folder is not beside this checkout")


def rate(record: Calibration) -> float:
    chip = catalog.chip(record.chip)
    assert isinstance(chip, GpuChip)
    link = fastest(chip)
    assert link is not None
    assert {row.link for row in record.collective} == {link.name}
    return link.bandwidth_bytes_per_s


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_constants_are_plausible_and_every_operation_has_them(record: Calibration) -> None:
    assert tuple(row.constants.operation for row in record.collective) == OPERATIONS
    for row in record.collective:
        for name, span in (*RANGES.items(), ("growth", GROWTH)):
            assert span.least <= getattr(row.constants, name) <= span.most, name
        assert row.constants.ll_efficiency < row.constants.ll128_efficiency < row.constants.simple_efficiency
        assert row.provenance.fit.rows > 1.5 * row.provenance.held.rows > 40


@measured
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_the_errors_in_a_file_are_those_of_its_constants(record: Calibration) -> None:
    found = read(FOLDER / TABLE, record.collective[0].provenance.device)
    for row in record.collective:
        told = row.provenance
        for rows, said in zip(parts(found[told.kernel]), (told.fit, told.held), strict=True):
            now = errors(seconds(rows, rate(record), row.constants), rows.seconds)
            assert now.model_dump() == pytest.approx(said.model_dump(), rel=2e-3)


@measured
def test_constants_follow_from_their_rows() -> None:
    """Of one operation, by a short search; `accelsim calibrate --kernel collectives` makes those of all."""
    record = next(record for record in RECORDS if record.chip == "h100-sxm")
    rows, _ = parts(read(FOLDER / TABLE, "h100_sxm")["all_gather"])
    again = fit(rows, rate(record), starts=2)
    told = collectives(catalog.chip("h100-sxm")).row("all_gather")  # type: ignore[arg-type]
    off = errors(seconds(rows, rate(record), again), rows.seconds)
    assert off.mean == pytest.approx(told.provenance.fit.mean, rel=0.08)
    assert again.simple_efficiency == pytest.approx(told.constants.simple_efficiency, rel=0.05)


@measured
@pytest.mark.long
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_all_constants_follow_from_their_rows(record: Calibration) -> None:
    found = read(FOLDER / TABLE, record.collective[0].provenance.device)
    for row in record.collective:
        again = fit(parts(found[row.provenance.kernel])[0], rate(record))
        for name in RANGES:
            assert getattr(again, name) == pytest.approx(getattr(row.constants, name), rel=0.02), name


@measured
def test_what_is_asked_is_met_and_the_fitted_link_beaten() -> None:
    found = list(messages.rows(FOLDER))
    assert {row.on for row in found if row.met} == {"a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200-sxm"}
    assert not [row for row in found if row.met is False]
    assert all(row.beats for row in found)


def test_known_constants_are_found_again() -> None:
    truth = CollectiveConstants.model_construct(
        operation="all_reduce", start_s=4e-6, hop_s=1e-6, ll_efficiency=0.03, ll128_s=2e-6, ll128_efficiency=0.3,
        simple_s=15e-6, simple_efficiency=0.8, growth=0.1,
    )  # fmt: skip
    size, devices = (axis.ravel() for axis in np.meshgrid(np.geomspace(500, 5e8, 18), [2.0, 4.0, 8.0]))
    rows = Rows("all_reduce", devices, size, seconds(Rows("all_reduce", devices, size, size), 450e9, truth))
    found = fit(rows, 450e9, starts=2)
    for name in ("start_s", "hop_s", "simple_efficiency", "ll128_efficiency"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.05), name


def test_rows_without_long_messages_are_refused() -> None:
    size = np.geomspace(500, 1e6, 40)
    with pytest.raises(RequestError, match="three protocols show in 24 rows or more that reach from 32 kB"):
        fit(Rows("all_reduce", np.full(40, 4.0), size, size * 1e-9), 450e9)


def test_a_file_of_ones_own_becomes_tables(tmp_path: Path) -> None:
    size = np.geomspace(500, 5e8, 40).round()
    constants = collectives(catalog.chip("h100-sxm")).constants("all_gather")  # type: ignore[arg-type]
    rows = Rows("all_gather", np.full(40, 8.0), size, size)
    lines = [
        f"all_gather,8,{int(b)},{s * 1e3!r}"
        for b, s in zip(size, seconds(rows, 450e9, constants).tolist(), strict=True)
    ]
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["op_name,num_gpus,message_size,latency", *lines]) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["calibrate", str(file), "--chip", "h100-sxm", "--kernel", "collectives"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith('[[collective]]\nlibrary = "own"\nlink = "nvlink4"')
    assert "all_gather, held back: " in done.stderr


def test_a_calibration_is_written_with_its_collectives(tmp_path: Path) -> None:
    record = RECORDS[0]
    file = tmp_path / f"{record.name}.toml"
    file.write_text(tables.written(record, "Again."), encoding="utf-8")
    assert catalog.calibration(file).collective == record.collective


@pytest.mark.parametrize(
    ("text", "message"),
    [("op_name,num_gpus\n", "no column 'message_size'"),
     ("op_name,num_gpus,message_size,latency\nsum,2,1,1\n", "line 2"),
     ("op_name,num_gpus,message_size,latency\nall_gather,1,1,1\n", "at least two GPUs")],
)  # fmt: skip
def test_a_file_that_is_no_table_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        read(file)
