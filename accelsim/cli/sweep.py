"""`sweep` and `pareto`: experiments over many designs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, app, console, print_json, say
from accelsim.cli.options import names
from accelsim.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.explore.outline import Outline
    from accelsim.explore.sweep import Summary, Sweep

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h)?$")
_SECONDS: Final = {None: 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}


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


@app.command()
def sweep(
    file: Annotated[
        str, typer.Argument(metavar="SWEEP", help="A sweep by name or path.", autocompletion=names("sweeps"))
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to, and how long.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes; 1 is this one.", show_default=False)
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS|local", help="A Dask scheduler, such as tcp://10.0.0.1:8786."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="FILE", help="Results; accelsim-results/NAME.sqlite by default.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew; the old store is renamed.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Evaluate again what failed, crashed or took too long.")
    ] = False,
    accept_version: Annotated[
        bool, typer.Option("--accept-version", help="Take rows that another version of accelsim has computed.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout-per-point", metavar="TIME", help="Give up a point after so long.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Start nothing later than this: 90s, 10min, 2h.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the frame there: .csv or .parquet.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Picture; beside the store by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a space of designs: resumes where it stopped, keeps everything, and draws what the sweep asks for."""
    timeout_s, budget_s = span("--timeout-per-point", timeout), span("--budget", budget)
    files.writable(("--export", out, (".csv", ".parquet")), ("--plot", plot, files.PICTURES))
    from accelsim.explore.sweep import Sweep

    described = Sweep.read(file)
    if dry_run:
        _outline(described, described.outline(store), as_json)
        return
    from accelsim.cli.sweep_bar import bar

    with bar(described) as report:
        summary = described.run(
            workers=workers, cluster=cluster, store=store, fresh=fresh, retry_failed=retry_failed,
            accept_version=accept_version, timeout_s=timeout_s, budget_s=budget_s, progress=report,
        )  # fmt: skip
    frame = described.load(store)
    written = _write(described, frame, summary, out, plot)
    if as_json:
        counts = {name: int(count) for name, count in frame["status"].value_counts().items() if count}
        document = {name: getattr(summary, name) for name in summary.__slots__ if name not in ("store", "counts")}
        evaluated = {"evaluated": dict(summary.counts), "status": counts, "wrote": written}
        print_json("sweep", {"name": described.name, "store": str(summary.store), **document, **evaluated})
    else:
        _summary(described, frame, summary)
        for path in written:
            typer.echo(f"  wrote {path}")
    if not (frame["status"] == "ok").any() or not summary.complete:
        raise typer.Exit(FAILED)


def _outline(described: Sweep, found: Outline, as_json: bool) -> None:
    if as_json:
        document = {name: getattr(found, name) for name in found.__slots__ if name != "first"}
        print_json("sweep", {"name": described.name, **document, "first": found.first.to_dict("records")})
        return
    if described.spec.question:
        typer.echo(described.spec.question.text)
    extra = [f"{found.excluded:,} excluded by constraints" if found.excluded else "",
             f"{found.repeated:,} that repeat others" if found.repeated else ""]  # fmt: skip
    more = f" (and {', '.join(part for part in extra if part)})" if any(extra) else ""
    typer.echo(f"  {found.points:,} points{more}, {found.known:,} of them in the store")
    typer.echo(f"  {found.groups:,} groups; {found.columns:,} points in closed form, all of a group at once")
    typer.echo(f"  about {clock(found.total_s)} on one core ({found.each_s * 1e3:.3g} ms for each point timed)")
    console().print(found.first.to_string(index=False))


def clock(seconds: float) -> str:
    """A time for people: "0.4 s", "12 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _summary(described: Sweep, frame: pd.DataFrame, summary: Summary) -> None:
    if described.spec.question:
        typer.echo(described.spec.question.text)
    done = sum(summary.counts.values())
    typer.echo(
        f"  {summary.points:,} points: {summary.known:,} were there, {done:,} evaluated in {clock(summary.elapsed_s)}"
        + ("" if summary.complete else "; the budget is spent, run it again to go on")
    )
    counts = frame["status"].value_counts()
    typer.echo("  " + ", ".join(f"{count:,} {name}" for name, count in counts.items() if count))
    for status in ("infeasible", "failed", "crashed", "timeout"):
        reasons = frame.loc[frame["status"] == status, "reason"]
        if len(reasons):
            typer.echo(f"  {status}, for example: {reasons.iloc[0].splitlines()[0]}")
    _best(described, frame)
    typer.echo(f"  results: {summary.store}")


def _best(described: Sweep, frame: pd.DataFrame) -> None:
    """The best point of each objective, and the front where there are several."""
    good = frame[frame["status"] == "ok"]
    if "meets_constraints" in good.columns:
        good = good[good["meets_constraints"]]
        typer.echo(f"  {len(good):,} points meet the constraints")
    if good.empty:
        return
    axes = frame.attrs["axes"]
    for name, direction in described.spec.objectives.items():
        values = good[name].to_numpy(dtype=float)
        row = good.iloc[int(values.argmin() if direction == "min" else values.argmax())]
        where = ", ".join(f"{axis} = {_short(row[axis])}" for axis in axes)
        typer.echo(f"  {'least' if direction == 'min' else 'most'} {name}: {_short(row[name])} at {where}")
    if len(described.spec.objectives) > 1:
        from accelsim.explore.pareto import pareto

        typer.echo(f"  {int(pareto(good, described.spec.objectives).sum()):,} points on the Pareto front")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(described: Sweep, frame: pd.DataFrame, summary: Summary, out: Path | None, plot: Path | None) -> list[str]:
    from accelsim.explore.frame import export

    target = out or summary.store.with_suffix(".csv")
    written = [str(export(frame, target))]
    if described.spec.plot is None:
        if plot:
            raise RequestError(f"--plot {plot}: the sweep describes no picture: add [plot] with kind, x and y")
        return written
    if not (frame["status"] == "ok").any():
        say("warning: nothing to draw, no point is ok")
        return written
    picture = plot or summary.store.with_suffix(".png")
    described.plot(picture, frame=frame)
    return [*written, str(picture)]
