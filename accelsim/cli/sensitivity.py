"""`sensitivity`: which axis of a sweep a figure hangs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from accelsim.cli import files
from accelsim.cli.common import JsonOption, app, console, print_json
from accelsim.cli.options import SeedOption
from accelsim.cli.sweep_options import (
    FRAMES,
    ClusterOption,
    FrameOption,
    StoreOption,
    SweepArgument,
    TimeoutOption,
    WorkersOption,
    span,
    table,
)
from accelsim.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final = ("variance", "sobol", "permutation")


@app.command()
def sensitivity(
    file: SweepArgument,
    *,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What is explained; the first objective by default.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="|".join(METHODS),
            help="Exact shares on the full grid, indices by sampling, or by a surrogate from rows that are there.",
        ),
    ] = "variance",
    count: Annotated[int, typer.Option("--count", metavar="N", help="Base points of sobol, a power of two.")] = 1024,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    timeout: TimeoutOption = None,
    out: FrameOption = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Picture of the indices.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Which axis a figure hangs on: the share of its variance that each axis explains, alone and with others."""
    timeout_s = span("--timeout-per-point", timeout)
    files.writable(("--export", out, FRAMES), ("--plot", plot, files.PICTURES))
    if method not in METHODS:
        raise RequestError(f"--method {method}: allowed are {', '.join(METHODS)}{did_you_mean(method, METHODS)}")
    from accelsim.cli.sweep_bar import bar
    from accelsim.explore import importance
    from accelsim.explore import sensitivity as indices
    from accelsim.explore.frame import export
    from accelsim.explore.sweep import Sweep

    described = Sweep.read(file)
    output = metric or next(iter(described.spec.objectives), None)
    if output is None:
        raise RequestError(f"sweep {described.name} has no objective: name what is to be explained with --metric")
    if method == "permutation":
        found = importance.importance(described.load(store), output, seed=seed)
        how = f"{found.attrs['rows']:,} rows; the surrogate's cross-validated R^2 is {found.attrs['r2']:.3f}"
    else:
        with bar(described) as report:
            if method == "sobol":
                found = indices.sobol(
                    described, output, count=count, seed=seed, workers=workers, cluster=cluster, store=store,
                    timeout_s=timeout_s, progress=report,
                )  # fmt: skip
                how = f"{found.attrs['points']:,} points drawn"
            else:
                described.run(workers=workers, cluster=cluster, store=store, timeout_s=timeout_s, progress=report)
                frame = described.load(store)
                found = indices.grid(frame, output)
                how = f"all {len(frame):,} points of the grid"
    written = []
    if out is not None:
        written.append(str(export(found, out)))
    if plot is not None:
        written.append(str(_drawn(found, output, plot)))
    if as_json:
        attrs = {key: value for key, value in found.attrs.items() if key in ("r2", "rows", "points", "spread")}
        print_json("sensitivity", {"name": described.name, "metric": output, "method": method, **attrs,
                                   "axes": found.to_dict("records"), "wrote": written})  # fmt: skip
        return
    typer.echo(f"  what {output} hangs on, by {method} ({how}):")
    first = found.columns[1]
    shown = found.sort_values(str(first), ascending=False)
    if "total" in shown:
        shown = shown.assign(with_others=(shown["total"] - shown["first_order"]).clip(lower=0.0))
    console().print(table(shown))
    for path in written:
        typer.echo(f"  wrote {path}")


def _drawn(found: pd.DataFrame, output: str, path: Path) -> Path:
    from accelsim.report.shares import draw

    draw(found, title=f"What {output} hangs on", path=path)
    return path
