"""Whole tables of measured kernels beside what we simulate; the figures printed in docs/validation.md.

The tables are not part of this repository: without the folder of reference data beside it these tests skip.
Every row of every table in docs/validation.md is computed anew, so that the page cannot rot.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim import catalog
from accelsim.simulation import simulate_operator
from accelsim.spec.device import GpuChip

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT.parent / "shared" / "reference" / "gpu"
PAGE = ROOT / "docs" / "validation.md"
CHIPS = {
    "a100_sxm": "a100-sxm-80gb",
    "h100_sxm": "h100-sxm",
    "h200_sxm": "h200-sxm",
    "b200_sxm": "b200-sxm",
    "l40s": "l40s",
}
M_BANDS = {"m <= 16": (1, 16), "17-64": (17, 64), "65-256": (65, 256), "257-2048": (257, 2048), "m > 2048": (2049, 1e9)}
POSSIBLE = 0.95
"""A decode kernel that reads its KV cache at more than this part of the memory's peak found it in L2."""

PACKED_HEADS = 32
"""Query heads per KV head up to which the measured library packs them into one tile."""

WALL_CLOCK_S = 100e-6
"""LLMCompass timed single torch calls from outside: shorter ones are launch overhead of the host."""

POINTS, RATIO = 0.5, 0.01
"""How far a printed error (per cent) and a printed ratio may lie from today's."""

pytestmark = pytest.mark.skipif(not TABLES.exists(), reason="the reference folder is not beside this checkout")


@dataclass(frozen=True)
class Point:
    """A kernel by event simulation, by our roofline, and as measured: seconds, or joules for energy."""

    event: float
    roofline: float
    measured: float


@dataclass(frozen=True)
class Figures:
    rows: float
    mean: float
    median: float
    bias: float
    total: float
    roofline_mean: float
    roofline_median: float

    def cells(self) -> str:
        return (
            f"{self.rows} | {self.mean:.1f} | {self.median:.1f} | {self.bias:.2f} | {self.total:.2f} | "
            f"{self.roofline_mean:.1f} | {self.roofline_median:.1f}"
        )


def figures(points: list[Point]) -> Figures:
    """Absolute errors in per cent; bias is the median of ours / measured, total that of the sums."""
    event, roofline, measured = (np.array([getattr(p, f) for p in points]) for f in ("event", "roofline", "measured"))
    ours, theirs = 100 * np.abs(event / measured - 1), 100 * np.abs(roofline / measured - 1)
    return Figures(
        len(points),
        float(ours.mean()),
        float(np.median(ours)),
        float(np.median(event / measured)),
        float(event.sum() / measured.sum()),
        float(theirs.mean()),
        float(np.median(theirs)),
    )


