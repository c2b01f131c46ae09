"""Constants of attention: their errors on rows that they were not fitted to, and that they follow from the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.spec.attention import Attention
from accelsim.validation import attended, tables
from accelsim.validation.attention import DECODE, KINDS, PREFILL, fit, off, read, seconds, timed
from accelsim.validation.search import loss

TABLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "gpu"
NAMES = [
    name
    for name in catalog.names("calibrations")
    if (known := catalog.calibration(name).attention) is not None and known.prefill_provenance is not None
]
measured = pytest.mark.skipif(not TABLES.exists(), reason="the reference folder is not beside this checkout")

WORSE = {("b200-sxm", "decode attention, constants of h100-sxm")}
"""Classes in which a roofline with two constants fitted to that chip is nearer in the mean."""


def known(name: str) -> tuple[str, Attention]:
    """Chip and constants of a calibration."""
    record = catalog.calibration(name)
    assert record.attention is not None
    return record.chip, record.attention


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_plausible_and_were_checked_on_rows_of_their_own(name: str) -> None:
    _, record = known(name)
    for constants, spans in ((record.prefill, PREFILL), (record.decode, DECODE)):
        for key, span in spans.items():
            assert span.least <= getattr(constants, key) <= span.most, key
    for told in (record.prefill_provenance, record.decode_provenance):
        assert told is not None
        assert told.fit.rows > 2 * told.held.rows > 50


@measured
@pytest.mark.parametrize("name", NAMES)
def test_the_errors_in_a_file_are_those_of_its_constants(name: str) -> None:
    chip, record = known(name)
    for kind, told in zip(KINDS, (record.prefill_provenance, record.decode_provenance), strict=True):
        assert told is not None
        rows = read(TABLES / attended.TABLE, chip, told.device, kind)
        for held, stated in ((False, told.fit), (True, told.held)):
            now = off([part.where(part.held == held) for part in rows], record, kind)
            assert now.model_dump() == pytest.approx(stated.model_dump(), rel=2e-3)


@measured
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_no_constant_alone_fits_its_rows_better(name: str, kind: str) -> None:
    """What is stored is where the search ended: moving one constant by 5 % gains next to nothing."""
    chip, record = known(name)
    field, spans = ("prefill", PREFILL) if kind == "context" else ("decode", DECODE)
    told = record.prefill_provenance
    assert told is not None
    rows = [part.where(~part.held) for part in read(TABLES / attended.TABLE, chip, told.device, kind)]
    times = np.concatenate([part.seconds for part in rows])

    def misfit(now: Attention) -> float:
        return loss(np.log(np.concatenate([seconds(part, now, kind) for part in rows]) / times), times)

    stored = misfit(record)
    for key, span in spans.items():
        for factor in (0.95, 1.05):
            constants = getattr(record, field)
            value = min(max(getattr(constants, key) * factor, span.least), span.most)
            moved = record.model_copy(update={field: constants.model_copy(update={key: value})})
            assert misfit(moved) > stored - 1.5e-3, key


@measured
@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_constants_follow_from_their_rows(name: str) -> None:
    chip, record = known(name)
    for told in (record.prefill_provenance, record.decode_provenance):
        assert told is not None
    assert record.prefill_provenance is not None
    now = timed(TABLES / attended.TABLE, chip, record.prefill_provenance.device, record, source="")
    for before, after in (
        (record.prefill_provenance, now.prefill_provenance),
        (record.decode_provenance, now.decode_provenance),
    ):
        assert before is not None
        assert after is not None
        assert after.fit.mean == pytest.approx(before.fit.mean, rel=0.03)
        assert after.held.mean == pytest.approx(before.held.mean, rel=0.06)


@measured
def test_what_is_asked_is_met_and_the_fitted_roofline_beaten() -> None:
    found = tuple(attended.rows(TABLES))
    assert {(row.on, row.what) for row in found} >= set(attended.ASKED)
    assert [(row.on, row.what) for row in found if row.met is False] == []
    assert {(row.on, row.what) for row in found if not row.beats} == WORSE


@measured
def test_rows_faster_than_the_memory_are_left_out() -> None:
    rows = read(TABLES / attended.TABLE, "a100-sxm-80gb", "a100_sxm", "generation")
    assert sum(len(part.seconds) for part in rows) == 230, "20 of 250 read L2"


def test_a_file_that_is_none_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "timed.csv"
    with pytest.raises(RequestError, match=r"timed\.csv"):
        read(file, "h100-sxm", "mine", "context")
    columns = "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,latency_ms,device"
    file.write_text(columns + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match="no column 'kind'"):
        read(file, "h100-sxm", "mine", "context")
    file.write_text(columns + ",kind\n1,512,32,8,128,int3,bfloat16,0,0.03,mine,context\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"line 2: format 'int3'; known are bfloat16"):
        read(file, "h100-sxm", "mine", "context")
    file.write_text(columns + ",kind\n1,512,32,8,128,bfloat16,bfloat16,0,0.03,mine,context\n", encoding="utf-8")
    rows = read(file, "h100-sxm", "mine", "context")
    with pytest.raises(RequestError, match="1 timed kernels of attention"):
        fit(rows, known("h100-sxm-trtllm-1.3")[1], "context")


@pytest.mark.parametrize("name", NAMES)
def test_a_calibration_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    record = catalog.calibration(name)
    file = tmp_path / f"{name}.toml"
    file.write_text(tables.written(record, "again"), encoding="utf-8")
    assert catalog.calibration(file) == record
