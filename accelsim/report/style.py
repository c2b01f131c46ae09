"""The look that all pictures share: size, fonts, colours, names and titles.

Colours are those of Okabe and Ito (2008), which readers with any colour vision tell apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from accelsim.errors import RequestError, did_you_mean
from accelsim.results import Run
from accelsim.results.export import write_whole

SIZE_PX: Final = (1200, 750)
DPI: Final = 100
SUFFIXES: Final = (".png", ".svg", ".pdf")

BLACK, ORANGE, SKY, GREEN, YELLOW = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#9A9A9A"
SERIES: Final = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, "#5B4B8A", "#8C6D31", "#444444")
"""Colours of a series in which no word has a colour of its own."""

BOUNDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "compute": VERMILION, "vector": ORANGE, "memory": BLUE, "cache": SKY, "sram": PURPLE, "link": GREEN,
        "launch": GREY, "pipeline": YELLOW,
    }
)  # fmt: skip
"""Colour of each word of `bound` that GPUs know; other words take `OTHER`."""
OTHER: Final = "#5B4B8A"

FAMILIES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("matmul", "experts"), ("matrix multiplication", VERMILION)),
        **dict.fromkeys(("attention", "scores", "context"), ("attention", BLUE)),
        **dict.fromkeys(
            ("norm", "rope", "softmax", "activation", "quantize", "add", "multiply", "fused"),
            ("element-wise, norms", GREEN),
        ),
        **dict.fromkeys(("embedding", "kv_append", "route", "dispatch", "combine"), ("lookup, routing", PURPLE)),
        **dict.fromkeys(("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send"), ("collective", ORANGE)),
    }
)
"""Kind of operator -> the family that shares a colour, and the colour."""

_LOOK: Final = {
    "font.family": "DejaVu Sans", "font.size": 11.0, "axes.titlesize": 11.0, "axes.labelsize": 11.0,
    "xtick.labelsize": 10.0, "ytick.labelsize": 10.0, "legend.fontsize": 10.0, "figure.titlesize": 13.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#E3E3E3", "grid.linewidth": 0.7, "legend.frameon": False, "savefig.bbox": None,
    "figure.facecolor": "white", "axes.facecolor": "white", "svg.fonttype": "none",
}  # fmt: skip


def look() -> AbstractContextManager[None]:
    """The settings under which pictures are made; the caller's own are back afterwards."""
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_LOOK}
    settings.pop("backend")  # a setting of the session, and none of ours
    return matplotlib.rc_context(settings)


def figure(run: Run, what: str, size_px: tuple[int, int] = SIZE_PX) -> Figure:
    """An empty figure with the run in its title."""
    asked = run.request
    sizes = f"batch {asked.batch}, prompt {asked.prompt:,}, generate {asked.generate:,}"
    how = "event simulation" if asked.fidelity == "event" else f"roofline, {asked.convention}"
    return blank(
        f"{what}: {asked.model} on {asked.chip}, {sizes}\n"
        f"weights {asked.weights}, activations {asked.activations}, KV cache {asked.kv_cache}; {how}",
        size_px,
    )


def blank(title: str, size_px: tuple[int, int] = SIZE_PX) -> Figure:
    """An empty figure with a title. No window system and no global state of pyplot is involved."""
    padding = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)  # inches
    made = Figure(figsize=(size_px[0] / DPI, size_px[1] / DPI), dpi=DPI, layout=padding)
    FigureCanvasAgg(made)
    made.suptitle(title)
    return made


def save(made: Figure, path: str | Path) -> Path:
    """Writes a figure; the file appears only when it is complete.

    Raises:
        RequestError: a suffix other than .png, .svg and .pdf, or a folder that cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise RequestError(
            f"cannot draw to {target.name!r}: allowed are names that end in {', '.join(SUFFIXES)}"
            f"{did_you_mean(suffix, SUFFIXES)}"
        )
    write_whole({target: partial(made.savefig, format=suffix[1:], dpi=DPI)})
    return target


def short(names: Iterable[str]) -> dict[str, str]:
    """Names of operators without the word that nearly all of them share, where they stay distinct."""
    full = list(dict.fromkeys(names))
    brief = {name: name.replace("layers.", "") for name in full}
    return brief if len(set(brief.values())) == len(full) else dict(zip(full, full, strict=True))


def time_scale(longest_s: float) -> tuple[float, str]:
    """Factor and unit that make a time readable: (1e3, "ms")."""
    for factor, symbol in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if longest_s * factor >= 1:
            return factor, symbol
    return 1e9, "ns"


def renderer(axes: Axes) -> RendererAgg:
    """What measures texts in pixels."""
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    return canvas.get_renderer()  # type: ignore[no-untyped-call, no-any-return]


def legend_columns(labels: Collection[str]) -> int:
    """Columns of a legend as wide as a picture at most."""
    widest_px = 55 + 8 * max(map(len, labels), default=0)
    return max(1, min(len(labels), 5, (SIZE_PX[0] - 40) // widest_px))


def swatch(colour: str, label: str, **changes: Any) -> Patch:
    """A coloured square for a legend."""
    return Patch(facecolor=colour, label=label, **changes)
