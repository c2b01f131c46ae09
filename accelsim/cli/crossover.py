"""`crossover`: where along an axis another design becomes the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli import files
from accelsim.cli.common import JsonOption, app, console, overrides, print_json
from accelsim.cli.options import names
from accelsim.cli.sweep_options import (
    FRAMES,
    ClusterOption,
    FrameOption,
    RetryOption,
    StoreOption,
    TimeoutOption,
    WorkersOption,
    number,
    short,
    span,
    table,
)
from accelsim.errors import RequestError

if TYPE_CHECKING:
    from accelsim.explore.answers import Crossovers, Side
    from accelsim.explore.sweep import Sweep

_COARSE = 9
_WIDE = 8.0


@app.command()
def crossover(
    designs: Annotated[
        list[str],
        typer.Argument(
            metavar="SWEEP|CHIP CHIP...", help="A sweep, or chips to compare.", autocompletion=names("arch")
        ),
    ],
    *,
    along: Annotated[
        str | None,
        typer.Option("--along", metavar="AXIS[=FIRST:LAST]", help="Axis to search; with chips, with its range."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What is compared; the sweep's first objective by default.")
    ] = None,
    between: Annotated[
        str | None, typer.Option("--between", metavar="AXIS", help="Axis of the designs; the chips by default.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="With chips: the model.")] = None,
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="With chips: a key that all share, such as prompt=2048."),
    ] = [],  # noqa: B006 - typer copies it
    tolerance: Annotated[float, typer.Option("--tolerance", help="Width of a bracket, as a share.")] = 0.01,
    step: Annotated[int, typer.Option("--step", help="Least step of whole numbers.")] = 1,
    margin: Annotated[float, typer.Option("--margin", help="Who is better by no more than this share ties.")] = 0.0,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    store: StoreOption = None,
    retry_failed: RetryOption = False,
    timeout: TimeoutOption = None,
    out: FrameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where another design becomes the best one, such as the batch from which PIM no longer wins."""
    timeout_s = span("--timeout-per-point", timeout)
    files.writable(("--export", out, FRAMES))
    from accelsim.cli.sweep_bar import bar
    from accelsim.explore.crossover import crossover as bracketed
    from accelsim.explore.frame import export
    from accelsim.explore.sweep import Sweep

    if len(designs) == 1:
        for option, given in (("--model", model), ("--set", set_), ("--along with a range", "=" in (along or ""))):
            if given:
                raise RequestError(f"{option} belongs to chips; a sweep ({designs[0]}) names its own: change its file")
        described = Sweep.read(designs[0])
    else:
        described, along = _of_chips(designs, model, along, set_)
        metric = metric or "time_per_output_token_s"
    with bar(described) as report:
        found = bracketed(
            described, metric=metric, between=between, along=along, tolerance=tolerance, step=step, margin=margin,
            workers=workers, cluster=cluster, store=store, retry_failed=retry_failed, timeout_s=timeout_s,
            progress=report,
        )  # fmt: skip
    if out is not None:
        export(found.frame(), out)
    if as_json:
        print_json("crossover", {"name": described.name, **_document(found)})
        return
    if described.spec.question:
        typer.echo(described.spec.question.text)
    typer.echo(f"  {found.metric} along {found.along}: {' against '.join(found.contenders)} ({found.points:,} points)")
    for answer in found.answers:
        where = ", ".join(f"{name} = {short(value)}" for name, value in answer.case.items())
        typer.echo(f"  {where}: {answer.text()}" if where else f"  {answer.text()}")
    console().print(table(found.frame()))
    if out is not None:
        typer.echo(f"  wrote {out}")


def _of_chips(chips: list[str], model: str | None, along: str | None, set_: list[str]) -> tuple[Sweep, str]:
    """A sweep over chips and a coarse grid of one axis.

    Raises:
        RequestError: no model, no range, or ends that are no numbers.
    """
    from accelsim.explore.sweep import Sweep
    from accelsim.explore.targets import si

    if model is None:
        raise RequestError("which model? name it with --model, or give a sweep in place of chips")
    key, _, ends = (along or "").partition("=")
    first, colon, last = ends.partition(":")
    if not colon:
        raise RequestError(f"--along {along or ''}: expected AXIS=FIRST:LAST, such as batch=1:256")
    given = [number(text) for text in (first, last)]
    low, high = (si(value) for value in given)
    if any(isinstance(value, str) for value in (low, high)) or not low < high:
        raise RequestError(f"--along {along}: expected two rising numbers or quantities, such as batch=1:256")
    whole = isinstance(low, int) and isinstance(high, int)
    count = min(_COARSE, high - low + 1) if whole else _COARSE
    kind = "log_range" if low > 0 and high / low > _WIDE else "range"
    axis: dict[str, Any] = {kind: given, "count": count, "integer": whole}
    fixed = {"model": model, "generate": 2, **{name: number(value) for name, value in overrides(set_).items()}}
    return Sweep({"chip": list(chips), key.strip(): axis}, name="crossover", fixed=fixed), key.strip()


def _document(found: Crossovers) -> dict[str, Any]:
    def side(one: Side) -> Mapping[str, Any]:
        return {"at": one.at, "best": one.best, "values": dict(one.values), "reasons": dict(one.reasons)}

    answers = [
        {
            "case": dict(answer.case), "text": answer.text(),
            "brackets": [{"kind": b.kind, "below": side(b.below), "above": side(b.above)} for b in answer.brackets],
            "first": side(answer.sides[0]), "last": side(answer.sides[-1]),
        }
        for answer in found.answers
    ]  # fmt: skip
    return {"metric": found.metric, "along": found.along, "contenders": list(found.contenders),
            "points": found.points, "answers": answers}  # fmt: skip
