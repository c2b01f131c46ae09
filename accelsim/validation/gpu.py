"""Measured GEMMs beside ours, a roofline, and a roofline with one fitted efficiency and one fitted offset.

Constants come from the rows that `calibrate.held` does not keep back; errors are told on those that it does, and on
tables that nothing was fitted to. The baseline of two constants is fitted to the same rows as ours.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.evaluate.gemms import Kernels, kernels
from accelsim.mapping.gpu.borrowed import borrowed
from accelsim.mapping.gpu.library import calibrations
from accelsim.spec.calibration import Calibration, Conditions, GemmConstants, Residency
from accelsim.validation import power, tables
from accelsim.validation.calibrate import HARNESS, Rows, few, fit, parts
from accelsim.validation.quantised import Quantised

Array = npt.NDArray[np.float64]

GEMMS: Final = "gemm_measured.csv"
BANDS: Final[Mapping[str, tuple[float, float]]] = {
    "m <= 16": (1, 16),
    "17-64": (17, 64),
    "65-256": (65, 256),
    "257-2048": (257, 2048),
    "m > 2048": (2049, np.inf),
}
LAYERS: Final[Mapping[str, tuple[int, int]]] = {
    "attn_pre_proj": (12_288, 4096),
    "attn_post_proj": (4096, 4096),
    "mlp_up_proj": (22_016, 4096),
    "mlp_down_proj": (4096, 11_008),
}
"""Columns and depth of Llama-2-7B's projections."""

FEW_ROWS: Final = (60, 200)
ASKED: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    ("h100-sxm", "bf16 GEMM"): (6.5, 5),
    ("h200-sxm", "bf16 GEMM"): (6.5, 5),
    ("a100-sxm-80gb", "bf16 GEMM"): (10, 7),
    ("b200-sxm", "bf16 GEMM"): (10, 7),
    ("l40s", "bf16 GEMM"): (16, 10),
    ("h200-sxm", "constants of h100-sxm"): (8, 6),
    ("b200-sxm", "60 rows from h100-sxm"): (13, 9),
    ("a100-sxm-80gb", "60 rows from h100-sxm"): (13, 9),
    ("b200-sxm", "200 rows from h100-sxm"): (11, 8),
    ("a100-sxm-80gb", "200 rows from h100-sxm"): (11, 8),
    ("a100-sxm-80gb", "torch matmul (LLMCompass)"): (6, np.inf),
    ("a100-sxm-80gb", "Llama-2-7B projections (Vidur)"): (11, 8.5),
    ("h100-sxm", "Llama-2-7B projections (Vidur)"): (11, 8.5),
    ("h200-sxm", "sustained, m > 2048"): (8, 6),
    ("h200-sxm", "energy"): (12, np.inf),
    **{(chip, "fp8"): (7, 5) for chip in ("h100-sxm", "h200-sxm", "b200-sxm")},
    **{(chip, "fp8_block"): (10, 7) for chip in ("h100-sxm", "h200-sxm", "b200-sxm", "l40s")},
    ("b200-sxm", "nvfp4"): (10, 7),
    **{("a100-sxm-80gb", kernel): (15, 11) for kernel in ("int8_wo", "int4_wo")},
}
"""Mean and median errors in per cent that the project asks for."""

SUMS: Final[Mapping[str, float]] = {"h100-sxm": 2, "h200-sxm": 2, "a100-sxm-80gb": 3, "b200-sxm": 3}
"""By chip, how far the summed time of bf16 GEMMs may be off, in per cent."""

WITHIN: Final[Mapping[str, float]] = {"h100-sxm": 95, "h200-sxm": 95}
"""By chip, the part of bf16 GEMMs whose error is to be 20 % at most, in per cent."""

_JUDGED: Final = "bf16 GEMM"


