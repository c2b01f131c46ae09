"""`validate`: published figures beside ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from accelsim.cli.common import JsonOption, app, console, print_json

if TYPE_CHECKING:
    from accelsim.validation import area, pim, published


Family = Literal["pim", "ipu", "fpga", "tsp", "area"]


@app.command()
def validate(
    *,
    family: Annotated[
        Family | None,
        typer.Option(help="Whose figures, all if not given; those of GPUs: docs/validation.md.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute every case of a reference again, and print its figure, ours and the difference."""
    families = get_args(Family) if family is None else (family,)
    found = {name: import_module(f"accelsim.validation.{name}").rows() for name in families}
    if as_json:
        documents = [
            {"family": name, **_SHAPES.get(name, (_document, _table))[0](row)}
            for name, rows in found.items()
            for row in rows
        ]
        print_json("validate", {"family": family or "all", "rows": documents})
        return
    tables = [_SHAPES.get(name, (_document, _table))[1](rows) for name, rows in found.items()]
    titles = [f"{name}\n" if family is None else "" for name in families]
    console().print("\n\n".join(title + table for title, table in zip(titles, tables, strict=True)))


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


def _area_document(row: area.Row) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(row), "error": row.error, "met": row.met}


def _area_table(found: tuple[area.Row, ...]) -> str:
    lines = [f"{'die':<10} {'part':<18} {'published':>10} {'ours':>10} {'error':>8}  {'role':<8} asked"]
    for row in found:
        published = "-" if row.published_mm2 is None else f"{row.published_mm2:.1f} mm2"
        error = "-" if row.error is None else f"{100 * row.error:+.1f} %"
        asked = "-" if row.within is None else f"{100 * row.within:.3g} %" + ("" if row.met else " no")
        lines.append(
            f"{row.die:<10} {row.part:<18} {published:>10} {row.ours_mm2:>6.1f} mm2 {error:>8}  {row.role:<8} {asked}"
        )
    return "\n".join(lines)


_SHAPES: dict[str, tuple[Any, Any]] = {
    "pim": (_cycles_document, _cycles_table),
    "area": (_area_document, _area_table),
}
"""Family -> document and table of its rows; those of whole runs for all others."""
