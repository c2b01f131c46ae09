"""`list`, `show`, `check` and `schema`: the commands about descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from accelsim.cli.common import BAD_INPUT, JsonOption, SetOption, app, console, overrides, print_json, say, write_text
from accelsim.errors import AccelsimError, DescriptionError, RequestError

if TYPE_CHECKING:
    from accelsim.catalog import Kind

_TITLES: dict[str, str] = {
    "arch": "chips", "nodes": "process nodes", "calibrations": "constants of kernels", "dram": "DRAM",
    "models": "models", "formats": "formats",
    "sweeps": "sweeps",
}  # fmt: skip


@app.command("list")
def list_(
    kind: Annotated[
        Literal["arch", "nodes", "calibrations", "dram", "models", "formats", "sweeps"] | None,
        typer.Argument(help="What to list; everything by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the chips, process nodes, constants of kernels, DRAM, models, formats and sweeps that are described."""
    from accelsim import catalog
    from accelsim.cli import render

    broken: list[DescriptionError] = []
    found: dict[Kind, list[dict[str, Any]]] = {}
    for each in catalog.KINDS if kind is None else (kind,):
        found[each] = []
        for name in catalog.names(each):
            try:
                found[each].append(render.summary(each, name))
            except DescriptionError as error:
                broken.append(error)
    if as_json:
        print_json("list", {str(each): rows for each, rows in found.items()})
    else:
        for each, rows in found.items():
            console().print(render.table(each, rows, _TITLES[each]))
    for fault in broken:
        say(f"error: {fault}")
    if broken:
        raise typer.Exit(BAD_INPUT)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A chip, node, DRAM, model, format or sweep.")],
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Show a description: its prose, every figure with unit, source and status, and what follows from them."""
    from accelsim import catalog
    from accelsim.cli import render

    kind, path = catalog.find(name)
    changed = overrides(set_)
    prose = catalog.prose(path)
    if kind == "arch":
        chip = catalog.chip(path, changed)
        document, parts = render.chip(chip)
    elif kind == "models":
        document, parts = render.model(catalog.model(path, changed))
    elif changed and kind in ("sweeps", "nodes", "calibrations"):
        raise RequestError(f"--set changes chips, DRAM, models and formats, not {kind}")
    elif kind == "dram":
        document, parts = render.dram(catalog.dram(path, changed))
    elif kind == "calibrations":
        document, parts = render.calibration(catalog.calibration(path))
    elif kind == "nodes":
        document, parts = render.node(catalog.node(path))
    elif kind == "formats":
        document, parts = render.format_(catalog.format_(path, changed))
    else:
        document, parts = {"name": path.stem}, []
    if as_json:
        print_json("show", {"kind": kind, "path": str(path), "prose": prose, **document})
        return
    out = console()
    out.print(f"{document['name']} ({catalog.origin(path)})", style="bold")
    if prose:
        out.print(prose)
    for part in parts:
        out.print()
        out.print(part)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Description files, or config.json files.")],
) -> None:
    """Check description files; every fault is named with its line."""
    from accelsim import catalog
    from accelsim.cli import render

    failed = False
    for file in files:
        try:
            typer.echo(f"{file}: ok, {render.one_line(catalog.check(file))}")
        except DescriptionError as error:
            say(str(error))
            failed = True
        except AccelsimError as error:
            say(f"error: {error}")
            failed = True
    if failed:
        raise typer.Exit(BAD_INPUT)


@app.command()
def schema(
    kind: Annotated[
        Literal["chip", "dram", "format", "model", "node"], typer.Argument(help="What the files describe.")
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there.")] = None,
) -> None:
    """Print the JSON Schema of description files, with which editors complete keys and mark faults."""
    from accelsim.spec import schema as schemas

    make = {
        "chip": schemas.chip, "dram": schemas.dram, "format": schemas.format_, "model": schemas.model,
        "node": schemas.node,
    }[kind]  # fmt: skip
    text = json.dumps(make(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        write_text(out, text + "\n")
