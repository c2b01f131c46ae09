"""Pictures of accuracy: error against energy, and the noise of every operator in every layer."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from accelsim.accuracy.report import Accuracy, Row
from accelsim.errors import RequestError
from accelsim.report import style

KINDS: Final = ("pareto", "layers")
_PANELS: Final = 6
_DECIBELS: Final = (0.0, 60.0)


def draw(found: Accuracy, kind: str, path: str | Path | None = None) -> Figure:
    """One picture, written if a path is given.

    Args:
        found: error and price.
        kind: "pareto" for error against energy per token, "layers" for a heat map per format.
        path: .png, .svg or .pdf.

    Raises:
        RequestError: another kind, or nothing to draw.
    """
    if kind not in KINDS:
        raise RequestError(f"picture {kind!r}: allowed are {', '.join(KINDS)}")
    with style.look():
        made = _pareto(found) if kind == "pareto" else _layers(found)
        if path is not None:
            style.save(made, path)
    return made


def front(points: list[tuple[float, float]]) -> list[int]:
    """Which points no other one beats in both coordinates, by the first one."""
    order = sorted(range(len(points)), key=lambda i: points[i])
    kept: list[int] = []
    for i in order:
        if not kept or points[i][1] < points[kept[-1]][1]:
            kept.append(i)
    return kept


def _error(found: Accuracy, row: Row) -> float:
    """Added bits per token, or the divergence where weights are synthetic."""
    assert row.measured is not None
    return row.measured.kl / log(2)


def _label(found: Accuracy, row: Row) -> str:
    return f"{row.label}, {row.chip}" if len(found.chips) > 1 else row.label


def _pareto(found: Accuracy) -> Figure:
    rows = [row for row in found.rows if row.measured and row.price and not row.price.infeasible]
    if not rows:
        raise RequestError("there is no format with both an error and an energy: name a chip with --on")
    points = [(row.price.energy_j * 1e3, _error(found, row)) for row in rows if row.price]
    best = front(points)
    made = style.blank(f"Error of {found.model} against energy of {found.priced} on {', '.join(found.chips)}")
    axes = made.subplots()
    axes.plot(*zip(*(points[i] for i in best), strict=True), color=style.GREY, drawstyle="steps-post", zorder=1)
    for at, (x, y) in enumerate(points):
        axes.scatter([x], [y], s=46, color=style.BLUE if at in best else style.ORANGE, zorder=2)
        axes.annotate(_label(found, rows[at]), (x, y), xytext=(6, 5), textcoords="offset points")
    axes.set_yscale("log")
    axes.set_xlabel("energy per token, mJ")
    axes.set_ylabel("divergence from float64, bits per token")
    axes.margins(x=0.12)
    return made


def _layers(found: Accuracy) -> Figure:
    rows = [row for row in found.rows if row.measured][:_PANELS]
    if not rows:
        raise RequestError("no format was executed: there is nothing to draw")
    frame = found.operators[found.operators["layer"] >= 0]
    names = list(dict.fromkeys(frame["operator"]))
    layers = sorted(set(frame["layer"]))
    made = style.blank(f"Signal over noise of every operator of {found.model}, decibels")
    columns = min(3, len(rows))
    grid = made.subplots(-(-len(rows) // columns), columns, squeeze=False, sharex=True, sharey=True)
    drawn = None
    for axes, row in zip(grid.flat, rows, strict=False):
        mine = (frame["formats"] == row.name) & (frame["chip"] == row.chip) & (frame["method"] == row.method)
        own = frame[mine].groupby(["operator", "layer"])["sqnr_db"].min()
        values = np.array([[own.get((name, layer), np.nan) for layer in layers] for name in names], dtype=float)
        drawn = axes.imshow(
            np.minimum(values, _DECIBELS[1]), aspect="auto", cmap="viridis", vmin=_DECIBELS[0], vmax=_DECIBELS[1]
        )
        axes.set_title(_label(found, row))
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xticks(range(len(layers)), [str(layer) for layer in layers])
        axes.grid(visible=False)
        axes.set_xlabel("layer")
    for axes in list(grid.flat)[len(rows) :]:
        axes.set_visible(False)
    assert drawn is not None
    made.colorbar(drawn, ax=grid, shrink=0.8, label="dB")
    return made
