"""`validate`: published figures beside ours."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from accelsim.cli.common import JsonOption, app, console, print_json, say

if TYPE_CHECKING:
    from accelsim.validation import gpu, pim, published


Family = Literal["gpu", "pim", "ipu", "fpga", "tsp"]


@app.command()
def validate(
    *,
    family: Annotated[
        Family | None,
        typer.Option(help="Whose figures; all that need no tables if not given.", show_default=False),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(help="With gpu: the folder of measured tables (tests/validation/README.md).", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="With gpu: a folder for a picture of every class, or a .png, .svg or .pdf of 16-bit GEMMs.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute every case of a reference again, and print its figure, ours and the difference."""
    if family == "gpu":
        _gpu(tables, as_json, picture)
        return
    families = tuple(name for name in get_args(Family) if name != "gpu") if family is None else (family,)
    found = {name: import_module(f"accelsim.validation.{name}").rows() for name in families}
    if as_json:
        documents = [
            {"family": name, **(_cycles_document if name == "pim" else _document)(row)}
            for name, rows in found.items()
            for row in rows
        ]
        print_json("validate", {"family": family or "all", "rows": documents})
        return
    printed = [(_cycles_table if name == "pim" else _table)(rows) for name, rows in found.items()]
    titles = [f"{name}\n" if family is None else "" for name in families]
    console().print("\n\n".join(title + table for title, table in zip(titles, printed, strict=True)))


def _gpu(folder: Path | None, as_json: bool, picture: Path | None) -> None:
    from dataclasses import asdict, replace

    from accelsim.errors import RequestError
    from accelsim.validation import gpu

    if folder is None:
        raise RequestError("validate --family gpu needs --tables FOLDER: the measured tables are not part of accelsim")
    found = gpu.rows(folder)
    if picture is not None:
        from accelsim.report import errors

        for made in errors.draw(found, picture):
            say(f"wrote {made}")
    if as_json:
        rows = [
            {**asdict(replace(row, points=None)), "met": row.met, "missed": row.missed, "beats": row.beats}
            for row in found
        ]
        print_json("validate", {"family": "gpu", "rows": rows})
        return
    console().print(_gpu_table(found))


def _gpu_table(found: tuple[gpu.Row, ...]) -> str:
    """Errors in per cent: mean, median, 90th percentile and the summed time over the measured one."""

    def cells(score: gpu.Score) -> str:
        return f"{score.mean:5.1f} {score.median:5.1f} {score.p90:5.1f} {score.total:6.3f}"

    heading = f"{'mean':>5} {'med':>5} {'p90':>5} {'sum':>6}"
    lines = [
        f"{'':<58}{'ours':<25}{'<20 %':>7}  {'roofline + 2 fitted':<25}{'roofline':<25}asked",
        f"{'on':<14} {'what':<36} {'rows':>4}  {heading} {'':>7}  {heading}  {heading}",
    ]
    for row in found:
        asked = "" if row.asked is None else f"{row.asked[0]:g}|{row.asked[1]:g}"
        asked += "" if row.sum_asked is None else f", sum {row.sum_asked:g} %"
        asked += "" if row.within_asked is None else f", {row.within_asked:g} % < 20 %"
        asked += f" no: {', '.join(row.missed)}" if row.missed else ""
        better = "" if row.beats else "  (the fitted roofline is nearer)"
        lines.append(
            f"{row.on:<14} {row.what:<36} {row.rows:>4}  {cells(row.ours)} {row.ours.within:>7.0f}  "
            f"{cells(row.fitted)}  {cells(row.roofline)}  {asked}{better}"
        )
    return "\n".join(lines)


def _cycles_document(row: pim.Row) -> dict[str, object]:
    return {
        "peer": row.peer, "on": row.on, "what": row.what, "cycles": row.cycles, "ours": row.ours,
        "difference": row.difference,
    }  # fmt: skip


def _cycles_table(found: tuple[pim.Row, ...]) -> str:
    from accelsim.validation.pim import NOT_MODELLED

    lines = [f"{'peer':<14} {'on':<18} {'what':<46} {'cycles':>8} {'ours':>8}  difference"]
    for row in found:
        ours = "-" if row.ours is None else f"{row.ours:,}"
        rest = (
            NOT_MODELLED if row.difference is None else f"{100 * row.difference:+.2f} %" if row.difference else "equal"
        )
        lines.append(f"{row.peer:<14} {row.on:<18} {row.what:<46} {row.cycles:>8,} {ours:>8}  {rest}")
    return "\n".join(lines)


def _document(row: published.Row) -> dict[str, object]:
    from dataclasses import asdict

    case = row.case
    return {**asdict(case), "request": dict(case.request), "ours": row.ours, "error": row.error, "met": row.met}


def _table(found: tuple[published.Row, ...]) -> str:
    from accelsim.results.columns import unit
    from accelsim.units import show

    lines = [f"{'on':<16} {'figure':<24} {'published':>10} {'ours':>10} {'error':>8}  {'role':<8} {'asked':<8} what"]
    for row in found:
        case = row.case
        asked = "-" if case.within is None else f"{100 * case.within:.3g} %" + ("" if row.met else " no")
        figure = case.figure if case.divide == 1 else f"{case.figure} / {case.divide}"
        symbol = unit(case.figure)
        lines.append(
            f"{case.on:<16} {figure:<24} {show(case.published, symbol, 4):>10} {show(row.ours, symbol, 4):>10} "
            f"{round(100 * row.error, 1) + 0.0:>+6.1f} %  "
            f"{case.role:<8} {asked:<8} {case.what}"
        )
    return "\n".join(lines)
