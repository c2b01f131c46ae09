"""Pictures of a sweep, from its frame: which there are, and those with a panel per value, lines and heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from accelsim.errors import RequestError, UnknownNameError
from accelsim.report import style
from accelsim.report.columns import colour_ticks, label, levels, measure, ruler, wide
from accelsim.report.points import needed, parallel, pareto, tornado
from accelsim.spec.sweep import Plot

if TYPE_CHECKING:
    import pandas as pd

_MARKERS: Final = "osD^vP*X"
_MOST_PANELS: Final = 6
_MOST_LEGEND: Final = 12
_MOST_COLOURS: Final = 5
_MOST_CELLS: Final = 150
"""More cells than these have colours alone."""


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
        "lines": _lines, "heatmap": _heatmap, "pareto": pareto, "parallel": parallel, "tornado": tornado,
    }  # fmt: skip
    with style.look():
        made = style.blank(title)
        makers[plot.kind](made, good, plot, objectives or {})
        if path is not None:
            style.save(made, path)
    return made


def _panels(made: Figure, frame: pd.DataFrame, plot: Plot) -> list[tuple[Axes, pd.DataFrame]]:
    values = levels(frame, plot.facet)
    if len(values) > _MOST_PANELS:
        raise RequestError(f"plot: {plot.facet} has {len(values)} values, a picture has {_MOST_PANELS} panels at most")
    grid = made.subplots(1, len(values), squeeze=False, sharey=True)
    found = []
    for axes, level in zip(grid[0], values, strict=True):
        part = frame
        if plot.facet is not None:
            part = frame[frame[plot.facet] == level]
            written = ruler(frame, plot.facet)
            axes.set_title(f"{label(frame, plot.facet).split(' (')[0]}: {written.text(level, unit=True)}")
        found.append((axes, part))
    return found


def _lines(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    needed(plot, "x", "y")
    x, y = str(plot.x), str(plot.y)
    families = levels(frame, plot.color)
    colours = _colours(frame, plot.color, len(families))
    panels = _panels(made, frame, plot)
    numbers = frame[x].dtype.kind in "if"
    for axes, part in panels:
        for place, level in enumerate(families):
            mine = part if plot.color is None else part[part[plot.color] == level]
            mine = mine.sort_values(x) if numbers else mine
            axes.plot(
                mine[x].to_numpy() if numbers else mine[x].astype(str).to_numpy(), mine[y].to_numpy(dtype=float),
                marker=_MARKERS[place % len(_MARKERS)], markersize=4, color=colours[place],
                label=None if plot.color is None else ruler(frame, plot.color).text(level, unit=True),
            )  # fmt: skip
        if numbers:
            measure(axes, "x", frame, x, plot)
        else:
            axes.set_xlabel(label(frame, x))
        measure(axes, "y", frame, y, plot)
        axes.label_outer()
    if plot.color is not None:
        words = label(frame, plot.color).split(" (")[0]
        if len(families) <= _MOST_LEGEND and len(panels) == 1:
            panels[-1][0].legend(title=words)
        else:  # one legend for all panels, below them
            handles, texts = panels[0][0].get_legend_handles_labels()
            made.legend(
                handles,
                texts,
                title=words,
                loc="outside lower center",
                ncols=style.legend_columns(texts),
                frameon=False,
            )


def _colours(frame: pd.DataFrame, column: str | None, count: int) -> list[Any]:
    """A colour per line: shades of one palette where many numbers rise, else colours that differ."""
    if column is not None and count > _MOST_COLOURS and frame[column].dtype.kind in "if":
        palette = matplotlib.colormaps["viridis"]
        return [palette(place / (count - 1) * 0.92) for place in range(count)]
    return [style.SERIES[place % len(style.SERIES)] for place in range(count)]


def _heatmap(made: Figure, frame: pd.DataFrame, plot: Plot, objectives: Mapping[str, str]) -> None:
    needed(plot, "x", "y", "value")
    x, y, value = str(plot.x), str(plot.y), str(plot.value)
    written = ruler(frame, value)
    values = frame[value].to_numpy(dtype=float) / written.factor
    norm = (LogNorm if wide(values) else Normalize)(float(np.nanmin(values)), float(np.nanmax(values)))
    image: Any = None
    panels = _panels(made, frame, plot)
    for axes, part in panels:
        table = part.pivot_table(index=y, columns=x, values=value, observed=True, sort=False)
        table = table.reindex(index=levels(frame, y), columns=levels(frame, x))
        cells = table.to_numpy(dtype=float) / written.factor
        image = axes.imshow(cells, origin="lower", aspect="auto", cmap="viridis", norm=norm)
        axes.grid(False)
        for side, column, names in (("x", x, table.columns), ("y", y, table.index)):
            texts = [ruler(frame, column).text(name) for name in names]
            turned = side == "x" and sum(map(len, texts)) * len(panels) > 90
            getattr(axes, f"set_{side}ticks")(range(len(texts)), texts, **({"rotation": 30} if turned else {}))
            getattr(axes, f"set_{side}label")(label(frame, column))
        axes.label_outer()
        if cells.size * len(panels) <= _MOST_CELLS:
            for (row, column_), cell in np.ndenumerate(cells):
                if np.isnan(cell):
                    continue
                shade = "black" if norm(cell) > 0.6 else "white"
                axes.text(column_, row, f"{cell:.3g}", ha="center", va="center", fontsize=8, color=shade)
    made.colorbar(image, ax=[axes for axes, _ in panels], label=label(frame, value), **colour_ticks(values))
