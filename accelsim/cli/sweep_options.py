"""Options that all commands over sweeps share, and what they print alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from accelsim.cli.options import names
from accelsim.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

FRAMES: Final = (".csv", ".parquet")
"""Suffixes of `--export`."""

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)?$")
_SECONDS: Final = {None: 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}

SweepArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep by name or path.", autocompletion=names("sweeps"))
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes; 1 is this one.", show_default=False)
]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS|local", help="A Dask scheduler, such as tcp://10.0.0.1:8786."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="Results; accelsim-results/NAME.sqlite by default.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start anew; the old store is renamed.")]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Evaluate again what failed, crashed or took too long.")
]
TimeoutOption = Annotated[
    str | None, typer.Option("--timeout-per-point", metavar="TIME", help="Give up a point after so long.")
]
FrameOption = Annotated[
    Path | None, typer.Option("--export", metavar="FILE", help="Write the frame there: .csv or .parquet.")
]


def span(option: str, text: str | None) -> float | None:
    """Seconds of "90", "90s", "10min" or "1.5h".

    Raises:
        RequestError: other text.
    """
    if text is None:
        return None
    found = _SPAN.match(text.strip())
    if not found or float(found[1]) <= 0:
        raise RequestError(f"{option} {text}: expected a time such as 90s, 10min or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def clock(seconds: float) -> str:
    """A time for people: "0.4 s", "12 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def short(value: Any) -> str:
    """A cell for people: four digits of a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def number(text: Any) -> Any:
    """A value of `--set` as a sweep's file would have it: a number, a truth, or text such as "5 TB/s"."""
    if not isinstance(text, str):
        return text
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def table(frame: pd.DataFrame) -> Table:
    """A frame as it is printed: numbers to the right, with four digits."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns:
        made.add_column(str(name), justify="right" if frame[name].dtype.kind in "iuf" else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        made.add_row(*(short(value) for value in row))
    return made
