"""Published and measured figures beside what we simulate: a band per class, as DEVIATIONS.md states it.

A band is asserted from both sides. A result that leaves its band has become worse, or better: either way
DEVIATIONS.md no longer says the truth and has to be written anew. Nothing is averaged over classes.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from accelsim import catalog, units
from accelsim.results import Run
from accelsim.simulation import simulate, simulate_operator
from accelsim.spec.model import Mlp

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(__file__).parent / "reference.csv"
DEVIATIONS = ROOT / "DEVIATIONS.md"
DIMENSIONS = {"ms": "s", "us": "s", "W": "W", "pJ/FLOP": "J/FLOP", "pJ/bit": "J/B"}
OPERATORS = ("matmul", "attention", "softmax", "layernorm", "rmsnorm", "gelu", "add")
STATUSES = ("datasheet", "measured", "derived", "assumed")
TOLERANCE = 0.01 + 0.005
"""A hundredth beyond the rounding of the printed figures."""


@dataclass(frozen=True)
class Row:
    id: str
    band: str
    chip: str
    what: str
    parameters: dict[str, str]
    value: float
    """In SI units: s, W, J/FLOP, J/B."""
    source: str
    status: str
    role: str


@dataclass(frozen=True)
class Band:
    deviations: tuple[int, ...]
    rows: int
    lowest: float
    median: float
    highest: float


@cache
def rows() -> tuple[Row, ...]:
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Row(
                r["id"],
                r["class"],
                r["chip"],
                r["what"],
                dict(part.split("=") for part in r["parameters"].split()),
                units.parse(f"{r['value']} {r['unit']}", DIMENSIONS[r["unit"]]),
                r["source"],
                r["status"],
                r["role"],
            )
            for r in csv.DictReader(file)
        )


@cache
def bands() -> dict[str, Band]:
    """The table of classes in DEVIATIONS.md."""
    cell = r"\s*([^|]+?)\s*"
    pattern = re.compile(rf"^\|\s*`([\w-]+)`\s*\|{cell}\|{cell}\|{cell}\|{cell}\|{cell}\|$", re.MULTILINE)
    return {
        name: Band(tuple(int(n) for n in why.split(",")), int(n), float(low), float(middle), float(high))
        for name, n, low, middle, high, why in pattern.findall(DEVIATIONS.read_text(encoding="utf-8"))
    }


def simulated(row: Row) -> float:
    """What we give for a row, in the SI unit of its value."""
    p = dict(row.parameters)
    form = p.pop("format")
    if row.what in OPERATORS:
        dims: dict[str, Any] = {key: value == "true" if key == "causal" else int(value) for key, value in p.items()}
        return _time_s(simulate_operator(row.what, on=row.chip, format=form, **dims))
    if row.what == "linear_layer":
        return _linear_layer_s(row.chip, p["model"], int(p["tokens"]), form)
    if row.what in {"prefill", "decode_step"}:
        run = simulate(
            p["model"],
            row.chip,
            batch=int(p["batch"]),
            prompt=int(p["prompt"]),
            generate=2,
            weights=form,
            activations=form,
            kv_cache=form,
            scales="static",  # engines in fp8 are built with scales from calibration data
        )
        assert run.infeasible is None, run.infeasible
        return float(run.summary["prefill_time_s" if row.what == "prefill" else "time_per_output_token_s"])
    m, n, k = (int(p[key]) for key in "mnk")
    summary = simulate_operator("matmul", on=row.chip, format=form, m=m, n=n, k=k, clock=p["clock"]).summary
    if row.what == "power":
        return float(summary["average_power_w"])
    if row.what == "energy_per_flop":
        return float(summary["energy_j"]) / (2.0 * m * n * k)
    assert row.what == "energy_per_weight_bit", row.what
    return float(summary["energy_j"]) / (2.0 * n * k)  # J per byte of 16-bit weights


def _time_s(run: Run) -> float:
    assert run.infeasible is None, run.infeasible
    return float(run.summary["total_time_s"])


def _linear_layer_s(chip: str, model_name: str, tokens: int, form: str) -> float:
    """Merged QKV, output, merged gate and up, and down projections of one layer."""
    model = catalog.model(model_name)
    layer = model.decoder[0].layers[0]
    hidden, mixer, mlp = model.hidden, layer.attention, layer.feed_forward
    assert isinstance(mlp, Mlp)
    heads = mixer.heads * mixer.head_dim
    merged = (mixer.heads + 2 * mixer.kv_heads) * mixer.head_dim
    shapes = (merged, hidden), (hidden, heads), (2 * mlp.intermediate, hidden), (hidden, mlp.intermediate)
    return sum(_time_s(simulate_operator("matmul", m=tokens, n=n, k=k, on=chip, format=form)) for n, k in shapes)


@cache
def ratios(band: str) -> dict[str, float]:
    """Simulated over reference, by row."""
    return {row.id: simulated(row) / row.value for row in rows() if row.band == band}


def line(band: str) -> str:
    """The row that DEVIATIONS.md would need now."""
    found = sorted(ratios(band).values())
    return f"| `{band}` | {len(found)} | {found[0]:.2f} | {median(found):.2f} | {found[-1]:.2f} |"


def test_rows_are_complete() -> None:
    assert len({row.id for row in rows()}) == len(rows()) >= 60
    for row in rows():
        assert row.value > 0, row.id
        assert row.source, row.id
        assert row.status in STATUSES, row.id
        assert row.role == "predict", f"{row.id}: a fitted constant needs its script, and the README says nothing is"


def test_the_table_of_deviations_covers_every_class() -> None:
    assert Counter(row.band for row in rows()) == {name: band.rows for name, band in bands().items()}
    numbers = {int(n) for n in re.findall(r"^\| (\d+) \|", DEVIATIONS.read_text(encoding="utf-8"), re.MULTILINE)}
    assert numbers == set(range(1, len(numbers) + 1))
    for name, band in bands().items():
        assert set(band.deviations) <= numbers, f"{name} names a deviation that is not listed"


@pytest.mark.parametrize("band", sorted({row.band for row in rows()}))
def test_class_lies_in_its_band(band: str) -> None:
    """Both ends and the median, as printed."""
    stated, found = bands()[band], ratios(band)
    lowest, highest = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    hint = f"{band} is now {line(band)}, from {lowest} to {highest}"
    assert found[lowest] == pytest.approx(stated.lowest, abs=TOLERANCE), hint
    assert found[highest] == pytest.approx(stated.highest, abs=TOLERANCE), hint
    assert median(found.values()) == pytest.approx(stated.median, abs=TOLERANCE), hint
