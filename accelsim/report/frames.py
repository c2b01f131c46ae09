"""Pictures of a sweep: lines, heat maps, fronts, parallel coordinates and tornados, from its frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullLocator

from accelsim.errors import RequestError, UnknownNameError
from accelsim.report import style
from accelsim.results.columns import unit
from accelsim.spec.sweep import Plot

if TYPE_CHECKING:
    import pandas as pd

_MARKERS: Final = "osD^vP*X"
_MOST_PANELS: Final = 6
_MOST_LABELS: Final = 12
_MOST_TICKS: Final = 12
_DECADE: Final = 8.0
"""Values that span more than this factor are drawn on a logarithmic axis."""


def draw(
    frame: pd.DataFrame,
    plot: Plot,
    *,
    title: str,
    objectives: Mapping[str, str] | None = None,
    path: str | Path | None = None,
) -> Figure:
    """The picture of a frame that a sweep asks for; points that are not ok are left out.

    Args:
        frame: rows of a sweep.
        plot: what to draw.
        title: over the picture.
        objectives: column -> "min" or "max"; for fronts, parallel coordinates and tornados.
        path: where to write it (.png, .svg, .pdf).

    Raises:
        RequestError: a column is needed that the plot does not name, or no point is ok.
        UnknownNameError: a column that is not there.
    """
    for name in (plot.x, plot.y, plot.color, plot.facet, plot.value):
        if name is not None and name not in frame.columns:
            raise UnknownNameError("column", name, map(str, frame.columns), "plot")
    good = frame[(frame["status"] == "ok").to_numpy()] if "status" in frame.columns else frame
    if good.empty:
        raise RequestError("there is nothing to draw: no point is ok")
    makers: Mapping[str, Callable[[Figure, pd.DataFrame, Plot, Mapping[str, str]], None]] = {
        "lines": _lines, "heatmap": _heatmap, "pareto": _pareto, "parallel": _parallel, "tornado": _tornado,
    }  # fmt: skip
    with style.look():
        made = style.blank(title)
        makers[plot.kind](made, good, plot, objectives or {})
        if path is not None:
            style.save(made, path)
    return made


def label(column: str) -> str:
    """A column for people: words instead of underscores, its unit behind."""
    symbol = unit(column)
    stem = column
    for ending in ("_bytes_per_s", "_flops_per_s", "_bytes", "_s", "_j", "_w"):
        if symbol and column.endswith(ending):
            stem = column.removesuffix(ending)
            break
    words = stem.replace("_", " ").replace(".", " ")
    return f"{words} ({symbol})" if symbol else words


def _needed(plot: Plot, *names: str) -> None:
    missing = [name for name in names if getattr(plot, name) is None]
    if missing:
        raise RequestError(f"a picture of kind {plot.kind!r} needs {' and '.join(missing)}: name columns in [plot]")


def _levels(frame: pd.DataFrame, column: str | None) -> list[Any]:
    """Distinct values of a column in the order of the sweep; one None without a column."""
    if column is None:
        return [None]
    there = list(dict.fromkeys(frame[column].tolist()))
    if frame[column].dtype.name != "category":
        return there
    return [level for level in frame[column].cat.categories.tolist() if level in there]


def _panels(made: Figure, frame: pd.DataFrame, plot: Plot) -> list[tuple[Axes, pd.DataFrame]]:
    levels = _levels(frame, plot.facet)
    if len(levels) > _MOST_PANELS:
        raise RequestError(f"plot: {plot.facet} has {len(levels)} values, a picture has {_MOST_PANELS} panels at most")
    grid = made.subplots(1, len(levels), squeeze=False, sharey=plot.kind == "lines")
    found = []
    for axes, level in zip(grid[0], levels, strict=True):
        part = frame if level is None else frame[frame[plot.facet] == level]
        if level is not None:
            axes.set_title(f"{label(str(plot.facet))}: {_text(level)}")
        found.append((axes, part))
    return found


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _scale(axes: Axes, which: str, values: Any, plot: Plot) -> None:
    """A logarithmic axis where that is asked for, or values span decades."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    wide = numbers.size and numbers.min() > 0 and numbers.max() / numbers.min() > _DECADE
    if which in plot.log or wide:
        getattr(axes, f"set_{which}scale")("log")
    few = np.unique(numbers)
    ruler = axes.xaxis if which == "x" else axes.yaxis
    if which == "x" and len(few) <= _MOST_TICKS:
        axes.set_xticks(few.tolist(), [_text(float(value)) for value in few])
        ruler.set_minor_locator(NullLocator())
    elif few.size and few[0] > 1e-4 and few[-1] < 1e6:
        ruler.set_major_formatter(FormatStrFormatter("%g"))
        ruler.set_minor_formatter(FormatStrFormatter("%g"))


