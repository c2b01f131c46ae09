"""The timeline: what each resource does during one pass of each phase.

A repeated layer is drawn once with the number of its repetitions; what follows moves up, so that the time
axis is that of the drawn part. Pale is where a resource has work, full colour how much of its peak rate it
serves meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from accelsim.errors import RequestError, did_you_mean
from accelsim.report import style
from accelsim.results import Rows, Run
from accelsim.units import PS_PER_S

_NAMED: Final = len(style.SERIES) - 1
_KERNELS: Final = "kernels"
_STATIC: Final = "chip.static"
_HEIGHT: Final = 0.8


@dataclass(slots=True)
class Stage:
    """Intervals that recur together.

    Attributes:
        start_ps: start of the first occurrence.
        repeat: occurrences.
        period_ps: from one occurrence to the next.
        hidden_ps: time before this stage that is not drawn.
        rows: intervals of the first occurrence.
    """

    start_ps: int
    repeat: int
    period_ps: int
    hidden_ps: int = 0
    rows: Rows = field(default_factory=list)


def stages(rows: Iterable[dict[str, Any]]) -> list[Stage]:
    """One pass of a phase: its stages until the first kernel comes again."""
    found: list[Stage] = []
    first: str | None = None
    hidden = 0
    for row in sorted((row for row in rows if row["resource"] != _STATIC), key=lambda row: row["start_ps"]):
        now = found[-1] if found else None
        same = now is not None and (row["repeat"], row["period_ps"]) == (now.repeat, now.period_ps)
        if now is None or not same or row["start_ps"] >= now.start_ps + now.period_ps:
            if first is None:
                first = row["name"]
            elif row["name"] == first:
                break
            if now is not None:
                hidden += (now.repeat - 1) * now.period_ps
            found.append(Stage(row["start_ps"], row["repeat"], row["period_ps"], hidden))
        found[-1].rows.append(row)
    return found


def draw(run: Run, phase: str | None, max_rows: int) -> Figure:
    """The picture; see `Plots.timeline`."""
    rows = run.rows("timeline")
    if not rows:
        raise RequestError(
            f"there is no timeline to draw: fidelity {run.request.fidelity!r} has no events; try fidelity='event'"
        )
    phases = [row["phase"] for row in run.rows("phases")]
    if phase is not None and phase not in phases:
        raise RequestError(f"no phase {phase!r}: there are {', '.join(phases)}{did_you_mean(phase, phases)}")
    if max_rows < 1:
        raise RequestError(f"max_rows = {max_rows}: expected at least 1")
    drawn = [phase] if phase else phases
    resources = [row for row in run.rows("resources") if row["resource"] != _STATIC and row["busy_s"] > 0]
    busiest = sorted(resources, key=lambda row: -row["busy_s"])[:max_rows]
    names = [row["resource"] for row in resources if row in busiest]
    total_s = sum(row["time_s"] for row in run.rows("phases"))
    rate = {row["resource"]: row["amount"] / row["utilization"] / total_s for row in resources if row["utilization"]}
    passes = {name: stages(row for row in rows if row["phase"] == name) for name in drawn}
    colours, labels = _colours(passes.values())
    made = style.figure(run, "Timeline")
    panels = made.subplots(len(drawn), 1, squeeze=False)
    for axes, name in zip(panels[:, 0], drawn, strict=True):
        steps = next(row["steps"] for row in run.rows("phases") if row["phase"] == name)
        _panel(axes, passes[name], names, rate, colours)
        axes.set_title(name if steps == 1 else f"{name}, step 1 of {steps:,}", loc="left", pad=13)
    handles = [style.swatch(colour, label) for label, colour in labels.items()]
    made.legend(
        handles=handles, loc="outside lower center", ncols=style.legend_columns(labels),
        title="operator; pale: the resource has work, full: share of its peak rate that it serves, white: it waits",
    )  # fmt: skip
    return made


def _colours(passes: Iterable[list[Stage]]) -> tuple[dict[str, str], dict[str, str]]:
    """Colour of every operator, and the legend; the longest ones have a colour of their own."""
    spent: dict[str, float] = {}
    for found in passes:
        whole = sum(stage.repeat * stage.period_ps for stage in found)
        for stage in found:
            for name, start, end in _kernels(stage):
                spent[name] = spent.get(name, 0.0) + stage.repeat * (end - start) / whole
    ranked = sorted(spent, key=lambda name: -spent[name])
    own = ranked if len(ranked) <= len(style.SERIES) else ranked[:_NAMED]
    brief = style.short(spent)
    colours = dict.fromkeys(ranked, style.GREY) | dict(zip(own, style.SERIES, strict=False))
    labels = {brief[name]: colours[name] for name in own}
    return colours, labels | ({f"other ({len(ranked) - len(own)})": style.GREY} if len(ranked) > len(own) else {})


def _kernels(stage: Stage) -> list[tuple[str, int, int]]:
    """First and last moment at which each kernel keeps any resource busy.

    A name that comes back after others have run from beginning to end (a layer that is there twice) is a kernel of its
    own.
    """
    spans: list[tuple[str, int, int]] = []
    last: dict[str, int] = {}
    for row in sorted(stage.rows, key=lambda row: row["start_ps"]):
        for name in row["name"].split(" | "):
            index = last.get(name)
            if index is not None and not any(
                start >= spans[index][2] and end <= row["start_ps"] for _, start, end in spans[index + 1 :]
            ):
                spans[index] = name, spans[index][1], max(spans[index][2], row["end_ps"])
            else:
                last[name] = len(spans)
                spans.append((name, row["start_ps"], row["end_ps"]))
    return spans


def _panel(axes: Axes, found: list[Stage], names: list[str], rate: dict[str, float], colours: dict[str, str]) -> None:
    origin = found[0].start_ps
    last = found[-1]
    length_s = (max(row["end_ps"] for row in last.rows) - last.hidden_ps - origin) / PS_PER_S
    factor, unit = style.time_scale(length_s)
    scale = factor / PS_PER_S
    line = {name: place for place, name in enumerate([_KERNELS, *names])}
    pale: list[tuple[Rectangle, str]] = []
    full: list[tuple[Rectangle, str]] = []
    for stage in found:
        shift = origin + stage.hidden_ps
        for kernel, start, end in _kernels(stage):
            full.append((_box(start - shift, end - shift, 0, 1.0, scale), colours[kernel]))
        for row in stage.rows:
            if row["resource"] not in line:
                continue
            colour = colours[row["name"].split(" | ")[0]]
            start, end = row["start_ps"] - shift, row["end_ps"] - shift
            served = row["amount"] / (rate[row["resource"]] * (end - start) / PS_PER_S) if end > start else 0.0
            pale.append((_box(start, end, line[row["resource"]], 1.0, scale), colour))
            full.append((_box(start, end, line[row["resource"]], min(1.0, served), scale), colour))
        if stage.repeat > 1:
            _mark_repeat(axes, stage, shift, scale)
    for boxes, alpha in ((pale, 0.22), (full, 1.0)):
        axes.add_collection(
            PatchCollection([box for box, _ in boxes], facecolors=[colour for _, colour in boxes], alpha=alpha, lw=0)
        )
    axes.set_xlim(0, length_s * factor)
    axes.set_ylim(len(line) - 0.45, -0.55)
    axes.set_yticks(range(len(line)), list(line))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        f"time ({unit}); repeated layers drawn once" if any(s.repeat > 1 for s in found) else f"time ({unit})"
    )


def _box(start_ps: int, end_ps: int, place: int, height: float, scale: float) -> Rectangle:
    """An interval on its row, filled from below."""
    bottom = place + _HEIGHT / 2  # the axis runs downwards
    return Rectangle((start_ps * scale, bottom), (end_ps - start_ps) * scale, -_HEIGHT * height)


def _mark_repeat(axes: Axes, stage: Stage, shift_ps: int, scale: float) -> None:
    """A bracket above the rows: this part happens `repeat` times."""
    start = (min(row["start_ps"] for row in stage.rows) - shift_ps) * scale
    end = (stage.start_ps + stage.period_ps - shift_ps) * scale
    across = axes.get_xaxis_transform()
    axes.plot(
        [start, start, end, end], [1.0, 1.025, 1.025, 1.0], color="#333333", lw=1, transform=across, clip_on=False
    )
    axes.text(
        (start + end) / 2, 1.03, f"× {stage.repeat}", transform=across, ha="center", va="bottom", fontsize=10.5,
        fontweight="bold",
    )  # fmt: skip