@dataclass(frozen=True, slots=True)
class Score:
    """Absolute relative errors in per cent.

    Attributes:
        mean: of all rows.
        median: of all rows.
        p90: that nine of ten rows stay below.
        within: rows of which the error is at most 20 %, in per cent.
        total: sum of ours over the sum of measured times.
    """

    mean: float
    median: float
    p90: float
    within: float
    total: float

    @staticmethod
    def of(ours: Array, measured: Array) -> Score:
        """The score of so many times."""
        off = 100 * np.abs(ours / measured - 1)
        return Score(
            float(off.mean()), float(np.median(off)), float(np.percentile(off, 90)), float(100 * (off <= 20).mean()),
            float(ours.sum() / measured.sum()),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Points:
    """The kernels behind a row, [rows] each, for pictures.

    Attributes:
        size: what errors are drawn over.
        label: what that is.
        measured: seconds, or what `unit` says.
        ours: likewise.
        unit: of both.
    """

    size: Array
    label: str
    measured: Array
    ours: Array
    unit: str = "s"


@dataclass(frozen=True, slots=True)
class Row:
    """One class of kernels on one chip.

    Attributes:
        on: chip.
        what: class.
        rows: kernels.
        ours: our score.
        fitted: that of a roofline with an efficiency and an offset.
        roofline: that of a roofline.
        asked: mean and median that the project asks for, if it does.
        sum_asked: how far the summed time may be off, in per cent, where that is asked for.
        within_asked: part of the rows within 20 %, likewise.
        points: the kernels themselves.
    """

    on: str
    what: str
    rows: int
    ours: Score
    fitted: Score
    roofline: Score
    asked: tuple[float, float] | None
    sum_asked: float | None = None
    within_asked: float | None = None
    points: Points | None = None

    @property
    def met(self) -> bool | None:
        """Whether all that is asked for is reached; None where nothing is."""
        if self.asked is None:
            return None
        return not self.missed

    @property
    def missed(self) -> tuple[str, ...]:
        """What of it is not reached: mean, median, sum, within."""
        mean, median = self.asked or (np.inf, np.inf)
        found = {
            "mean": self.ours.mean > mean,
            "median": self.ours.median > median,
            "sum": self.sum_asked is not None and abs(100 * (self.ours.total - 1)) > self.sum_asked,
            "within": self.within_asked is not None and self.ours.within < self.within_asked,
        }
        return tuple(name for name, off in found.items() if off)

    @property
    def beats(self) -> bool:
        """Whether our mean is below that of the fitted roofline."""
        return self.ours.mean < self.fitted.mean


def rows(folder: str | Path) -> tuple[Row, ...]:
    """All classes, computed anew.

    Args:
        folder: with the public tables; `tests/validation/README.md` names them.

    Raises:
        RequestError: a table that is not there.
    """
    return tuple(_rows(Path(folder)))


def _rows(folder: Path) -> Iterator[Row]:
    baselines: dict[str, Array] = {}
    for record in calibrations():
        if record.provenance is None:
            continue
        made = kernels(record.chip, conditions=Conditions(record.name))
        found = tables.read(folder / GEMMS, record.fitted.device, record.fitted.kernel)
        to_fit, kept = parts(found, record.fitted.kernel)
        baselines[record.chip] = base = _baseline(made, to_fit)
        yield _row(made, "bf16 GEMM", kept, base)
        yield _row(made, "bf16 GEMM, fitted rows", to_fit, base)
        for band, (least, most) in BANDS.items():
            yield _row(made, f"bf16 GEMM, {band}, all rows", found.where((least <= found.m) & (found.m <= most)), base)
        yield from _borrowed(made, record, to_fit, kept, base)
        yield from _formats(folder, record)
    for chip, name in (("a100-sxm-80gb", "a100"), ("h100-sxm", "h100")):
        yield _row(
            kernels(chip, "fp16"), "Llama-2-7B projections (Vidur)", _layers(folder, name), baselines[chip],
            Residency.parse("steady"),
        )  # fmt: skip
    chip = "a100-sxm-80gb"
    yield _row(
        kernels(chip, "fp16"), "torch matmul (LLMCompass)", _torch(folder), baselines[chip], Residency.parse("steady")
    )
    chip = "h200-sxm"
    loaded = kernels(chip, conditions=Conditions(clock="sustained"))
    found = tables.read(folder / power.TABLE, "h200_sxm")
    yield _row(loaded, "sustained", found, baselines[chip])
    yield _row(loaded, "sustained, m > 2048", found.where(found.m >= BANDS["m > 2048"][0]), baselines[chip])
    yield from _energy(folder, chip)
    yield from _others(folder, baselines)


def _energy(folder: Path, chip: str) -> Iterator[Row]:
    """Power at the measured time, then energy at our own, both of a board whose power was logged."""
    logged = {kernel: power.read(folder / power.TABLE, kernel) for kernel in power.CLASSES}
    to_fit, kept = power.parts(logged["bfloat16"])
    known = power.Linear.fitted(to_fit, chip)
    for what, kernel, some in (
        ("energy", "bfloat16", kept),
        ("energy, fitted rows", "bfloat16", to_fit),
        ("energy, short windows too", "bfloat16", logged["bfloat16"]),
        ("energy, fp8_block, not fitted", "fp8_block", power.long(logged["fp8_block"], "fp8_block")),
    ):
        model, rows = power.Model.of(chip, kernel), some.rows
        seconds = model.seconds(rows)
        for name, ours, base, roof, truth in (
            (what.replace("energy", "power"), model.watts(rows, rows.seconds), known.watts(model, rows, rows.seconds),
             np.full(len(some), model.made.chip.power.limit_w), some.watts),
            (what, model.watts(rows, seconds) * seconds, known.joules(model, rows),
             _roofline(model.made, rows) * model.made.chip.power.limit_w, some.joules),
        ):  # fmt: skip
            yield Row(
                chip, name, len(some), Score.of(ours, truth), Score.of(base, truth), Score.of(roof, truth),
                ASKED.get((chip, name)), points=Points(rows.m, "m", truth, ours, "J" if name == what else "W"),
            )  # fmt: skip


def _others(folder: Path, baselines: Mapping[str, Array]) -> Iterator[Row]:
    """Classes of kernels with modules of their own, which tell errors as this one does."""
    from accelsim.validation import attended, messages, torch_operators, whole

    yield from attended.rows(folder)
    yield from messages.rows(folder)
    yield from torch_operators.rows(folder)
    yield from whole.rows(folder, baselines)


def _borrowed(made: Kernels, record: Calibration, to_fit: Rows, kept: Rows, base: Array) -> Iterator[Row]:
    """What another chip's constants come to, as they are and with some of them fitted to a few rows."""
    origin = catalog.calibration("h100-sxm-trtllm-1.3")
    if record.chip == origin.chip:
        return
    yield _row(made, f"constants of {origin.chip}", kept, base, constants=borrowed(origin, made.chip).gemm)
    for count in FEW_ROWS:
        chosen = np.zeros(len(to_fit), dtype=bool)
        chosen[np.linspace(0, len(to_fit) - 1, min(count, len(to_fit))).round().astype(int)] = True
        some = to_fit.where(chosen)
        constants = fit(some, made, few(len(some)), origin.gemm, starts=1)
        yield _row(made, f"{count} rows from {origin.chip}", kept, base, constants=constants)


def _formats(folder: Path, record: Calibration) -> Iterator[Row]:
    """Other classes of kernels of the same library, the pass over their activations included."""
    for row in record.format:
        made = kernels(record.chip, *row.operands)
        found = tables.read(folder / GEMMS, record.fitted.device, row.kernel)
        to_fit, kept = parts(found, row.kernel)
        base = _baseline(made, to_fit)
        for what, some in ((row.kernel, kept), (f"{row.kernel}, fitted rows", to_fit)):
            ours = Quantised.of(row).seconds(made, some)
            yield _scored(made, what, some, ours, base)


def _row(
    made: Kernels, what: str, found: Rows, base: Array, residency: Residency = HARNESS,
    constants: GemmConstants | None = None,
) -> Row:  # fmt: skip
    return _scored(made, what, found, made.price(found.m, found.n, found.k, constants, residency).seconds, base)


def _scored(made: Kernels, what: str, found: Rows, ours: Array, base: Array) -> Row:
    roof = _roofline(made, found)
    return Row(
        made.chip.name, what, len(found), Score.of(ours, found.seconds),
        Score.of(roof / base[0] + base[1], found.seconds), Score.of(roof, found.seconds),
        ASKED.get((made.chip.name, what)),
        SUMS.get(made.chip.name) if what == _JUDGED else None,
        WITHIN.get(made.chip.name) if what == _JUDGED else None,
        points=Points(found.m, "m", found.seconds, ours),
    )  # fmt: skip


def _roofline(made: Kernels, found: Rows) -> Array:
    compute, memory = made.bounds_s(found.m, found.n, found.k)
    longest: Array = np.maximum(compute, memory)
    return longest


def _baseline(made: Kernels, found: Rows) -> Array:
    """Efficiency and offset in seconds that minimise the mean of |ln| of a roofline with them."""
    from scipy import optimize

    roof = _roofline(made, found)

    def loss(point: Array) -> float:
        return float(np.abs(np.log((roof / np.exp(point[0]) + np.exp(point[1])) / found.seconds)).mean())

    best = optimize.minimize(loss, np.log([0.75, 3e-6]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    given: Array = np.exp(best.x)
    return given


def _torch(folder: Path) -> Rows:
    return Rows.of(
        (int(r["M"]), int(r["N"]), int(r["K"]), float(r["value"]) * 1e-3)
        for r in _table(folder / "llmcompass_measured_a100.csv")
        if r["op"] == "matmul"
    )


def _layers(folder: Path, device: str) -> Rows:
    return Rows.of(
        (int(r["num_tokens"]), *LAYERS[r["op"]], float(r["median_ms"]) * 1e-3)
        for r in _table(folder / "vidur_measured.csv")
        if (r["device"], r["model"], r["tp"]) == (device, "llama2-7b", "1") and r["op"] in LAYERS
    )


def _table(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))
