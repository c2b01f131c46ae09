"""`format`: what a number format is, what it costs and how well it holds data; its picture and its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.common import JsonOption, SetOption, app, overrides, print_json
from accelsim.cli.files import PICTURES
from accelsim.cli.options import names
from accelsim.errors import RequestError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from accelsim.numerics.policy import Policy
    from accelsim.spec.format import Format

VECTORS = (".csv", ".json")

_VECTORS_HELP = """Write conformance vectors and a decode table for RTL work: one .json, or two .csv
(NAME-encode.csv, NAME-decode.csv). encode, plain formats: input (fp32 bits, hex), policy, code (hex). encode, formats
with scales: vector, tests, inputs, policy, codes, scales, tensor_scale, indices, packed, values. decode: role, format,
bits, code, value (hexadecimal float), fraction (exact, n/d). See docs/format-command.md."""


@app.command("format")
def format_(
    name: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A format by name or path.", autocompletion=names("formats"))
    ],
    *,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="A preset (ml_dtypes, torch, ...) or rules, such as rounding=toward-zero,overflow=saturate.",
        ),
    ] = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="A,B,...", help="Formats to compare with; the five nearest by bits by default."
        ),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option("--vectors", metavar="FILE", help=" ".join(_VECTORS_HELP.split()))
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw grid and error curve: .png, .pdf or .svg."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a number format: bits, range, grid, policy, cost, and its SQNR beside its neighbours."""
    _refuse("--vectors", vectors, VECTORS)
    _refuse("--picture", picture, PICTURES)
    from accelsim import catalog
    from accelsim.cli import format_lines, format_vectors
    from accelsim.numerics import quality
    from accelsim.numerics.format import DataFormat

    record = catalog.format_(name, overrides(set_))
    made = DataFormat(record, policy_of(policy))
    rows = quality.compare(record, _others(record, against), made.policy)
    written = []
    if vectors is not None:
        written += format_vectors.write(made, vectors)
    if picture is not None:
        from accelsim.report import format_picture

        written.append(format_picture.write(made, picture))
    facts = format_lines.facts(record, *_found(name))
    if as_json:
        document = format_lines.document(facts, made, rows)
        print_json("format", {**document, "written": [str(path) for path in written]})
    else:
        typer.echo("\n".join(format_lines.lines(facts, made, rows)))
    for path in written:
        typer.echo(f"  wrote {path}", err=as_json)


def policy_of(text: str | None) -> Policy | str | None:
    """A preset by name, or rules as KEY=VALUE,KEY=VALUE.

    Raises:
        UnknownNameError: no such rule.
        RequestError: a rule without a value, or with one that it does not have.
    """
    if text is None or "=" not in text:
        return text
    from dataclasses import fields

    from accelsim.numerics.policy import Policy

    known = [field.name for field in fields(Policy)]
    rules: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in known:
            raise UnknownNameError("rule of a policy", key, known, "--policy", f"all: {', '.join(known)}")
        if not equals or not value:
            raise RequestError(f"--policy {part.strip()}: expected KEY=VALUE, such as rounding=toward-zero")
        rules[key] = value
    return Policy(**rules)  # type: ignore[arg-type]  # it checks the words itself


def _refuse(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuses before any work what could not be written after it."""
    if path is None:
        return
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        near = did_you_mean(suffix, suffixes) if suffix else ""
        raise RequestError(f"{option} {path}: allowed are names that end in {', '.join(suffixes)}{near}")
    if not path.parent.is_dir():
        raise RequestError(f"{option} {path}: there is no folder {path.parent}")


def _others(record: Format, against: str | None) -> tuple[Format, ...]:
    """The formats to compare with: those that were named, or the nearest of the catalogue."""
    from accelsim import catalog
    from accelsim.numerics import quality

    if against is not None:
        given = [part.strip() for part in against.split(",")]
        if not all(given):
            raise RequestError(f"--against {against}: expected names with commas between them, such as mxfp4,nvfp4")
        return tuple(catalog.format_(part) for part in given)
    return quality.neighbours(record, [catalog.format_(each) for each in catalog.names("formats")])


def _found(name: str) -> tuple[str, str]:
    """Where the description of a format lies and how it opens; for a name that states its parameters, neither."""
    from accelsim import catalog

    try:
        file = catalog.path("formats", name)
    except UnknownNameError:
        return "", ""
    return catalog.origin(file), catalog.prose(file)
