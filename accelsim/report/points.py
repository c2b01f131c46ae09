"""Pictures of a sweep with a mark per point: fronts and parallel coordinates; and tornados, with a bar per axis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from accelsim.errors import RequestError
from accelsim.report import style
from accelsim.report.columns import caption, colour_ticks, label, levels, measure, ruler, wide
from accelsim.report.columns import name as words
from accelsim.report.labels import Label, place
from accelsim.spec.sweep import Plot

if TYPE_CHECKING:
    import pandas as pd

MEETS: Final = "meets_constraints"
_MOST_LABELS: Final = 14
_MOST_LEVELS: Final = 10


def needed(plot: Plot, *names: str) -> None:
    """Refuses a picture without the columns that it shows.

    Raises:
        RequestError: one of them is not named.
    """
    missing = [name for name in names if getattr(plot, name) is None]
    if missing:
        raise RequestError(f"a picture of kind {plot.kind!r} needs {' and '.join(missing)}: name columns in [plot]")


def pareto(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    """Points by two figures, the front of those that meet the constraints marked and labelled with their axes."""
    names = list(objectives)
    if (plot.x is None or plot.y is None) and len(names) < 2:
        needed(plot, "x", "y")
    x, y = plot.x or names[0], plot.y or names[1]
    ways = {name: objectives.get(name, "min") for name in (x, y)}
    allowed = frame[MEETS].to_numpy(dtype=bool) if MEETS in frame.columns else np.ones(len(frame), dtype=bool)
    axes = made.subplots()
    broken, good = frame[~allowed], frame[allowed]
    if len(broken):
        axes.scatter(broken[x], broken[y], s=14, color="#C8C8C8", label="breaks a constraint", edgecolors="none")
    for number, level in enumerate(levels(frame, plot.color)):
        mine = good if plot.color is None else good[good[plot.color] == level]
        axes.scatter(
            mine[x], mine[y], s=22, alpha=0.7, color=style.SERIES[number % len(style.SERIES)],
            label=None if plot.color is None else ruler(frame, plot.color).text(level, unit=True), edgecolors="none",
        )  # fmt: skip
    best = good[_front(good, ways)].sort_values(x)
    steps = "steps-post" if ways[x] == "min" else "steps-pre"
    axes.plot(best[x], best[y], color=style.BLACK, lw=1.2, drawstyle=steps)
    axes.scatter(best[x], best[y], s=46, facecolors="none", edgecolors=style.BLACK, label="front")
    for which, name in (("x", x), ("y", y)):
        measure(axes, which, frame, name, plot.model_copy(update={"color": None}))
    axes.margins(0.08)
    title = label(frame, plot.color).split(" (")[0] if plot.color else None
    made.legend(
        *axes.get_legend_handles_labels(), title=title, loc="outside lower center",
        ncols=style.legend_columns(axes.get_legend_handles_labels()[1]),
    )  # fmt: skip
    axes.set_title("beside the front: " + ", ".join(words(name) for name in _inputs(frame, (x, y))), fontsize=10)
    _named(made, axes, frame, best, (x, y))


def _named(made: Figure, axes: Axes, frame: pd.DataFrame, best: pd.DataFrame, columns: tuple[str, str]) -> None:
    """Writes what the points of the front are, where there is room."""
    inputs = _inputs(frame, columns)
    if not inputs or best.empty:
        return
    made.draw_without_rendering()
    at = axes.transData.transform(best[list(columns)].to_numpy(dtype=float))
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in at.tolist()]
    for (x0, y0), (x1, y1) in itertools.pairwise(at.tolist()):  # the steps between them
        taken += [(x, y0, x, y0) for x in np.linspace(x0, x1, 40)] + [(x1, y, x1, y) for y in np.linspace(y0, y1, 20)]
    chosen = np.unique(np.linspace(0, len(best) - 1, min(len(best), _MOST_LABELS)).round().astype(int))
    labels = []
    for row in chosen.tolist():
        values = {name: best[name].iloc[row] for name in (*inputs, *columns)}
        x, y = (float(values[name]) for name in columns)
        labels.append(Label(caption(frame, values, inputs), x, y, 5.0, style.GREY))
    for note in place(axes, labels, taken):
        note.set_bbox({"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6})


def _inputs(frame: pd.DataFrame, besides: tuple[str, str]) -> list[str]:
    """Axes that tell points apart and are not shown otherwise."""
    there = [name for name in frame.attrs.get("axes", ()) if name in frame.columns and name not in besides]
    return [name for name in there if frame[name].nunique() > 1]


def _front(frame: pd.DataFrame, ways: Mapping[str, str]) -> Any:
    """Rows that no other beats, of the few thousand that a picture shows."""
    costs = np.column_stack([frame[name].to_numpy(float) * (1 if way == "min" else -1) for name, way in ways.items()])
    order = np.lexsort(costs.T[::-1])
    found = np.zeros(len(costs), dtype=bool)
    least = np.inf
    for row in order:
        if costs[row, 1] < least:
            found[row], least = True, costs[row, 1]
    return found


def parallel(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    """A line per point over all axes and objectives, coloured by one of them; those on the front stand out."""
    names = [name for name in (*frame.attrs.get("axes", ()), *objectives) if frame[name].nunique() > 1]
    if len(names) < 2:
        raise RequestError("parallel coordinates need two columns that vary: axes, or objectives")
    axes = made.subplots()
    shade = plot.color or (next(iter(objectives)) if objectives else names[-1])
    places = np.column_stack([_place(frame[name]) for name in names])
    colours = _place(frame[shade])
    allowed = frame[MEETS].to_numpy(dtype=bool) if MEETS in frame.columns else np.ones(len(frame), dtype=bool)
    best = np.zeros(len(frame), dtype=bool)
    if len(objectives) >= 2:
        ways = dict(list(objectives.items())[:2])
        best[np.flatnonzero(allowed)[_front(frame[allowed], ways)]] = True
    palette = matplotlib.colormaps["viridis"]
    faint = 0.35 if best.any() else 0.6
    for row, colour, good, top in zip(places, colours, allowed.tolist(), best.tolist(), strict=True):
        line = axes.plot(range(len(names)), row, color=palette(float(colour)) if good else "#D5D5D5")[0]
        line.set(alpha=1.0 if top else faint, linewidth=2.0 if top else 0.8, zorder=4 if top else 2 if good else 1)
    for number, name in enumerate(names):
        axes.axvline(number, color="#555555", lw=0.8, zorder=3)
        for height, text in _ticks(frame, name):
            axes.text(
                number + 0.02, height, text, ha="left", va="center", fontsize=8.5, zorder=6,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
    axes.set_xticks(range(len(names)), [label(frame, name) for name in names], rotation=15 if len(names) > 6 else 0)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-0.15, len(names) - 1 + 0.55)
    axes.set_ylim(-0.05, 1.05)
    _bar(made, axes, frame, shade)
    said = ["bold: the front of the first two objectives"] * bool(best.any())
    said += ["grey: breaks a constraint"] * bool((~allowed).any())
    if said:
        axes.set_title("; ".join(said), fontsize=10, color="#444444")


def _bar(made: Figure, axes: Axes, frame: pd.DataFrame, shade: str) -> None:
    """What the colours mean."""
    if frame[shade].dtype.kind not in "if":
        return
    written = ruler(frame, shade)
    values = frame[shade].to_numpy(dtype=float) / written.factor
    norm = (LogNorm if wide(values) else Normalize)(float(values.min()), float(values.max()))
    made.colorbar(
        ScalarMappable(norm, "viridis"), ax=axes, label=label(frame, shade), pad=0.01,
        **colour_ticks(values),
    )  # fmt: skip


def _place(column: pd.Series[Any]) -> Any:
    """Where values lie between the least and the most: 0 to 1; in the logarithm where they span decades."""
    if column.dtype.kind not in "if":
        names = list(dict.fromkeys(column.tolist()))
        return np.asarray([names.index(value) / max(1, len(names) - 1) for value in column.tolist()])
    values = column.to_numpy(dtype=float)
    if wide(values):
        values = np.log(values)
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread else np.full(len(values), 0.5)


def _ticks(frame: pd.DataFrame, name: str) -> list[tuple[float, str]]:
    """Height and text of the values of a column: all of a few, else the ends and three between."""
    column, written = frame[name], ruler(frame, name)
    if column.dtype.kind not in "if":
        names = list(dict.fromkeys(column.tolist()))
        return [(number / max(1, len(names) - 1), str(value)) for number, value in enumerate(names)]
    values = np.unique(column.to_numpy(dtype=float))
    if len(values) > _MOST_LEVELS:
        ends = values[0], values[-1]
        values = np.geomspace(*ends, 5) if wide(values) else np.linspace(*ends, 5)
    scaled = np.log(values) if wide(column) else values
    spread = scaled[-1] - scaled[0]
    heights = ((scaled - scaled[0]) / spread).tolist()
    return [(height, written.text(value)) for height, value in zip(heights, values.tolist(), strict=True)]


def tornado(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    """How far the mean of a result moves over the values of each axis, the widest on top."""
    y = plot.y or next(iter(objectives), None)
    if y is None:
        raise RequestError("a tornado needs y, the result whose changes it shows")
    inputs = [name for name in frame.attrs.get("axes", ()) if frame[name].nunique() > 1]
    written = ruler(frame, y)
    bars = []
    for name in inputs:
        means = frame.groupby(name, observed=True, sort=False)[y].mean() / written.factor
        bars.append((float(means.min()), float(means.max()), name, means.idxmin(), means.idxmax()))
    if not bars:
        raise RequestError("a tornado needs an axis with two values at least")
    bars.sort(key=lambda bar: bar[1] - bar[0])
    axes = made.subplots()
    middle = float(frame[y].mean()) / written.factor
    for number, (low, high, name, at_low, at_high) in enumerate(bars):
        axes.barh(number, middle - low, left=low, height=0.6, color=style.BLUE, label="below the mean" * (not number))
        axes.barh(
            number, high - middle, left=middle, height=0.6, color=style.VERMILION, label="above it" * (not number)
        )
        for at, value, side in ((low, at_low, "right"), (high, at_high, "left")):
            text = f" {ruler(frame, name).text(value, unit=True)} "
            axes.text(at, number, text, ha=side, va="center", fontsize=9)
    axes.axvline(middle, color=style.BLACK, lw=1, label=f"mean of all points, {middle:.3g} {written.unit}")
    axes.set_yticks(range(len(bars)), [label(frame, bar[2]).split(" (")[0] for bar in bars])
    axes.set_xlabel(f"{label(frame, y)}, mean over all points with the value beside the bar")
    axes.grid(False, axis="y")
    low, high = min(bar[0] for bar in bars), max(bar[1] for bar in bars)
    axes.set_xlim(low - 0.15 * (high - low), high + 0.15 * (high - low))
    axes.legend(loc="lower right")
