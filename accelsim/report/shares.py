"""Picture of what a figure hangs on: a bar per axis, what it explains alone and what with others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from accelsim.report import style
from accelsim.report.columns import name as words

if TYPE_CHECKING:
    import pandas as pd


def draw(shares: pd.DataFrame, *, title: str, path: str | Path | None = None) -> Figure:
    """Bars of sensitivity, the longest on top.

    Args:
        shares: a row per axis: axis, and first_order and total, or importance.
        title: over the picture.
        path: where to write it (.png, .svg, .pdf).
    """
    whole = "total" if "total" in shares else "importance"
    rows = shares.sort_values(whole)
    with style.look():
        made = style.blank(title)
        axes = made.subplots()
        places = range(len(rows))
        lengths = rows[whole].to_numpy(dtype=float).clip(min=0)
        if whole == "total":
            alone = rows["first_order"].to_numpy(dtype=float).clip(min=0)
            axes.barh(places, lengths, color=style.SKY, label="with the other axes")
            axes.barh(places, alone, color=style.BLUE, label="alone")
            axes.set_xlabel("share of the variance that the axis explains")
            axes.legend(loc="lower right")
        else:
            axes.barh(places, lengths, color=style.BLUE)
            axes.set_xlabel("fall of the surrogate's R² on held-out rows when the axis is shuffled")
        for place, value in zip(places, rows[whole], strict=True):
            axes.text(max(0.0, float(value)), place, f" {value:.2g}", va="center", fontsize=9)
        axes.set_yticks(list(places), [words(name) for name in rows["axis"]])
        axes.set_xlim(0, max(1.0, float(lengths.max())) * 1.08)
        axes.grid(False, axis="y")
        if path is not None:
            style.save(made, path)
    return made
