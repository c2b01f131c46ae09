"""The command timeline of one kernel on a memory that computes: what its first channel is told, bank by bank.

A line for every bank and for the registers beside them, open rows shaded, the modes of the channel above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accelsim.errors import RequestError
from accelsim.report import style
from accelsim.report.modes import MODES, Box, Mode, modes
from accelsim.results import Run
from accelsim.units import PS_PER_S

BANKS: Final = 16
"""Banks of a channel of either part that has commands."""

_BANKS_OF_A_GROUP: Final = 4
_PLACE: Final = re.compile(r"^(memory\.channel\[\d+\])(?:\.bank\[(\d+)\]|\.banks\[(even|odd)\])?$")
_OPEN: Final = "#DCEBDD"
_AXIS_PX: Final = 1000
_LEAST_PX: Final = 2.5
_LETTER_PX: Final = 6.2

ACT, PRE, READ, WRITE, PRODUCT = "ACT", "PRE", "RD", "WR", "MAC and other arithmetic"
INPUT, RESULT, MODE, REFRESH = "input to registers", "registers to banks or host", "mode change", "REF"
_COLOURS: Final = {
    ACT: style.GREEN, PRE: style.ORANGE, READ: style.BLUE, WRITE: style.VERMILION, PRODUCT: style.BLACK,
    INPUT: style.SKY, RESULT: "#8C6D31", MODE: style.YELLOW, REFRESH: style.PURPLE,
}  # fmt: skip
_KINDS: Final = {
    **dict.fromkeys(("ACT", "ACT16"), ACT), **dict.fromkeys(("PRE", "PREA"), PRE),
    **dict.fromkeys(("RD", "RDCP"), READ), **dict.fromkeys(("WR", "WRCP"), WRITE),
    **dict.fromkeys(("broadcast", "WRGB", "WRMAC16", "fill"), INPUT),
    **dict.fromkeys(("store", "RDMAC16", "RDAF16", "WRA16", "clear"), RESULT),
    **dict.fromkeys(("mode", "TMOD"), MODE), "REFab": REFRESH,
}  # fmt: skip
_LINES: Final = {
    "WRGB": "global buffer",
    "WRMAC16": "accumulators",
    "RDMAC16": "accumulators",
    "RDAF16": "accumulators",
}
"""Commands that touch registers and no bank, and the line that they have."""


def boxes(run: Run) -> list[Box]:
    """What the first channel of a kernel is told, in the order of its cycles.

    Raises:
        RequestError: a run without a timeline of commands.
    """
    rows = [(row, _PLACE.match(row["resource"])) for row in run.rows("timeline")]
    found = [(row, place) for row, place in rows if place]
    if not found or not run.summary.get("cycles"):
        raise RequestError(
            f"{run.request.chip} has no commands to draw: they are those of one kernel on HBM-PIM or GDDR6-AiM, "
            "as of `accelsim operator matmul --m 1 --n 64 --k 256 --on hbm-pim-1pch`, with fidelity event"
        )
    tick_ps = run.summary["total_time_s"] * PS_PER_S / run.summary["cycles"]
    first = found[0][1][1]
    made = []
    for row, place in found:
        if place[1] == first:
            made.append(_box(row, place[2], place[3], tick_ps))
    return sorted(made, key=lambda box: box.start)


def _box(row: dict[str, Any], bank: str | None, half: str | None, tick_ps: float) -> Box:
    name = str(row["name"])
    lines: tuple[int | str, ...] = tuple(range(BANKS))
    if bank is not None:
        lines = (int(bank),)
    elif half is not None:
        lines = tuple(range(int(half == "odd"), BANKS, 2))
    elif name in _LINES:
        lines = (_LINES[name],)
    elif name == "TMOD":
        lines = ()
    length, gap = (row["end_ps"] - row["start_ps"]) / tick_ps, row["period_ps"] / tick_ps
    if name == "REFab" and row["repeat"] == 1:
        length = max(length, gap)
    return Box(name, _KINDS.get(name, PRODUCT), lines, row["start_ps"] / tick_ps, length, int(row["repeat"]), gap)


def draw(run: Run, cycles: tuple[float, float] | None) -> Figure:
    """The picture; see `Plots.commands`."""
    told = boxes(run)
    whole = (0.0, max(box.end for box in told))
    span = cycles or whole
    if not span[0] < span[1] or span[0] >= whole[1] or span[1] <= 0:
        raise RequestError(f"cycles {span[0]:g} to {span[1]:g}: the kernel has commands from 0 to {whole[1]:.0f}")
    asked, total = run.request, run.summary["cycles"]
    tick_ns = run.summary["total_time_s"] * 1e9 / total
    registers = [name for name in dict.fromkeys(_LINES.values()) if any(name in box.lines for box in told)]
    line: dict[int | str, int] = {name: at for at, name in enumerate([*registers, *range(BANKS)])}
    made = style.blank(
        f"Commands of one channel: {asked.model} on {asked.chip}, {total:,.0f} cycles of {tick_ns:.4g} ns\n"
        f"scope {asked.scope}, {asked.weights}" + ("" if span == whole else f"; cycles {span[0]:g} to {span[1]:g}"),
        (style.SIZE_PX[0], 190 + 30 * len(line)),
    )
    strip, axes = made.subplots(2, 1, sharex=True, height_ratios=[1.1, len(line)])
    _modes(strip, modes(told, run.summary), span)
    shaded: dict[int, list[tuple[float, float]]] = {}
    for bank, start, end in _opened(told, whole[1]):
        shaded.setdefault(bank, []).append((start, end - start))
    for bank, bars in shaded.items():
        axes.broken_barh(bars, (line[bank] - 0.42, 0.84), facecolors=_OPEN, zorder=1)
    seen = [box for box in told if box.start < span[1] and box.end > span[0]]
    _commands(axes, seen, line, span)
    axes.set_yticks(range(len(line)), [*registers, *(f"bg {n // _BANKS_OF_A_GROUP}, bank {n}" for n in range(BANKS))])
    axes.set_ylim(len(line) - 0.4, -0.6)
    axes.set_xlim(*span)
    axes.grid(visible=False, axis="y")
    for group in range(0, BANKS, _BANKS_OF_A_GROUP):
        axes.axhline(line[group] - 0.5, color="#BBBBBB", lw=0.7)
    axes.set_xlabel(f"clock cycles of {tick_ns:.4g} ns")
    kinds = {box.kind for box in seen if box.lines}
    swatches = [style.swatch(colour, kind) for kind, colour in _COLOURS.items() if kind in kinds]
    swatches.append(style.swatch(_OPEN, "row open"))
    made.legend(handles=swatches, loc="outside lower center", ncols=len(swatches) if len(swatches) <= 6 else 5)
    return made


def _opened(told: list[Box], end: float) -> Iterator[tuple[int, float, float]]:
    """Bank, and the cycles from its activation to its precharge or to the end of all commands."""
    since: dict[int, float] = {}
    for box in told:
        for bank in box.lines:
            if isinstance(bank, int) and box.kind == ACT:
                since.setdefault(bank, box.start)
            elif isinstance(bank, int) and box.kind in (PRE, REFRESH) and bank in since:
                yield bank, since.pop(bank), box.start
    for bank, start in since.items():
        yield bank, start, end


def _commands(axes: Axes, told: list[Box], line: dict[int | str, int], span: tuple[float, float]) -> None:
    """One bar for each command, or one for all of a run whose commands would touch each other."""
    per_px = (span[1] - span[0]) / _AXIS_PX
    bars: dict[tuple[int | str, str], list[tuple[float, float]]] = {}
    for box in told:
        apart = box.gap >= 2 * _LEAST_PX * per_px
        starts = [box.start + n * box.gap for n in range(box.count)] if apart else [box.start]
        width = max(_LEAST_PX * per_px, box.length if apart else box.end - box.start)
        for bank in box.lines:
            bars.setdefault((bank, box.kind), []).extend((start, width) for start in starts)
        name = f"{box.count} {box.name.upper() if box.kind == PRODUCT else box.name}"
        first, last = max(box.start, span[0]), min(box.end, span[1])
        if box.count > 1 and box.lines and last - first > _LETTER_PX * (len(name) + 1) * per_px:
            axes.text(
                (first + last) / 2, line[box.lines[0]], name, ha="center", va="center", fontsize=8, zorder=5,
                color="#111111", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
    for (bank, kind), found in bars.items():
        axes.broken_barh(found, (line[bank] - 0.34, 0.68), facecolors=_COLOURS[kind], zorder=3, linewidth=0)


def _modes(strip: Axes, found: list[Mode], span: tuple[float, float]) -> None:
    for mode in found:
        start, end = max(mode.start, span[0]), min(mode.end, span[1])
        if start >= end:
            continue
        strip.broken_barh([(start, end - start)], (0, 1), facecolors=MODES[mode.name], edgecolor="white", linewidth=1)
        room = (end - start) * _AXIS_PX / (span[1] - span[0])
        text = next((text for text in (mode.says, mode.name) if room > _LETTER_PX * (len(text) + 1)), "")
        strip.text((start + end) / 2, 0.5, text, ha="center", va="center", fontsize=8)
    strip.set_ylim(0, 1)
    strip.set_yticks([0.5], ["mode"])
    strip.grid(visible=False)
    strip.tick_params(axis="x", length=0, labelbottom=False)
    strip.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        strip.spines[side].set_visible(False)
