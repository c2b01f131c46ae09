"""`compare`: what differs between two designs, two runs, or two sweeps, and by how much."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, app, console, overrides, print_json
from accelsim.cli.options import BatchOption, FidelityOption, PromptOption, TopOption, names
from accelsim.cli.sweep_options import FRAMES, FrameOption, number, table
from accelsim.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.explore.compare_frames import FrameComparison
    from accelsim.explore.compare_runs import RunComparison
    from accelsim.spec.chip import Chip

_SHOWN: Final = 20
_RUN: Final = "a run is what `accelsim run MODEL --on CHIP --export FILE.json` writes"


@app.command()
def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A chip, an exported run (.json), a sweep, its store, or its export.",
            autocompletion=names("arch"),
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another of the same kind.", autocompletion=names("arch"))],
    *,
    model: Annotated[str | None, typer.Option("--model", help="With chips: the model that both run.")] = None,
    batch: BatchOption = 1,
    prompt: PromptOption = 2048,
    generate: Annotated[int, typer.Option("--generate", help="Tokens generated per sequence.")] = 128,
    fidelity: FidelityOption = "event",
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="With chips: a key of both, as a sweep has it: weights=mxfp4."),
    ] = [],  # noqa: B006 - typer copies it
    set_a: Annotated[
        list[str], typer.Option("--set-a", metavar="KEY=VALUE", help="The same for A alone: memory.bandwidth=5TB/s.")
    ] = [],  # noqa: B006 - typer copies it
    set_b: Annotated[list[str], typer.Option("--set-b", metavar="KEY=VALUE", help="The same for B alone.")] = [],  # noqa: B006 - typer copies it
    top: TopOption = 8,
    out: FrameOption = None,
    as_json: JsonOption = False,
) -> None:
    """What differs between two designs, runs or sweeps: inputs, figures, and the operators that make the difference."""
    files.writable(("--export", out, FRAMES))
    kinds = _kind(a), _kind(b)
    if kinds[0] != kinds[1]:
        raise RequestError(f"{a} is a {kinds[0]} and {b} a {kinds[1]}: name two of the same kind")
    if kinds[0] != "chip" and (model or set_ or set_a or set_b):
        raise RequestError(f"--model and --set belong to chips; {a} and {b} are what they are")
    found: RunComparison | FrameComparison
    if kinds[0] == "sweep":
        from accelsim.explore.compare_frames import compare_frames

        found = compare_frames(_frame(a), _frame(b))
        _frames(found, a, b, top, as_json)
    else:
        from accelsim.explore.compare_runs import compare_runs

        if kinds[0] == "run":
            found = compare_runs(_document(a), _document(b))
        else:
            if model is None:
                raise RequestError("which model do both run? name it with --model")
            shared: dict[str, Any] = {"batch": batch, "prompt": prompt, "generate": generate, "fidelity": fidelity}
            shared |= overrides(set_)
            first, second = (_run(model, chip, {**shared, **overrides(own)}) for chip, own in ((a, set_a), (b, set_b)))
            found = compare_runs(first[0], second[0], (first[1], second[1]))
        _runs(found, a, b, top, as_json)
    if out is not None:
        from accelsim.explore.frame import export

        export(found.metrics, out)
        typer.echo(f"  wrote {out}", err=as_json)


def _kind(name: str) -> Literal["sweep", "run", "chip"]:
    from accelsim import catalog
    from accelsim.explore.sweep import FOLDER

    suffix = Path(name).suffix
    if suffix == ".json":
        return "run"
    if suffix in FRAMES or suffix == ".sqlite" or name in catalog.names("sweeps"):
        return "sweep"
    if suffix == ".toml" and "[axes" in Path(name).read_text(encoding="utf-8"):
        return "sweep"
    return "sweep" if (Path(FOLDER) / f"{name}.sqlite").exists() else "chip"


def _frame(name: str) -> pd.DataFrame:
    path = Path(name)
    if path.suffix not in FRAMES:
        from accelsim.explore.sweep import load

        return load(name)
    import pandas as pd

    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def _document(name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(
            f"{name} is no JSON ({error}): expected what `accelsim run --export {name}` writes"
        ) from None
    if not isinstance(found, dict):
        raise RequestError(f"{name} is no run: expected what `accelsim run --export {name}` writes")
    return found


def _run(model: str, chip: str, keys: Mapping[str, Any]) -> tuple[dict[str, Any], Chip]:
    """A run from keys as a sweep has them, and its chip."""
    from accelsim import catalog
    from accelsim.cli.progress import progress
    from accelsim.explore.targets import target
    from accelsim.simulation import simulate

    figures: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    request: dict[str, Any] = {}
    for key, value in keys.items():
        to = target(key)
        if to.kind == "chip":
            figures[to.path] = value
        elif to.kind == "model":
            changes[to.path] = number(value)
        elif to.kind == "request" and to.key not in ("chip", "model"):
            request[to.key] = number(value)
        else:
            raise RequestError(f"{key} = {value}: expected a keyword of a run, or a figure of the chip or the model")
    record = catalog.chip(chip, figures)
    with progress() as report:
        run = simulate(catalog.model(model, changes), record, progress=report, **request)
    if run.infeasible:
        typer.echo(f"{chip}: {run.infeasible}")
        raise typer.Exit(FAILED)
    return run.to_dict(), record


def _runs(found: RunComparison, a: str, b: str, top: int, as_json: bool) -> None:
    if as_json:
        tables = {name: getattr(found, name).to_dict("records") for name in ("inputs", "metrics", "operators")}
        print_json("compare", {"a": a, "b": b, "lines": found.lines(), **tables, "same": found.same})
        return
    typer.echo(f"{a} -> {b}")
    for line in found.lines():
        typer.echo(f"  {line}")
    if len(found.inputs):
        typer.echo(f"\n{len(found.inputs)} inputs differ:")
        console().print(table(found.inputs.head(_SHOWN)))
        _rest(len(found.inputs) - _SHOWN)
    if len(found.metrics):
        typer.echo(f"\n{len(found.metrics)} figures differ, {found.same} do not:")
        console().print(table(found.metrics))
    if len(found.operators) and top:
        typer.echo(f"\n{len(found.operators)} operators differ, by time:")
        console().print(table(found.operators.head(top)))
        _rest(len(found.operators) - top)


def _frames(found: FrameComparison, a: str, b: str, top: int, as_json: bool) -> None:
    if as_json:
        tables = {name: getattr(found, name).to_dict("records") for name in ("inputs", "metrics", "statuses")}
        counts = {"both": found.both, "only_a": found.only_a, "only_b": found.only_b, "equal": list(found.equal)}
        print_json("compare", {"a": a, "b": b, "lines": found.lines(), **counts, **tables})
        return
    typer.echo(f"{a} -> {b}")
    for line in found.lines():
        typer.echo(f"  {line}")
    if len(found.inputs):
        typer.echo("\ninputs that differ:")
        console().print(table(found.inputs.head(_SHOWN)))
        _rest(len(found.inputs) - _SHOWN)
    if len(found.statuses):
        typer.echo("\npoints with another status:")
        console().print(table(found.statuses.head(top)))
        _rest(len(found.statuses) - top)
    if len(found.metrics):
        typer.echo("\nmetrics that differ, as the second over the first:")
        console().print(table(found.metrics))


def _rest(count: int) -> None:
    if count > 0:
        typer.echo(f"  and {count} more (--json has all)")
