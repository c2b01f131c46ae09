"""What the experiments of this folder share: figures to hold against the survey's, and files for frame and picture.

An experiment is a module with `frame()` (a row per point), `checks(frame)` and `picture(frame)`. Run as a script it
writes all three under its own name and fails if a check does:

    python sweeps/survey/figure05.py [--out FOLDER]

"The survey" is *LLM Inference Unveiled: Survey and Roofline Model Insights*, arXiv 2402.16363v6. Its figures are drawn
by notebooks that its tool keeps with their output (hahnyuan/LLM-Viewer at 472f71f, `examples/`); what a figure shows
and no text states is read off that output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

import accelsim
from accelsim.report import style

VIEWER: dict[str, Any] = {"fidelity": "roofline", "convention": "llm-viewer"}
CARD = "llm-viewer-a6000"
WIDTHS = {16: "fp16", 8: "int8", 4: "int4", 2: "int2", 1: "binary"}
"""Formats of so many bits. The tool knows widths alone, and integers and codebooks of that width count the same."""

MANY = 30
"""Checks of one kind and place that the page of the docs lists one by one."""

Kind = Literal["stated", "table", "read-off", "turn"]


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of ours against one of the survey's.

    Attributes:
        what: the figure, with its unit.
        ours: what the experiment found.
        low, high: where it has to lie.
        kind: `stated` in a text, in a `table`, `read-off` a picture, or a `turn`, where something changes over.
        place: where the published figure stands.
    """

    what: str
    ours: float
    low: float
    high: float
    kind: Kind
    place: str

    @property
    def ok(self) -> bool:
        """Whether it lies there."""
        return self.low <= self.ours <= self.high


def near(what: str, ours: float, published: float, tolerance: float, kind: Kind, place: str) -> Check:
    """A figure within a share `tolerance` of the published one."""
    reach = abs(published) * tolerance
    return Check(what, float(ours), published - reach, published + reach, kind, place)


def within(what: str, ours: float, low: float, high: float, kind: Kind, place: str) -> Check:
    """A figure between two."""
    return Check(what, float(ours), low, high, kind, place)


def viewer(model: str, card: str = CARD, *, bits: tuple[int, int, int] = (16, 16, 16), **request: Any) -> accelsim.Run:
    """A prefill and one decode step as the survey's tool counts and prices them.

    Args:
        model: the model.
        card: a chip of arch/llm-viewer.
        bits: of weights, activations and KV cache.
        request: batch, prompt (of the prefill, and positions in the cache of the decode step), flash, overrides.
    """
    weights, activations, cache = (WIDTHS[width] for width in bits)
    return accelsim.simulate(
        model, card, generate=2, weights=weights, activations=activations, kv_cache=cache, **request, **VIEWER
    )


def phase(run: accelsim.Run, name: str) -> dict[str, Any]:
    """The row of a phase, with its memory."""
    row = next(row for row in run.rows("phases") if row["phase"] == name)
    return row | next(row for row in run.rows("memory") if row["phase"] == name)


def operators(run: accelsim.Run, name: str) -> dict[str, dict[str, Any]]:
    """The operators of a phase by name."""
    return {row["name"]: row for row in run.rows("operators") if row["phase"] == name}


def on_the_roofline(run: accelsim.Run, operator: str) -> dict[str, Any]:
    """Where an operator of a decode step lies: columns of a frame."""
    row = operators(run, "decode")[operator]
    return {
        "intensity_ops_per_byte": row["intensity_flops_per_byte"],
        "ops_per_s": row["achieved_flops_per_s"],
        "bytes_per_s": row["achieved_bytes_per_s"],
        "bound": row["bound"],
    }


def first(values: Iterable[tuple[float, bool]]) -> float:
    """The first value for which something holds; NaN, which fails every check, if there is none."""
    return next((value for value, holds in values if holds), float("nan"))


@contextmanager
def drawn(title: str, size_px: tuple[int, int] = (1000, 560)) -> Iterator[Figure]:
    """An empty figure in the look of accelsim's pictures; draw on it inside the `with`, where the look is set."""
    with style.look():
        made = style.blank(title, size_px)
        yield made


def table(checks: Iterable[Check]) -> pd.DataFrame:
    """Checks as rows."""
    return pd.DataFrame(
        [
            {"what": c.what, "ours": c.ours, "low": c.low, "high": c.high, "kind": c.kind, "place": c.place, "ok": c.ok}
            for c in checks
        ]
    )


def block(name: str, title: str, rows: pd.DataFrame) -> str:
    """What the page of the docs shows of an experiment: its picture, and its checks to four digits.

    Args:
        name: of the picture's file, without its suffix.
        title: what the picture shows.
        rows: checks, as `table` has them; more than 30 of one kind and place are told together.
    """
    lines = [f"![{title}](pictures/{name}.png)", "", "| | ours | published | |", "|---|---|---|---|"]
    for (kind, place), group in rows.groupby(["kind", "place"], sort=False):
        if len(group) > MANY:
            lines.append(
                f"| {len(group)} figures | {int(group['ok'].sum())} agree | to half of a last digit | {place} |"
            )
            continue
        for row in group.itertuples():
            low, high = f"{row.low:.4g}", f"{row.high:.4g}"
            published = low if low == high else f"{low} to {high}"
            source = place if kind in ("table", "stated") else f"{kind}: {place}"
            lines.append(f"| {row.what} | {row.ours:.4g} | {published} | {source} |")
    return "\n".join(lines)


def title(module: ModuleType) -> str:
    """The first line of an experiment's text, without its full stop."""
    return (module.__doc__ or "").partition("\n")[0].rstrip(".")


def write(module: ModuleType, name: str, out: Path) -> pd.DataFrame:
    """Runs an experiment and writes NAME.csv, NAME-checks.csv and NAME.png; returns the checks."""
    found = module.frame()
    rows = table(module.checks(found))
    out.mkdir(parents=True, exist_ok=True)
    found.to_csv(out / f"{name}.csv", index=False)
    rows.to_csv(out / f"{name}-checks.csv", index=False)
    with style.look():
        style.save(module.picture(found), out / f"{name}.png")
    return rows


def main(module: ModuleType) -> None:
    """The command line of an experiment."""
    parser = argparse.ArgumentParser(description=(module.__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    out = parser.parse_args().out
    name = f"survey-{Path(str(module.__file__)).stem}"
    rows = write(module, name, out)
    for row in rows.itertuples():
        verdict = "ok  " if row.ok else "FAIL"
        print(f"{verdict} {row.what}: {row.ours:.6g} in [{row.low:.6g}, {row.high:.6g}] ({row.kind}; {row.place})")
    print(f"wrote {out / name}.csv, {out / name}-checks.csv and {out / name}.png")
    if not rows["ok"].all():
        sys.exit(1)