def _lines(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    _needed(plot, "x", "y")
    x, y = str(plot.x), str(plot.y)
    levels = _levels(frame, plot.color)
    panels = _panels(made, frame, plot)
    for axes, part in panels:
        for place, level in enumerate(levels):
            mine = part if level is None else part[part[plot.color] == level]
            mine = mine.sort_values(x) if mine[x].dtype.kind in "if" else mine
            axes.plot(
                mine[x].to_numpy() if mine[x].dtype.kind in "if" else mine[x].astype(str).to_numpy(),
                mine[y].to_numpy(dtype=float),
                marker=_MARKERS[place % len(_MARKERS)], markersize=4, color=style.SERIES[place % len(style.SERIES)],
                label=None if level is None else _text(level),
            )  # fmt: skip
        axes.set_xlabel(label(x))
        if part[x].dtype.kind in "if":
            _scale(axes, "x", part[x], plot)
        _scale(axes, "y", frame[y], plot)
    panels[0][0].set_ylabel(label(y))
    if plot.color is not None:
        panels[-1][0].legend(title=label(plot.color))


def _heatmap(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    _needed(plot, "x", "y", "value")
    value = str(plot.value)
    low, high = float(frame[value].min()), float(frame[value].max())
    image: Any = None
    panels = _panels(made, frame, plot)
    for axes, part in panels:
        table = part.pivot_table(index=str(plot.y), columns=str(plot.x), values=value, observed=True, sort=False)
        if all(name.dtype.kind in "if" for name in (table.index, table.columns)):
            table = table.sort_index(axis=0).sort_index(axis=1)
        cells = table.to_numpy(dtype=float)
        image = axes.imshow(cells, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        axes.grid(False)
        axes.set_xticks(range(cells.shape[1]), [_text(name) for name in table.columns], rotation=30)
        axes.set_yticks(range(cells.shape[0]), [_text(name) for name in table.index])
        axes.set_xlabel(label(str(plot.x)))
        if cells.size <= 120:
            for (row, column), cell in np.ndenumerate(cells):
                shade = "black" if cell > low + 0.6 * (high - low) else "white"
                axes.text(column, row, f"{cell:.3g}", ha="center", va="center", fontsize=8, color=shade)
    panels[0][0].set_ylabel(label(str(plot.y)))
    made.colorbar(image, ax=[axes for axes, _ in panels], label=label(value))


def _pareto(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    names = list(objectives)
    if (plot.x is None or plot.y is None) and len(names) < 2:
        _needed(plot, "x", "y")
    x, y = plot.x or names[0], plot.y or names[1]
    ways = {name: objectives.get(name, "min") for name in (x, y)}
    axes = made.subplots()
    for place, level in enumerate(_levels(frame, plot.color)):
        mine = frame if level is None else frame[frame[plot.color] == level]
        axes.scatter(
            mine[x], mine[y], s=22, alpha=0.7, color=style.SERIES[place % len(style.SERIES)],
            label=None if level is None else _text(level), edgecolors="none",
        )  # fmt: skip
    best = frame[_front(frame, ways)].sort_values(x)
    axes.plot(best[x], best[y], color=style.BLACK, lw=1.2, drawstyle="steps-post" if ways[y] == "min" else "steps-pre")
    axes.scatter(best[x], best[y], s=46, facecolors="none", edgecolors=style.BLACK, label="front")
    inputs = [name for name in frame.attrs.get("axes", ()) if name in frame.columns and frame[name].nunique() > 1]
    for row in best.iloc[:: max(1, -(-len(best) // _MOST_LABELS))].to_dict("records"):
        text = ", ".join(_text(row[name]) for name in inputs)
        axes.annotate(text, (row[x], row[y]), xytext=(5, 4), textcoords="offset points", fontsize=7.5)
    for which, name in (("x", x), ("y", y)):
        _scale(axes, which, frame[name], plot)
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y))
    axes.legend(title=label(plot.color) if plot.color else None)


def _front(frame: pd.DataFrame, ways: Mapping[str, str]) -> Any:
    """Rows that no other beats, of the few thousand that a picture shows."""
    costs = np.column_stack([frame[name].to_numpy(float) * (1 if way == "min" else -1) for name, way in ways.items()])
    order = np.lexsort(costs.T[::-1])
    found = np.zeros(len(costs), dtype=bool)
    least = np.inf
    for place in order:
        if costs[place, 1] < least:
            found[place], least = True, costs[place, 1]
    return found


def _parallel(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    names = [name for name in (*frame.attrs.get("axes", ()), *objectives) if frame[name].nunique() > 1]
    if len(names) < 2:
        raise RequestError("parallel coordinates need two columns that vary: axes, or objectives")
    axes = made.subplots()
    shade = plot.color or (next(iter(objectives)) if objectives else names[-1])
    places = np.column_stack([_place(frame[name]) for name in names])
    colours = _place(frame[shade])
    import matplotlib

    palette = matplotlib.colormaps["viridis"]
    for row, colour in zip(places, colours, strict=True):
        axes.plot(range(len(names)), row, color=palette(float(colour)), alpha=0.5, lw=0.9)
    for place, name in enumerate(names):
        low, high = _ends(frame[name])
        axes.text(place, -0.03, low, ha="center", va="top", fontsize=8)
        axes.text(place, 1.03, high, ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(names)), [label(name) for name in names], rotation=20)
    axes.tick_params(axis="x", pad=16)
    axes.set_yticks([])
    axes.set_ylim(-0.1, 1.1)


def _place(column: pd.Series[Any]) -> Any:
    """Where values lie between the least and the most: 0 to 1; in the logarithm where they span decades."""
    if column.dtype.kind not in "if":
        levels = list(dict.fromkeys(column.tolist()))
        return np.asarray([levels.index(value) / max(1, len(levels) - 1) for value in column.tolist()])
    values = column.to_numpy(dtype=float)
    if values.min() > 0 and values.max() / values.min() > _DECADE:
        values = np.log(values)
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread else np.full(len(values), 0.5)


def _ends(column: pd.Series[Any]) -> tuple[str, str]:
    if column.dtype.kind not in "if":
        levels = list(dict.fromkeys(column.tolist()))
        return _text(levels[0]), _text(levels[-1])
    return _text(float(column.min())), _text(float(column.max()))


def _tornado(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    """How far the mean of a result moves over the values of each axis, the widest on top."""
    y = plot.y or next(iter(objectives), None)
    if y is None:
        raise RequestError("a tornado needs y, the result whose changes it shows")
    inputs: Sequence[str] = [name for name in frame.attrs.get("axes", ()) if frame[name].nunique() > 1]
    bars = []
    for name in inputs:
        means = frame.groupby(name, observed=True, sort=False)[y].mean()
        bars.append((float(means.min()), float(means.max()), name, means.idxmin(), means.idxmax()))
    if not bars:
        raise RequestError("a tornado needs an axis with two values at least")
    bars.sort(key=lambda bar: bar[1] - bar[0])
    axes = made.subplots()
    middle = float(frame[y].mean())
    for place, (low, high, _, at_low, at_high) in enumerate(bars):
        axes.barh(place, middle - low, left=low, color=style.BLUE)
        axes.barh(place, high - middle, left=middle, color=style.VERMILION)
        axes.text(low, place, f"{_text(at_low)} ", ha="right", va="center", fontsize=8)
        axes.text(high, place, f" {_text(at_high)}", ha="left", va="center", fontsize=8)
    axes.axvline(middle, color=style.BLACK, lw=1)
    axes.set_yticks(range(len(bars)), [label(bar[2]) for bar in bars])
    axes.set_xlabel(f"mean of {label(y)}")
    axes.margins(x=0.12)
