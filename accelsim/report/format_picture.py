"""A number format as a picture: the values of its grid, how many there are in each binade, and the error curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from accelsim.numerics import anatomy
from accelsim.numerics.format import DataFormat
from accelsim.numerics.random import draws
from accelsim.report import style
from accelsim.spec.format import Format

MOST_LINEAR: Final = 33
"""Grids of at most so many values are drawn on a linear axis, others by their magnitudes on a logarithmic one."""
MOST_MARKED_BITS: Final = 8
"""Grids of wider elements are shown by their density alone."""
_BINS: Final = 960
_PER_BIN: Final = 48
_SEED: Final = 11
_SCALED_SHAPE: Final = (64, 4096)
_SCALED_BINADES: Final = (-8, 3)
_PER_BINADE: Final = 10
_LEAST: Final = 20
"""Numbers that a bin must have to be drawn."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Relative errors by magnitude.

    Attributes:
        magnitude: middles of bins.
        largest: of the relative errors in a bin.
        rms: root of the mean square of the relative errors in the bin, or of all in its binade (`of_binades`).
        of_binades: whether `rms` is constant over each binade.
    """

    magnitude: Doubles
    largest: Doubles
    rms: Doubles
    of_binades: bool


def write(made: DataFormat, path: str | Path) -> Path:
    """Draws a format and writes it.

    Raises:
        RequestError: as `style.save`.
    """
    with style.look():
        return style.save(draw(made), path)


def draw(made: DataFormat) -> Figure:
    """The grid on top, the error curve below."""
    grids = anatomy.element_grids(made.record)
    record = made.record
    with style.look():
        figure = style.blank(
            f"{record.name}: {record.kind}, {record.bits_per_element:.6g} bits per element ({record.status})\n"
            f"rounding {made.policy.rounding}, overflow {made.policy.overflow}"
        )
        marked = all(each.bits <= MOST_MARKED_BITS for _, each in grids)
        layout = figure.add_gridspec(2, 2, height_ratios=(1, 1.4 if len(grids) == 1 else 1.15), width_ratios=(1.35, 1))
        if marked:
            _values(figure.add_subplot(layout[0, 0]), grids)
        _density(figure.add_subplot(layout[0, 1] if marked else layout[0, :]), grids)
        _errors(figure.add_subplot(layout[1, :]), made, error_curve(made))
    return figure


# the grid


def _values(axes: Axes, grids: tuple[tuple[str, Format], ...]) -> None:
    """Every value as a mark: on a linear axis where they are few, else the positive ones by their logarithm."""
    few = all(each.bits <= 6 and DataFormat(each).values.size <= MOST_LINEAR for _, each in grids)
    for row, (role, each) in enumerate(grids):
        colour = style.SERIES[row % len(style.SERIES)]
        marks = _marks(each, few)
        if len(grids) > 1 and few and role.startswith("candidate"):
            marks = marks / np.abs(marks).max()
        width = 0.8 if not few else 1.0 if role == "normal" else 2.0
        axes.vlines(marks, row - 0.32, row + 0.32, colors=colour, linewidth=width)
        if few and len(grids) == 1:
            _name(axes, marks)
    axes.set_yticks(range(len(grids)), [each.name for _, each in grids] if len(grids) > 1 else [""] * len(grids))
    axes.set_ylim(len(grids) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    candidates = len(grids) > 1 and grids[0][0].startswith("candidate")
    unit = " / the largest" if candidates and few else ""
    if few:
        axes.set_xlabel(f"value{unit}")
        axes.margins(x=0.04)
    else:
        axes.set_xscale("log", base=2)
        _powers(axes)
        axes.set_xlabel("magnitude of positive values")
    axes.set_title(_title(grids))


def _title(grids: tuple[tuple[str, Format], ...]) -> str:
    if len(grids) > 1:
        return "values of the elements"
    role, each = grids[0]
    found = anatomy.range_of(each)
    return f"{found.values:,} values{role.removeprefix('element')}" + (", with -0" if found.negative_zero else "")


def _marks(record: Format, few: bool) -> Doubles:
    """The values to draw: all of a small grid, else the positive ones."""
    values = DataFormat(record).values
    return values if few else values[values > 0]


def _name(axes: Axes, marks: Doubles) -> None:
    """Names values below the axis where there is room for the names."""
    span = float(marks.max() - marks.min()) or 1.0
    kept: list[float] = []
    for value in sorted(marks.tolist(), key=lambda v: (-abs(v), v)):
        width = (len(f"{value:.3g}") + 1.6) * 0.016 * span
        if all(abs(value - other) > width for other in kept):
            kept.append(value)
    axes.set_xticks(sorted(kept), [f"{value:.3g}" for value in sorted(kept)])


def _density(axes: Axes, grids: tuple[tuple[str, Format], ...]) -> None:
    """How many positive values each binade has."""
    most = 1
    for row, (_, each) in enumerate(grids):
        exponents, counts = anatomy.binades(each)
        colour = style.SERIES[row % len(style.SERIES)]
        edges = np.append(exponents, exponents[-1] + 1)
        named = each.name if len(grids) > 1 else None
        if len(grids) == 1:
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.35)
        # the first ones are broader, so that they show where lines coincide
        axes.stairs(counts, edges, color=colour, linewidth=1.6 + 1.4 * (len(grids) - 1 - row), label=named)
        most = max(most, int(counts.max()))
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.5, most * 2.0)
    counted = FuncFormatter(lambda value, _: "" if value < 1 else f"{value:,.0f}" if most < 4096 else _power(value))
    axes.yaxis.set_major_formatter(counted)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rf"$2^{{{value:.0f}}}$"))
    axes.set_xlabel("magnitude, from one power of two to the next")
    axes.set_ylabel("values in the binade")
    axes.set_title(_density_title(grids))
    if len(grids) > 1:
        axes.legend(loc="best")


def _density_title(grids: tuple[tuple[str, Format], ...]) -> str:
    (role, each), *more = grids
    what = "density of positive values" + (" of outliers" if role == "outlier" else "")
    if more or each.bits <= MOST_MARKED_BITS:
        return what
    return f"{what}, {anatomy.range_of(each).values:,} values in all"


def _power(value: float) -> str:
    return rf"$2^{{{round(math.log2(value))}}}$"


def _powers(axes: Axes) -> None:
    """At most about eight ticks, at powers of two whose exponents are evenly spaced."""
    low, high = (math.log2(end) for end in axes.get_xlim())
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 128, 256) if (high - low) / s <= 10)
    ticks = [e for e in range(math.ceil(low), math.floor(high) + 1) if e % step == 0]
    axes.set_xticks([2.0**e for e in ticks], [_power(2.0**e) for e in ticks])
    axes.minorticks_off()


# the error curve


def error_curve(made: DataFormat) -> Curve:
    """Relative rounding errors by magnitude.

    A grid without a scale is swept from below its smallest positive value to above its largest. A format that scales
    is given [64, 4096] Gaussian numbers of variance 1, whose magnitudes are sorted into bins.
    """
    return _of_data(made) if made.record.scaled else _of_grid(made)


def _of_grid(made: DataFormat) -> Curve:
    reach = anatomy.range_of(made.record)
    first = max(math.floor(math.log2(reach.smallest_positive)) - 2, -1022)
    last = min(math.floor(math.log2(reach.largest)) + 2, 1023)
    each = max(_BINS // (last - first), 2)
    count = each * (last - first)
    edges = first + np.arange(count + 1) / each
    inside = (draws(_SEED, 0, count * _PER_BIN, 32).astype(np.float64) + 0.5).reshape(count, _PER_BIN) * 2.0**-32
    x = np.exp2(edges[:-1, None] + inside / each)
    with np.errstate(invalid="ignore"):
        error = np.abs(np.asarray(made.quantize(x)) - x) / x
    kept = np.isfinite(error).all(axis=1)  # infinities and NaN have no error to draw
    square = np.where(kept, np.square(np.where(kept[:, None], error, 0.0)).mean(axis=1), 0.0).reshape(-1, each)
    of_binade = square.sum(axis=1) / np.maximum(kept.reshape(-1, each).sum(axis=1), 1)
    middle = np.exp2((edges[:-1] + edges[1:]) / 2)
    return Curve(middle[kept], error.max(axis=1)[kept], np.sqrt(np.repeat(of_binade, each))[kept], of_binades=True)


def _of_data(made: DataFormat) -> Curve:
    from scipy.special import ndtri

    count = _SCALED_SHAPE[0] * _SCALED_SHAPE[1]
    x = ndtri((draws(_SEED, 0, count, 32).astype(np.float64) + 0.5) * 2.0**-32).reshape(_SCALED_SHAPE)
    low, high = _SCALED_BINADES
    x = x.astype(np.float32).astype(np.float64)
    error = np.abs(np.asarray(made.quantize(x)) - x) / np.abs(x)
    bins = np.floor((np.log2(np.abs(x)) - low) * _PER_BINADE).astype(np.int64)
    inside = (bins >= 0) & (bins < (high - low) * _PER_BINADE)
    at, found = bins[inside], error[inside]
    size = np.bincount(at)
    largest = np.zeros(size.size)
    np.maximum.at(largest, at, found)
    used = size >= _LEAST
    rms = np.sqrt(np.bincount(at, weights=np.square(found)) / np.maximum(size, 1))
    middle = np.exp2((np.arange(size.size) + 0.5) / _PER_BINADE + low)
    return Curve(middle[used], largest[used], rms[used], of_binades=False)


def _errors(axes: Axes, made: DataFormat, curve: Curve) -> None:
    rms = "root mean square" + (" of each binade" if curve.of_binades else "")
    for error, colour, width, name in (
        (curve.largest, style.VERMILION, 1.1, "largest"),
        (curve.rms, style.BLUE, 1.8, rms),
    ):
        seen = np.where(error > 0, error, np.nan)  # what is exact has no place on a logarithmic axis
        axes.plot(curve.magnitude, seen, color=colour, linewidth=width, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    lowest = [part[part > 0].min() for part in (curve.rms, curve.largest) if (part > 0).any()]
    least = max(min(lowest, default=2.0**-30), curve.rms.max() * 2.0**-60)
    most = max(float(curve.largest.max()), 1.0)
    axes.set_ylim(2.0 ** (math.floor(math.log2(least)) - 0.5), 2.0 ** (math.ceil(math.log2(most)) + 0.5))
    axes.set_xlim(curve.magnitude[0], curve.magnitude[-1])
    _powers(axes)
    axes.set_ylabel("relative error")
    axes.set_xlabel(
        "magnitude of Gaussian numbers, in standard deviations" if made.record.scaled else "magnitude of the input"
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
    axes.set_title("rounding error, |rounded - x| / |x|")
    axes.legend(loc="best")


def _percent(value: float) -> str:
    if value >= 1:
        return f"{100 * value:,.0f} %"
    return f"{100 * value:.3g} %" if value >= 1e-4 else _power(value)
