"""Pictures of a validation: ours over measured, and the error over the size of a kernel, a column per chip."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accelsim.errors import RequestError
from accelsim.report import style
from accelsim.validation.gpu import Points, Row

HEADLINE: Final = "bf16 GEMM"
"""The class that a single picture shows."""

_CLOSE: Final = 0.2
_COLUMN_PX: Final = 360
_HEIGHT_PX: Final = 720


def draw(rows: Iterable[Row], path: str | Path) -> list[Path]:
    """Draws the rows that have points.

    Args:
        rows: of `accelsim.validation.gpu.rows`.
        path: a folder, which is made, for a picture of each class, or a file for that of `HEADLINE`.

    Returns:
        The files written.

    Raises:
        RequestError: another suffix, or no row with points.
    """
    classes: dict[str, list[Row]] = {}
    for row in rows:
        if row.points is not None and row.rows:
            classes.setdefault(row.what, []).append(row)
    target = Path(path)
    if target.suffix:
        if HEADLINE not in classes:
            raise RequestError(f"{target}: no row of the class {HEADLINE} to draw; a folder takes all classes")
        return [style.save(scatter(HEADLINE, classes[HEADLINE]), target)]
    target.mkdir(parents=True, exist_ok=True)
    return [style.save(scatter(what, found), target / f"{_stem(what)}.png") for what, found in classes.items()]


def scatter(what: str, rows: list[Row]) -> Figure:
    """One class: a column per chip."""
    width = max(style.SIZE_PX[0] // 2, _COLUMN_PX * len(rows))
    made = style.blank(f"{what}: ours beside measured", (width, _HEIGHT_PX))
    with style.look():
        panels = made.subplots(2, len(rows), squeeze=False, height_ratios=[3, 2])
        for column, row in enumerate(rows):
            assert row.points is not None
            _pairs(panels[0][column], row, row.points)
            _over_size(panels[1][column], row.points)
        panels[1][0].set_ylabel("ours / measured - 1, %")
    return made


def _pairs(axes: Axes, row: Row, points: Points) -> None:
    both = np.concatenate([points.measured, points.ours])
    ends = np.array([both.min() / 1.5, both.max() * 1.5])
    axes.fill_between(ends, ends * (1 - _CLOSE), ends * (1 + _CLOSE), color=style.GREY, alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color=style.BLACK, linewidth=0.8)
    axes.scatter(points.measured, points.ours, s=9, color=style.BLUE, alpha=0.6, linewidth=0)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axes.set_xlabel(f"measured, {points.unit}")
    axes.set_ylabel(f"ours, {points.unit}")
    axes.set_title(
        f"{row.on}, {row.rows} kernels\nmean {row.ours.mean:.1f} %, median {row.ours.median:.1f} %, "
        f"sum {row.ours.total:.3f}",
        fontsize="small",
    )


def _over_size(axes: Axes, points: Points) -> None:
    off = 100 * (points.ours / points.measured - 1)
    most = max(30.0, float(np.percentile(np.abs(off), 98)) * 1.2)
    axes.axhspan(-100 * _CLOSE, 100 * _CLOSE, color=style.GREY, alpha=0.25, linewidth=0)
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    axes.scatter(points.size, np.clip(off, -most, most), s=9, color=style.VERMILION, alpha=0.6, linewidth=0)
    axes.set(xscale="log", ylim=(-most * 1.05, most * 1.05))
    axes.set_xlabel(points.label)


def _stem(what: str) -> str:
    words = what.replace("<=", "up to").replace(">", "above")
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
