"""Pictures and exports of a run, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from accelsim.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    from accelsim.results import Run

PICTURES: Final = (".png", ".pdf", ".svg")
KINDS: Final = ("roofline", "breakdown", "timeline", "commands")
"""Pictures of a run; "commands" are those of one kernel on a memory that computes."""


def check(plot: Path | None, kind: str, export: Path | None) -> None:
    """Refuses what could not be written later, before anything is simulated.

    Raises:
        RequestError: a suffix, a kind of picture or a folder that is not there.
    """
    from accelsim.results.export import SUFFIXES

    if kind not in KINDS:
        raise RequestError(f"--plot-kind {kind}: allowed are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    writable(("--plot", plot, PICTURES), ("--export", export, SUFFIXES))


def writable(*asked: tuple[str, Path | None, Iterable[str]]) -> None:
    """Refuses files that could not be written later.

    Args:
        asked: option, path (None where the option is not given), and the suffixes that it takes.

    Raises:
        RequestError: another suffix, or a folder that is not there.
    """
    for option, path, suffixes in asked:
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise RequestError(f"{option} {path}: allowed are names that end in {', '.join(suffixes)}")
        if not path.parent.is_dir():
            raise RequestError(f"{option} {path}: there is no folder {path.parent}")


def draw(run: Run, kind: str, path: Path, cycles: tuple[float, float] | None = None) -> Path:
    """Writes one picture of a run that took place; `cycles` is the part of the commands to draw."""
    if kind == "commands":
        run.plot.commands(path, cycles=cycles)
    else:
        getattr(run.plot, kind)(path)
    return path


def cycles_of(text: str | None, kind: str) -> tuple[float, float] | None:
    """The two cycles of "150:520".

    Raises:
        RequestError: other text, or a picture that has no such axis.
    """
    if text is None:
        return None
    if kind != "commands":
        raise RequestError(f"--plot-cycles {text}: only --plot-kind commands has cycles, not {kind}")
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise RequestError(f"--plot-cycles {text}: expected two rising numbers such as 150:520")
    return float(first), float(last)
