"""The roofline: what each operator achieves over its arithmetic intensity, and the roofs above it.

Intensity is arithmetic over the bytes that really move to and from device memory, so that no point can
lie above the memory roof. (Williams, Waterman and Patterson, CACM 52(4), 2009.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, degrees, log10, pi, sqrt
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from accelsim.report import style
from accelsim.report.labels import Label, place
from accelsim.results import Run
from accelsim.units import show

_LABELS_PER_PHASE: Final = 6
_LEAST_SHARE: Final = 0.02
_MARKERS: Final = ("o", "s", "D", "^")


@dataclass(frozen=True, slots=True)
class Point:
    """One operator of one phase: FLOP/B, FLOP/s, and its share of the phase's time."""

    name: str
    phase: str
    kind: str
    intensity: float
    flops_per_s: float
    share: float

    @property
    def area(self) -> float:
        """Area of its mark in square points."""
        return 30 + 1600 * self.share


def traffic(run: Run) -> str:
    """The column of bytes that intensity is told by: of device memory, or of tensors where no device memory is used."""
    return "dram_bytes" if any(row["dram_bytes"] for row in run.rows("operators")) else "bytes"


def points(run: Run) -> tuple[list[Point], list[str]]:
    """Operators that compute, and the names of those that only move data and have no place on a logarithmic axis."""
    spent = {row["phase"]: row["time_s"] for row in run.rows("phases")}
    found, idle, moved = [], [], traffic(run)
    for row in run.rows("operators"):
        if not (row["flops"] and row[moved] and row["time_s"]):
            idle.append(row["name"])
            continue
        found.append(
            Point(
                row["name"], row["phase"], row["kind"], row["flops"] / row[moved], row["flops"] / row["time_s"],
                row["time_s"] / spent[row["phase"]],
            )
        )  # fmt: skip
    return found, list(dict.fromkeys(idle))


