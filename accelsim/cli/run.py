"""`run` and `demo`: a whole model on a chip."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, SetOption, app, overrides, print_json, say
from accelsim.cli.options import (
    ActivationsOption,
    BatchOption,
    ChipsOption,
    ClockOption,
    ExportOption,
    FidelityOption,
    FoldOption,
    GenerateOption,
    HostOption,
    KvCacheOption,
    LaunchOption,
    LibraryOption,
    LogitsOption,
    ModelArgument,
    OnOption,
    PlotKindOption,
    PlotOption,
    PromptOption,
    ResidencyOption,
    RoutingOption,
    ScalesOption,
    SeedOption,
    StreamsOption,
    TopOption,
    UnfusedOption,
    WeightsOption,
)
from accelsim.errors import RequestError

if TYPE_CHECKING:
    from accelsim.results import Run
    from accelsim.spec.chip import Chip

DEMO = {"model": "llama-2-7b", "on": "h100-sxm", "prompt": 2048, "generate": 128}


@app.command()
def run(
    model: ModelArgument,
    *,
    on: OnOption,
    host: HostOption = None,
    batch: BatchOption = 1,
    prompt: PromptOption = 2048,
    generate: GenerateOption = None,
    weights: WeightsOption = None,
    activations: ActivationsOption = None,
    kv_cache: KvCacheOption = None,
    fidelity: FidelityOption = "event",
    convention: Annotated[
        str, typer.Option("--convention", metavar="corrected|llm-viewer", help="How operations and bytes are counted.")
    ] = "corrected",
    logits: LogitsOption = "last",
    routing: RoutingOption = "uniform",
    unfused: UnfusedOption = False,
    streams: StreamsOption = "one",
    flash: Annotated[
        bool, typer.Option("--flash", help="With --convention llm-viewer, that tool's FlashAttention.")
    ] = False,
    no_fold: FoldOption = False,
    seed: SeedOption = 0,
    chips: ChipsOption = "1",
    library: LibraryOption = None,
    residency: ResidencyOption = None,
    clock: ClockOption = None,
    launch: LaunchOption = "graph",
    scales: ScalesOption = "dynamic",
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
    plot: PlotOption = None,
    plot_kind: PlotKindOption = "roofline",
    export: ExportOption = None,
    top: TopOption = 5,
) -> None:
    """Run a model on a chip: times, traffic, energy, memory, and the operators that cost most."""
    files.check(plot, plot_kind, export)
    found, chip, seconds = simulated(
        model,
        on,
        set_,
        host=host,
        batch=batch,
        prompt=prompt,
        generate=generate,
        weights=weights,
        activations=activations,
        kv_cache=kv_cache,
        fidelity=fidelity,
        convention=convention,
        logits=logits,
        routing=routing,
        fuse=not unfused,
        streams=streams,
        flash=flash or None,
        fold=not no_fold,
        seed=seed,
        chips=number_of(chips),
        library=library,
        residency=residency,
        clock=clock,
        launch=launch,
        scales=scales,
    )
    from accelsim.cli import report

    show(found, "run", as_json, report.lines(found, chip, seconds, top))
    finish(found, as_json, plot, plot_kind, export)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the picture goes.")] = Path("roofline.png"),
) -> None:
    """Llama-2-7B on an H100: what a run tells, and the roofline picture."""
    files.check(out, "roofline", None)
    request: dict[str, Any] = dict(DEMO)
    found, chip, seconds = simulated(request.pop("model"), request.pop("on"), [], **request)
    from accelsim.cli import report

    show(found, "run", False, report.lines(found, chip, seconds, 5))
    finish(found, False, out, "roofline", None)


def simulated(model: str, on: str, set_: list[str], **request: Any) -> tuple[Run, Chip, float]:
    """The run, its chip, and the seconds it took to compute."""
    from accelsim import catalog
    from accelsim.cli.progress import progress
    from accelsim.simulation import hosted, simulate

    chip = hosted(catalog.chip(on, overrides(set_)), request.pop("host", None))
    since = time.perf_counter()
    with progress() as report:
        found = simulate(model, chip, progress=report, **request)
    return found, chip, time.perf_counter() - since


def number_of(chips: str) -> int | str:
    """The option `--chips`: a whole number of at least one, or "auto".

    Raises:
        RequestError: anything else.
    """
    if chips == "auto":
        return chips
    if not chips.isdecimal() or int(chips) < 1:
        raise RequestError(f"--chips {chips}: expected a whole number of at least 1, or auto")
    return int(chips)


def show(found: Run, command: str, as_json: bool, lines: Any) -> None:
    """The answer on stdout, warnings on stderr."""
    from accelsim.cli import report

    report.warn(found)
    if as_json:
        document = found.to_dict()
        print_json(command, document, version=document.pop("schema"))
    elif found.infeasible:
        typer.echo(str(found.infeasible))
    else:
        typer.echo("\n".join(lines))


def finish(
    found: Run,
    as_json: bool,
    plot: Path | None,
    kind: str,
    export: Path | None,
    cycles: tuple[float, float] | None = None,
) -> None:
    """Files that were asked for, and the exit code of a run that could not take place."""
    written = list(found.write(export)) if export else []
    if plot and found.ok:
        written.append(files.draw(found, kind, plot, cycles))
    for path in written:
        typer.echo(f"  wrote {path}", err=as_json)
    if plot and not found.ok:
        say(f"warning: no {kind} to draw, nothing was run")
    if not found.ok:
        raise typer.Exit(FAILED)
