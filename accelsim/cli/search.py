"""`search`: the best designs of a space that is too large to evaluate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, app, console, print_json
from accelsim.cli.options import SeedOption
from accelsim.cli.sweep_options import (
    FRAMES,
    ClusterOption,
    FrameOption,
    FreshOption,
    StoreOption,
    SweepArgument,
    TimeoutOption,
    WorkersOption,
    clock,
    span,
    table,
)

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.explore.screening import Screening
    from accelsim.explore.search import Found
    from accelsim.explore.sweep import Sweep


@app.command()
def search(
    file: SweepArgument,
    *,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Designs to ask for.")] = 200,
    sampler: Annotated[
        str, typer.Option("--sampler", metavar="nsga2|nsga3|tpe|random", help="Who proposes designs.")
    ] = "nsga2",
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="N", help="Designs proposed at a time; 50, or 10 by tpe.", show_default=False),
    ] = None,
    seed: SeedOption = 0,
    warm: Annotated[bool, typer.Option("--warm", help="Begin with the best designs that the store has.")] = False,
    screen: Annotated[
        bool, typer.Option("--screen", help="Search in closed form, then simulate the best event by event.")
    ] = False,
    confirm: Annotated[int, typer.Option("--confirm", metavar="N", help="Designs that --screen simulates.")] = 20,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    fresh: FreshOption = False,
    timeout: TimeoutOption = None,
    out: FrameOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Picture of the front of the first two objectives.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the best designs of a sweep's space for its objectives, without evaluating them all."""
    timeout_s = span("--timeout-per-point", timeout)
    files.writable(("--export", out, FRAMES), ("--plot", plot, files.PICTURES))
    from accelsim.cli.sweep_bar import bar
    from accelsim.explore.screening import screen as screened
    from accelsim.explore.search import known_front
    from accelsim.explore.search import search as searched
    from accelsim.explore.sweep import Sweep

    described = Sweep.read(file)
    how: dict[str, Any] = {
        "trials": trials, "sampler": sampler, "seed": seed, "batch": batch, "workers": workers, "cluster": cluster,
        "store": store, "fresh": fresh, "timeout_s": timeout_s,
    }  # fmt: skip
    if warm:
        how["warm"] = known_front(described, store)
    began = time.monotonic()
    confirmed: Screening | None = None
    with bar(described) as report:
        if screen:
            confirmed = screened(described, confirm=confirm, progress=report, **how)
            found = confirmed.found
        else:
            found = searched(described, progress=report, **how)
    elapsed_s = time.monotonic() - began
    frame = _frame(found, store)
    written = _write(described, frame, out, plot)
    if as_json:
        asked = {"trials": len(found.trials), "sampler": sampler, "seed": seed}
        print_json("search", {"name": described.name, **asked, **_document(found, frame, confirmed), "wrote": written,
                              "store": str(store or described.store_path), "elapsed_s": elapsed_s})  # fmt: skip
    else:
        _told(described, found, frame, f"{sampler}, seed {seed}", elapsed_s)
        if confirmed:
            _screening(described, confirmed)
        typer.echo(f"  results: {store or described.store_path}")
        for path in written:
            typer.echo(f"  wrote {path}")
    if not found.front:
        raise typer.Exit(FAILED)


def _frame(found: Found, store: Path | None) -> pd.DataFrame:
    """The designs of the trials, in the order in which they were asked for; `front` marks the best."""
    import pandas as pd

    if found.sweep is None:
        return pd.DataFrame(columns=["key", "status", "front"])
    frame = found.sweep.load(store)
    best = {found.keys[position] for position in found.front}
    frame["front"] = frame["key"].isin(best)
    return frame


def _shown(described: Sweep, frame: pd.DataFrame) -> list[str]:
    """Columns to print: the axes that vary, and what was asked for."""
    axes = [name for name in frame.attrs.get("axes", ()) if frame[name].nunique() > 1]
    return [*axes, *(name for name in described.spec.objectives if name not in axes)]


def _write(described: Sweep, frame: pd.DataFrame, out: Path | None, plot: Path | None) -> list[str]:
    written = []
    if out is not None:
        from accelsim.explore.frame import export

        written.append(str(export(frame, out)))
    if plot is not None:
        from accelsim.report.frames import draw
        from accelsim.spec.sweep import Plot

        title = described.spec.question.text if described.spec.question else described.name
        draw(frame, Plot(kind="pareto"), title=title, objectives=described.spec.objectives, path=plot)
        written.append(str(plot))
    return written


def _document(found: Found, frame: pd.DataFrame, confirmed: Screening | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "space": found.space, "distinct": found.distinct, "evaluated": found.evaluated,
        "front": frame[frame["front"].astype(bool)].to_dict("records"),
    }  # fmt: skip
    if confirmed:
        agreement = {name: dict(values) for name, values in confirmed.agreement.items()}
        document["screening"] = {
            "confirmed": confirmed.frame.to_dict("records"), "agreement": agreement, "changed_side": confirmed.changed
        }  # fmt: skip
    return document


def _told(described: Sweep, found: Found, frame: pd.DataFrame, how: str, elapsed_s: float) -> None:
    if described.spec.question:
        typer.echo(described.spec.question.text)
    typer.echo(
        f"  {found.space:,} designs; {len(found.trials):,} trials ({how}): {found.distinct:,} different designs, "
        f"{found.evaluated:,} evaluated now, in {clock(elapsed_s)}"
    )
    excluded = sum(trial.position < 0 for trial in found.trials)
    feasible = len({trial.position for trial in found.trials if trial.feasible})
    apart = f"; {excluded:,} trials fell to constraints over inputs" if excluded else ""
    typer.echo(f"  {feasible:,} designs can be built and meet all constraints{apart}")
    if not found.front:
        typer.echo("  none to choose from: try more trials, or wider constraints")
        return
    names = _shown(described, frame)
    best = frame[frame["front"]].sort_values(next(iter(described.spec.objectives)))
    several = len(described.spec.objectives) > 1
    typer.echo(f"  {len(best):,} on the Pareto front:" if several else f"  the best of them ({len(best):,} as good):")
    console().print(table(best[names]))


def _screening(described: Sweep, confirmed: Screening) -> None:
    import pandas as pd

    frame = confirmed.frame
    typer.echo(f"  the best {len(frame):,} confirmed by events:")
    rows = [{"objective": name, "rank correlation": values["rank_correlation"], "pairs turned": values["changed"],
             "regret": values["regret"]} for name, values in confirmed.agreement.items()]  # fmt: skip
    if rows:
        console().print(table(pd.DataFrame(rows)))
    lost = int((frame["status"] != "ok").sum())
    typer.echo(
        f"  {confirmed.changed:,} of them are on the front of closed form or of events alone"
        + (f"; {lost:,} do not run by events" if lost else "")
    )
    axes = [name for name in _shown(described, frame) if name in frame.columns]
    best = frame[frame["on_event_front"]]
    shown = best[axes].copy()
    for name in described.spec.objectives:
        cheap, exact = best[f"{name}_roofline"], best[f"{name}_event"]
        if (cheap == exact).all():  # it follows from inputs alone
            shown[name] = exact
        else:
            shown[f"{name}\nin closed form"], shown[f"{name}\nby events"] = cheap, exact
    console().print(table(shown))