def table(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def point(measured: float, kind: str, chip: str, form: str, column: str = "total_time_s", **dims: Any) -> Point:
    runs = [
        simulate_operator(kind, on=chip, format=form, fidelity=fidelity, **dims) for fidelity in ("event", "roofline")
    ]
    event, roofline = (float(run.summary[column]) for run in runs)
    return Point(event, roofline, measured)


def gemms() -> Iterator[tuple[str, str, Point]]:
    for r in table("gemm_measured.csv"):
        if r["gemm_dtype"] != "bfloat16":
            continue
        m, n, k = (int(r[key]) for key in "mnk")
        chip = CHIPS[r["device"]]
        made = point(float(r["latency_ms"]) * 1e-3, "matmul", chip, "bf16", m=m, n=n, k=k, residency="harness")
        band = next(name for name, (least, most) in M_BANDS.items() if least <= m <= most)
        yield chip, "GEMM", made
        yield chip, f"GEMM, {band}", made


def attention() -> Iterator[tuple[str, str, Point]]:
    for r in table("attention_measured.csv"):
        if (r["attn_dtype"], r["kv_cache_dtype"]) != ("bfloat16", "bfloat16"):
            continue
        keys = ("batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step")
        batch, length, heads, kv_heads, head_dim, step = (int(r[key]) for key in keys)
        chip, measured = CHIPS[r["device"]], float(r["latency_ms"]) * 1e-3
        prefill = r["kind"] == "context"
        kv = length + step
        query = length if prefill else 1
        name = "prefill attention"
        if not prefill:
            read = 2 * 2 * batch * kv * kv_heads * head_dim
            if read / measured > POSSIBLE * _peak_bytes_per_s(chip):
                continue
            name = "decode attention" + (", over 32 heads per KV head" if heads > PACKED_HEADS * kv_heads else "")
        dims: dict[str, Any] = {
            "batch": batch,
            "query": query,
            "kv": kv,
            "heads": heads,
            "kv_heads": kv_heads,
            "head_dim": head_dim,
        }
        made = point(measured, "attention", chip, "bf16", **dims, causal=True)
        yield chip, name, made
        if prefill and measured > 1e-3:
            yield chip, f"{name}, over 1 ms", made
        if name == "decode attention" and measured > 0.2e-3:
            yield chip, f"{name}, over 0.2 ms", made


def torch_operators() -> Iterator[tuple[str, str, Point]]:
    chip = "a100-sxm-80gb"
    for r in table("llmcompass_measured_a100.csv"):
        op, m, n, k, value = r["op"], int(r["M"]), int(r["N"] or 0), int(r["K"] or 0), float(r["value"])
        if op == "matmul":
            yield chip, "torch matmul", point(value * 1e-3, op, chip, "fp16", m=m, n=n, k=k)
            continue
        dims: dict[str, Any] = {"elements": m} if op == "gelu" else {"rows": m, "columns": n}
        made = point(m * max(n, 1) / (value * 1e9), op, chip, "bf16", **dims)
        yield chip, f"torch {op}" + ("" if made.measured >= WALL_CLOCK_S else ", under 0.1 ms"), made


def layers() -> Iterator[tuple[str, str, Point]]:
    """Llama-2-7B's projections: (columns, depth)."""
    shapes = {
        "attn_pre_proj": (12288, 4096),
        "attn_post_proj": (4096, 4096),
        "mlp_up_proj": (22016, 4096),
        "mlp_down_proj": (4096, 11008),
    }
    for r in table("vidur_measured.csv"):
        if r["model"] == "llama2-7b" and r["tp"] == "1" and r["op"] in shapes:
            n, k = shapes[r["op"]]
            chip = {"a100": "a100-sxm-80gb", "h100": "h100-sxm"}[r["device"]]
            measured = float(r["median_ms"]) * 1e-3
            yield (
                chip,
                "Llama-2-7B projections",
                point(measured, "matmul", chip, "fp16", m=int(r["num_tokens"]), n=n, k=k),
            )


def energy() -> Iterator[tuple[str, str, Point]]:
    for r in table("gemm_power_measured.csv"):
        if r["gemm_dtype"] == "bfloat16":
            m, n, k = (int(r[key]) for key in "mnk")
            measured = float(r["latency_ms"]) * 1e-3 * float(r["power_w"])
            yield (
                "h200-sxm",
                "board energy of a GEMM",
                point(
                    measured,
                    "matmul",
                    "h200-sxm",
                    "bf16",
                    column="energy_j",
                    m=m,
                    n=n,
                    k=k,
                    residency="harness",
                    clock="sustained",
                ),
            )


def _peak_bytes_per_s(chip: str) -> float:
    made = catalog.chip(chip)
    assert isinstance(made, GpuChip)
    return made.memory.bandwidth_bytes_per_s


@cache
def found(source: Callable[[], Iterator[tuple[str, str, Point]]]) -> dict[tuple[str, str], Figures]:
    groups: dict[tuple[str, str], list[Point]] = {}
    for chip, name, made in source():
        groups.setdefault((chip, name), []).append(made)
    return {key: figures(points) for key, points in groups.items()}


@cache
def printed() -> dict[tuple[str, str], Figures]:
    """The rows of all tables in docs/validation.md that open with a chip and a class."""
    pattern = re.compile(r"^\| `([\w-]+)` \| ([^|]+?) \|((?: [\d.]+ \|){7})$", re.MULTILINE)
    return {
        (chip, name): Figures(*(float(cell) for cell in cells.split("|")[:-1]))
        for chip, name, cells in pattern.findall(PAGE.read_text(encoding="utf-8"))
    }


SOURCES = (gemms, attention, torch_operators, layers, energy)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_figures_are_those_of_the_page(source: Callable[[], Iterator[tuple[str, str, Point]]]) -> None:
    moved = [row(*key, now) for key, now in found(source).items() if not same(printed().get(key), now)]
    assert not moved, "docs/validation.md should now say\n" + "\n".join(moved)


def row(chip: str, name: str, now: Figures) -> str:
    return f"| `{chip}` | {name} | {now.cells()} |"


def same(stated: Figures | None, now: Figures) -> bool:
    if stated is None or stated.rows != now.rows:
        return False
    percents = (stated.mean, stated.median, stated.roofline_mean, stated.roofline_median)
    ratios = (stated.bias, stated.total)
    return percents == pytest.approx(
        (now.mean, now.median, now.roofline_mean, now.roofline_median), rel=0, abs=POINTS
    ) and ratios == pytest.approx((now.bias, now.total), rel=0, abs=RATIO)


def test_the_page_prints_nothing_else() -> None:
    assert set(printed()) == {key for source in SOURCES for key in found(source)}


@pytest.mark.parametrize("chip", CHIPS.values())
def test_events_beat_the_roofline_on_every_chip(chip: str) -> None:
    gemm = found(gemms)[chip, "GEMM"]
    assert gemm.mean < gemm.roofline_mean
    assert gemm.median < gemm.roofline_median


def test_events_beat_the_roofline_in_every_class() -> None:
    assert all(f.mean < f.roofline_mean for source in SOURCES for f in found(source).values())
    assert all(f.median < f.roofline_median for source in SOURCES for f in found(source).values())
