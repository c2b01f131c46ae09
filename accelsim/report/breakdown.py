"""The breakdown: time by operator and energy by component, a column of panels per phase."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accelsim.report import style
from accelsim.results import Run
from accelsim.results.columns import COLUMNS
from accelsim.units import show

_MOST: Final = 13
_LEAST_SHARE: Final = 0.004
"""Operators below this share of every phase are added up as "other"."""

_ENERGY: Final = tuple(
    column for column in COLUMNS["phases"] if column.startswith("energy_") and column not in ("energy_j",)
)


def groups(run: Run) -> dict[str, list[str]]:
    """Bars of the time panel: label -> operators, by share of time, the small ones together at the end."""
    spent = {row["phase"]: row["time_s"] for row in run.rows("phases")}
    shares: dict[str, float] = {}
    for row in run.rows("operators"):
        share = row["time_s"] / spent[row["phase"]]
        shares[row["name"]] = max(share, shares.get(row["name"], 0.0))
    names = style.short(shares)
    ranked = sorted(shares, key=lambda name: -shares[name])
    kept = [name for name in ranked if shares[name] >= _LEAST_SHARE][: _MOST if len(ranked) > _MOST else None]
    rest = [name for name in ranked if name not in kept]
    if len(rest) == 1:
        kept, rest = ranked, []
    bars = {names[name]: [name] for name in kept}
    return bars | ({f"other ({len(rest)})": rest} if rest else {})


def draw(run: Run) -> Figure:
    """The picture; see `Plots.breakdown`."""
    made = style.figure(run, "Breakdown")
    phases = run.rows("phases")
    bars = groups(run)
    components = [key for key in _ENERGY if any(row[key] > 0 for row in phases)]  # NaN, where it is not known, is not
    rows = 2 if components else 1
    heights = (max(4, len(bars)), max(3, len(components)))[:rows]
    panels = made.subplots(rows, len(phases), squeeze=False, sharey="row", gridspec_kw={"height_ratios": heights})
    for column, phase in enumerate(phases):
        _time(panels[0][column], run, phase, bars)
        if components:
            _energy(panels[1][column], phase, components)
    used = {row["bound"] for row in run.rows("operators")}
    legend = [style.swatch(colour, word) for word, colour in style.BOUNDS.items() if word in used]
    legend += [style.swatch(style.OTHER, word) for word in sorted(used - set(style.BOUNDS))]
    made.legend(
        handles=legend, loc="outside lower center", ncols=len(legend), title="what bounds the operator most of its time"
    )
    return made


def _time(axes: Axes, run: Run, phase: dict[str, Any], bars: dict[str, list[str]]) -> None:
    mine = {row["name"]: row for row in run.rows("operators") if row["phase"] == phase["phase"]}
    factor, unit = style.time_scale(phase["time_s"])
    values, colours = [], []
    for members in bars.values():
        found = [mine[name] for name in members if name in mine]
        values.append(sum(row["time_s"] for row in found))
        longest = max(found, key=lambda row: row["time_s"], default=None)
        colours.append(style.BOUNDS.get(longest["bound"], style.OTHER) if longest else style.GREY)
    _bars(axes, list(bars), [value * factor for value in values], phase["time_s"] * factor, colours)
    steps = f" ({phase['steps']:,} steps)" if phase["steps"] > 1 else ""
    axes.set_title(f"{phase['phase']}{steps}: {show(phase['time_s'], 's')}")
    axes.set_xlabel(f"time ({unit})")


def _energy(axes: Axes, phase: dict[str, Any], components: list[str]) -> None:
    labels = [key.removeprefix("energy_").removesuffix("_j") for key in components]
    total = phase["energy_j"]
    factor, unit = (1.0, "J") if total >= 1 else (1e3, "mJ") if total >= 1e-3 else (1e6, "µJ")
    _bars(axes, labels, [phase[key] * factor for key in components], total * factor, [style.GREEN] * len(labels))
    axes.set_title(f"{show(total, 'J')}, {phase['average_power_w']:.0f} W on average")
    axes.set_xlabel(f"energy ({unit})")


def _bars(axes: Axes, labels: list[str], values: list[float], total: float, colours: Sequence[str]) -> None:
    """Horizontal bars, the first on top, each with its share of the total."""
    places = range(len(labels))
    axes.barh(places, values, color=colours, height=0.72)
    axes.set_yticks(places, labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, (max(values) or 1.0) * 1.14)
    for place, value in zip(places, values, strict=True):
        share = value / total if total and isfinite(total) else 0.0
        text = f"{100 * share:.1f} %" if share >= 0.0005 else "< 0.1 %" if value else "–"
        axes.annotate(text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
