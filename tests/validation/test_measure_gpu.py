"""What a user's card would be timed at, and the file that comes of it; torch and a card are not needed."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from accelsim.evaluate.gemms import kernels
from accelsim.validation import tables
from accelsim.validation.calibrate import HARNESS, Rows, few, identifiable, parts
from accelsim.validation.calibrated import calibrated
from accelsim.validation.power import read
from benchmarks import measure_gpu
from benchmarks.measure_gpu import COLUMNS, GEMMS, KINDS, Point, copies, over, points, write

SCRIPT = Path(measure_gpu.__file__)


def gemms(chip: str) -> Rows:
    """The points of one class with the times that the closed form gives."""
    m, n, k = np.array([[point.sizes[name] for name in "mnk"] for point in points(("gemm",), ("bfloat16",))]).T
    return Rows(*(column.astype(float) for column in (m, n, k)), kernels(chip).price(m, n, k, None, HARNESS).seconds)


def test_every_kind_is_timed_and_no_kernel_twice() -> None:
    everything = points()
    assert {point.kind for point in everything} == set(KINDS)
    assert max(Counter(map(str, everything)).values()) == 1
    classes = Counter(point.dtype for point in everything if point.kind == "gemm")
    assert classes == dict.fromkeys(GEMMS, 120)
    assert all(set(point.sizes) <= set(COLUMNS) for point in everything)


@pytest.mark.parametrize("chip", ["h100-sxm", "a6000"])
def test_the_gemms_identify_the_constants_that_so_many_rows_allow(chip: str) -> None:
    to_fit, kept = parts(gemms(chip), "bfloat16")
    assert len(kept) >= 20
    identifiable(to_fit, kernels(chip), few(len(to_fit)))


def test_a_measured_file_becomes_a_calibration(tmp_path: Path) -> None:
    rows = gemms("h100-sxm")
    file = tmp_path / "mine.csv"
    told = {"device": "", "card": "a card", "driver": "1", "power_w": "500", "copies": 5, "graph": 1}
    made = (
        {"kind": "gemm", "gemm_dtype": "bfloat16", "m": int(m), "n": int(n), "k": int(k), "latency_ms": 1e3 * s, **told}
        for m, n, k, s in zip(rows.m, rows.n, rows.k, rows.seconds, strict=True)
    )
    others = [{"kind": "norm", "gemm_dtype": "", "rows": 4, "columns": 8, "latency_ms": 0.01}]
    assert write(file, iter([*made, *others])) == 121
    with file.open(encoding="utf-8", newline="") as text:
        assert tuple(next(csv.reader(text))) == COLUMNS
    assert len(tables.read(file)) == len(read(file)) == 120
    record, impossible = calibrated(file, "h100-sxm", library="torch")
    assert impossible == 0
    assert record.provenance.held.mean < 0.05


def test_a_run_that_is_broken_off_leaves_its_rows(tmp_path: Path) -> None:
    def rows():  # type: ignore[no-untyped-def]
        yield {"kind": "copy", "latency_ms": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "part.csv", rows())
    assert len((tmp_path / "part.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_copies_fill_the_cache() -> None:
    assert [copies(weights, 50e6) for weights in (1e5, 11e6, 20e6, 50e6, 1e9)] == [5, 5, 3, 1, 1]


def test_the_first_half_of_a_window_does_not_count() -> None:
    readings = iter([*[100.0] * 2, *[700.0] * 10_000])
    mean, window = over(0.3, lambda: None, lambda: next(readings))
    assert mean == 700
    assert window >= 0.3


@pytest.mark.parametrize("arguments", [["--list"], ["--dry-run", "--only", "gemm", "--dtypes", "fp8"]])
def test_listing_needs_nothing_but_python(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments], check=True, capture_output=True, text=True
    )
    assert len(done.stdout.splitlines()) == (len(points()) if arguments == ["--list"] else 120)
    assert str(Point("gemm", "fp8", {"m": 1, "n": 1024, "k": 1024})) in done.stdout


def test_without_torch_there_is_a_word_and_not_a_trace(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert measure_gpu.main(["--out", "never.csv"]) == 1
    assert not Path("never.csv").exists()
    with pytest.raises(SystemExit):
        measure_gpu.main(["--power", "0.5"])
