"""Measured collectives beside ours, the link's bandwidth, and that with one fitted efficiency and one fitted offset."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.mapping.gpu.library import calibrations, collectives
from accelsim.mapping.gpu.links import fastest
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.collective import wire_bytes
from accelsim.validation.collectives import TABLE, Rows, parts, read, seconds
from accelsim.validation.gpu import Row, Score

Array = npt.NDArray[np.float64]

ASKED: Final = (9.0, 6.0)
"""Mean and median errors in per cent that the project asks for over NVLink."""

OTHER: Final = {"a100_dgx": "a100-sxm-80gb", "h100_dgx": "h100-sxm"}
"""Boards of `vidur_measured.csv` whose GPUs a switch joins."""


def rows(folder: Path) -> Iterator[Row]:
    """Collectives of every chip that some were fitted on, and all-reduces of another data set."""
    other = _vidur(folder / "vidur_measured.csv")
    for record in calibrations():
        if not record.collective:
            continue
        chip = catalog.chip(record.chip)
        assert isinstance(chip, GpuChip)
        found = read(folder / TABLE, record.collective[0].provenance.device)
        halves = [parts(some) for some in found.values()]
        to_fit, kept = ([half[index] for half in halves] for index in (0, 1))
        base = _baseline(chip, to_fit)
        yield _row(chip, "collectives", kept, base, ASKED)
        yield _row(chip, "collectives, fitted rows", to_fit, base)
        for some in kept:
            yield _row(chip, some.operation, [some], base)
        for band, least, most in (
            ("up to 64 kB", 0.0, 65_536.0), ("to 16 MB", 65_537.0, 2.0**24), ("over 16 MB", 2.0**24 + 1, np.inf)
        ):  # fmt: skip
            within = [part.where((least <= part.size) & (part.size <= most)) for part in kept]
            yield _row(chip, f"collectives, {band}", [part for part in within if len(part)], base)
        if record.chip in other:
            yield _row(chip, "all_reduce (Vidur)", [other[record.chip]], base)


def _row(
    chip: GpuChip, what: str, found: list[Rows], base: tuple[float, float], asked: tuple[float, float] | None = None
) -> Row:
    known, rate = collectives(chip), _rate(chip)
    measured = np.concatenate([part.seconds for part in found])
    ours = np.concatenate([seconds(part, rate, known.constants(part.operation)) for part in found])
    roof = _roofline(chip, found)
    return Row(
        chip.name, what, len(measured), Score.of(ours, measured), Score.of(roof / base[0] + base[1], measured),
        Score.of(roof, measured), asked,
    )  # fmt: skip


def _rate(chip: GpuChip) -> float:
    link = fastest(chip)
    assert link is not None
    return link.bandwidth_bytes_per_s


def _roofline(chip: GpuChip, found: list[Rows]) -> Array:
    wire = [wire_bytes(part.operation, part.size, part.devices) for part in found]
    return np.concatenate(wire) / _rate(chip)


def _baseline(chip: GpuChip, found: list[Rows]) -> tuple[float, float]:
    """Efficiency and offset in seconds that minimise the mean of |ln|."""
    from scipy import optimize

    roof, measured = _roofline(chip, found), np.concatenate([part.seconds for part in found])

    def loss(point: Array) -> float:
        return float(np.abs(np.log((roof / np.exp(point[0]) + np.exp(point[1])) / measured)).mean())

    best = optimize.minimize(loss, np.log([0.6, 10e-6]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    return float(np.exp(best.x[0])), float(np.exp(best.x[1]))


def _vidur(file: Path) -> dict[str, Rows]:
    found: dict[str, list[tuple[int, int, float]]] = {}
    with file.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            if row["device"] in OTHER:
                point = (int(row["tp"]), int(row["num_tokens"]), float(row["median_ms"]) * 1e-3)
                found.setdefault(OTHER[row["device"]], []).append(point)
    return {chip: Rows("all_reduce", *np.array(sorted(points), dtype=float).T) for chip, points in found.items()}