def draw(run: Run) -> Figure:
    """The picture; see `Plots.roofline`."""
    made = style.figure(run, "Roofline")
    axes = made.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    what = "device memory traffic" if traffic(run) == "dram_bytes" else "tensors, which lie beside the units"
    axes.set_xlabel(f"arithmetic intensity (FLOP per byte of {what})")
    axes.set_ylabel("performance (FLOP/s)")
    axes.yaxis.set_major_formatter(lambda value, _: show(value, "FLOP/s", 1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    found, idle = points(run)
    roofs = dict(run.roofs)
    bandwidth, inside = roofs.pop("memory", None), roofs.pop("banks", None)
    _limits(axes, found, bandwidth, roofs)
    texts = _draw_roofs(axes, bandwidth, roofs)
    if inside:
        left, end = axes.get_xlim()[0], max(roofs.values()) / inside
        axes.plot([left, end], [left * inside, end * inside], color="#333333", lw=1.2, ls="-.", zorder=3)
    phases = list(dict.fromkeys(point.phase for point in found))
    colours = _colours(found, phases)
    for index, phase in enumerate(phases):
        mine = [point for point in found if point.phase == phase]
        axes.scatter(
            [p.intensity for p in mine], [p.flops_per_s for p in mine], s=[p.area for p in mine],
            marker=_MARKERS[index], c=[colours[p] for p in mine], alpha=0.75, edgecolors="white", linewidths=0.8,
            zorder=4, label=phase,
        )  # fmt: skip
    if idle:
        axes.text(
            0.0, -0.1, f"no arithmetic, not drawn: {', '.join(style.short(idle).values())}", transform=axes.transAxes,
            fontsize=9, color="#555555", ha="left", va="top",
        )  # fmt: skip
    _legend(axes, found, phases)
    made.draw_without_rendering()  # the layout is settled now, and pixels mean something
    made.set_layout_engine("none")
    if bandwidth and found:
        end = max(roofs.values(), default=axes.get_xlim()[1] * bandwidth) / bandwidth
        texts.append(_name_memory(axes, "device memory", bandwidth, end, found))
        if inside:
            texts.append(_name_memory(axes, "units beside the banks", inside, max(roofs.values()) / inside, found))
    _label(axes, found, colours, texts)
    return made


def _colours(found: list[Point], phases: list[str]) -> Mapping[Point, str]:
    """By kind; by phase where kinds are not known."""
    if any(point.kind in style.FAMILIES for point in found):
        return {point: style.FAMILIES.get(point.kind, ("", style.GREY))[1] for point in found}
    return {point: style.SERIES[phases.index(point.phase)] for point in found}


def _limits(axes: Axes, found: list[Point], bandwidth: float | None, roofs: Mapping[str, float]) -> None:
    xs = [point.intensity for point in found]
    ys = [point.flops_per_s for point in found] + list(roofs.values())
    if bandwidth:
        xs += [rate / bandwidth for rate in roofs.values()]
    if xs:
        axes.set_xlim(min(xs) / 3, max(xs) * 4)
        axes.set_ylim(min(ys) / 4, max(ys) * 3)


def _draw_roofs(axes: Axes, bandwidth: float | None, roofs: Mapping[str, float]) -> list[Text]:
    """Lines and their names, which stand left of where the line begins; returns the texts."""
    left, right = axes.get_xlim()
    bottom, _ = axes.get_ylim()
    texts = []
    matrix = sorted(rate for name, rate in roofs.items() if name != "vector")
    for name, rate in roofs.items():
        start = rate / bandwidth if bandwidth else left
        vector = name == "vector"
        axes.plot(
            [start, right], [rate, rate], color="#333333", lw=1.2 if vector else 2, ls="--" if vector else "-", zorder=3
        )
        what = "vector units" if vector else f"matrix units, {name.replace(' x ', ' × ')}"
        # a matrix unit's name stands left of its line, where no point can be; that of the vector units above its end
        left_of = bandwidth and not vector
        at, side, edge = (start * 0.93, "right", "center") if left_of else (right, "right", "bottom")
        texts.append(axes.text(at, rate, f"{what}: {show(rate, 'FLOP/s')}", ha=side, va=edge, fontsize=10, zorder=5))
        if bandwidth and not vector:
            axes.plot([start, start], [bottom, rate], color="#888888", lw=0.9, ls=":", zorder=2)
            last = rate == matrix[-1]
            texts.append(
                axes.annotate(
                    f"ridge {start:.3g} FLOP/B", (start, bottom), textcoords="offset points",
                    xytext=(5 if last else -5, 4 + 14 * matrix.index(rate)),
                    ha="left" if last else "right", va="bottom", fontsize=9.5,
                )
            )  # fmt: skip
    if bandwidth:
        end = max(roofs.values()) / bandwidth if roofs else right
        axes.plot([left, end], [left * bandwidth, end * bandwidth], color="#333333", lw=2, zorder=3)
    return texts


def _name_memory(axes: Axes, what: str, bandwidth: float, end: float, busy: list[Point]) -> Text:
    """Writes the bandwidth along its line, in the widest gap between points; pixels are settled."""
    left = axes.get_xlim()[0]
    inner = sorted(log10(p.intensity) for p in busy if left < p.intensity < end)
    stops = [log10(left), *inner, log10(end) - 0.2]
    gap = max(range(len(stops) - 1), key=lambda i: stops[i + 1] - stops[i])
    middle = 10 ** ((stops[gap] + stops[gap + 1]) / 2)
    (x0, y0), (x1, y1) = axes.transData.transform([(left, left * bandwidth), (end, end * bandwidth)])
    return axes.annotate(
        f"{what}: {show(bandwidth, 'B/s')}", (middle, middle * bandwidth), xytext=(-6, 6),
        textcoords="offset points", rotation=degrees(atan2(y1 - y0, x1 - x0)), rotation_mode="anchor", ha="center",
        va="bottom", fontsize=10, zorder=5,
    )  # fmt: skip


def _legend(axes: Axes, found: list[Point], phases: list[str]) -> None:
    handles: list[Any] = []
    families = {style.FAMILIES[point.kind] for point in found if point.kind in style.FAMILIES}
    for name, colour in sorted(families):
        handles.append(style.swatch(colour, name))
    if families and any(point.kind not in style.FAMILIES for point in found):
        handles.append(style.swatch(style.GREY, "other"))
    for index, phase in enumerate(phases):
        colour = "#555555" if families else style.SERIES[index]
        handles.append(Line2D([], [], ls="", marker=_MARKERS[index], color=colour, ms=8, label=phase))
    handles.append(Line2D([], [], ls="", label="area: share of its phase's time"))
    axes.legend(handles=handles, loc="upper left", handletextpad=0.6, labelspacing=0.45)


def _label(axes: Axes, found: list[Point], colours: Mapping[Point, str], texts: list[Text]) -> None:
    """Names the most expensive operators of each phase."""
    renderer = style.renderer(axes)
    taken: list[tuple[float, float, float, float]] = []
    legend = axes.get_legend()
    for artist in (*texts, *((legend,) if legend else ())):
        x0, y0, x1, y1 = artist.get_window_extent(renderer).extents
        if artist in texts and artist.get_rotation():
            # the box around a slanted text is mostly empty: follow its middle line instead
            along = zip(np.linspace(x0, x1, 30), np.linspace(y0, y1, 30), strict=True)
            taken += [(x - 9, y - 9, x + 9, y + 9) for x, y in along]
        else:
            taken.append((x0, y0, x1, y1))
    for line in axes.get_lines():
        start, end = axes.transData.transform(line.get_xydata())
        taken += [(x, y, x, y) for x, y in np.linspace(start, end, 120)]
    radius = {point: sqrt(point.area / pi) * style.DPI / 72 for point in found}
    for point in found:
        x, y = axes.transData.transform((point.intensity, point.flops_per_s))
        reach = radius[point] * 0.9
        taken.append((x - reach, y - reach, x + reach, y + reach))
    names = style.short(point.name for point in found)
    ranked: list[Point] = []
    for phase in dict.fromkeys(point.phase for point in found):
        mine = sorted((p for p in found if p.phase == phase), key=lambda p: -p.share)[:_LABELS_PER_PHASE]
        ranked += [point for point in mine if point.share >= _LEAST_SHARE]
    ranked.sort(key=lambda point: (-point.share, log10(point.intensity)))
    place(
        axes,
        [
            Label(f"{names[p.name]} {100 * p.share:.0f} %", p.intensity, p.flops_per_s, radius[p], colours[p])
            for p in ranked
        ],
        taken,
    )
