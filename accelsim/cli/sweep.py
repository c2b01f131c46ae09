"""`sweep`: experiments over many designs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, app, console, print_json, say
from accelsim.cli.sweep_options import (
    FRAMES,
    ClusterOption,
    FrameOption,
    FreshOption,
    RetryOption,
    StoreOption,
    SweepArgument,
    TimeoutOption,
    WorkersOption,
    clock,
    short,
    span,
)
from accelsim.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.explore.outline import Outline
    from accelsim.explore.sweep import Summary, Sweep


@app.command()
def sweep(
    file: SweepArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to, and how long.")] = False,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    fresh: FreshOption = False,
    retry_failed: RetryOption = False,
    accept_version: Annotated[
        bool, typer.Option("--accept-version", help="Take rows that another version of accelsim has computed.")
    ] = False,
    timeout: TimeoutOption = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Start nothing later than this: 90s, 10min, 2h.")
    ] = None,
    out: FrameOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Picture; beside the store by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a space of designs: resumes where it stopped, keeps everything, and draws what the sweep asks for."""
    timeout_s, budget_s = span("--timeout-per-point", timeout), span("--budget", budget)
    files.writable(("--export", out, FRAMES), ("--plot", plot, files.PICTURES))
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
        where = ", ".join(f"{axis} = {short(row[axis])}" for axis in axes)
        typer.echo(f"  {'least' if direction == 'min' else 'most'} {name}: {short(row[name])} at {where}")
    if len(described.spec.objectives) > 1:
        from accelsim.explore.pareto import pareto

        typer.echo(f"  {int(pareto(good, described.spec.objectives).sum()):,} points on the Pareto front")


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
