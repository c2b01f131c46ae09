"""Constants of a board's power: they follow from their rows, and known ones are found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.validation.calibrate import Rows
from accelsim.validation.power import TABLE, Logged, Model, board, fit, parts, read, window_s

TABLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "gpu"
measured = pytest.mark.skipif(not TABLES.exists(), reason="the reference folder is not beside this checkout")


@measured
def test_the_constants_in_the_file_follow_from_their_rows() -> None:
    shipped = catalog.calibration("h200-sxm-trtllm-1.3").power
    assert shipped is not None
    told = shipped.provenance
    now = board(TABLES / TABLE, "h200-sxm", source=told.source.partition("; rows with")[0], device=told.device)
    assert now.drawn == pytest.approx(shipped.drawn, rel=0.01)
    assert now.regulated == pytest.approx(shipped.regulated, rel=0.002)
    assert now.response == pytest.approx(shipped.response, abs=0.01)
    for mine, theirs in ((now.provenance.fit, told.fit), (now.provenance.held, told.held)):
        assert mine.model_dump() == pytest.approx(theirs.model_dump(), rel=0.02)


def logged(count: int = 300) -> tuple[Logged, Model]:
    """GEMMs whose power and time known constants give, a fifth of them with the meter of something else."""
    model = Model.of("h200-sxm")
    draw = np.random.default_rng(1)
    m, n, k = np.rint(2 ** draw.uniform((0, 9, 9), (13, 14, 14), (count, 3))).T
    truth = replace(model, board=replace(model.board, drawn=2.5, held_w=650.0, response=0.25))
    rows = Rows(m, n, k, np.ones(count))
    seconds = truth.seconds(rows)
    watts = truth.watts(rows, seconds) * np.exp(draw.normal(0, 0.005, count))
    odd = draw.random(count) < 0.2
    watts[odd] = draw.uniform(150, 500, int(odd.sum()))
    return Logged(Rows(m, n, k, seconds), watts), model


def test_known_constants_are_found_again_among_outliers() -> None:
    found, model = logged()
    best = fit(found, model)
    assert best.drawn == pytest.approx(2.5, rel=0.02)
    assert best.held_w == pytest.approx(650, rel=0.01)
    assert best.response == pytest.approx(0.25, abs=0.02)


def test_windows_follow_from_the_harness() -> None:
    seconds = np.array([5e-6, 50e-6, 500e-6, 50e-3])
    assert window_s(seconds) == pytest.approx([0.09, 0.9, 1.0, 1.8], rel=0.01)
    assert window_s(seconds, "fp8_block") == pytest.approx([0.015, 0.15, 1.0, 1.05], rel=0.01)
    to_fit, kept = parts(logged()[0])
    assert len(kept) > 10
    assert (window_s(to_fit.rows.seconds) >= 0.45).all()


def test_files_that_say_nothing_of_power_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with pytest.raises(RequestError, match=r"a.csv: No such file"):
        read(file)
    file.write_text("m,n,k,latency_ms\n1,2,3,4\n", encoding="utf-8")
    with pytest.raises(RequestError, match="power_w"):
        read(file)
    file.write_text("m,n,k,latency_ms,power_w\n4096,4096,4096,0.2,600\n", encoding="utf-8")
    with pytest.raises(RequestError, match="30 are needed"):
        board(file, "h200-sxm", source="none")
