"""`validate`: published figures beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from accelsim.cli.common import JsonOption, app, console, print_json

if TYPE_CHECKING:
    from accelsim.validation.pim import Row


@app.command()
def validate(
    *,
    family: Annotated[Literal["pim"], typer.Option(help="Which figures; those of GPUs are in docs/validation.md.")],
    as_json: JsonOption = False,
) -> None:
    """Compute every case of a reference again, and print its figure, ours and the difference."""
    from accelsim.validation import pim

    found = pim.rows()
    if as_json:
        print_json("validate", {"family": family, "rows": [_document(row) for row in found]})
        return
    console().print(_table(found))


def _document(row: Row) -> dict[str, object]:
    return {
        "peer": row.peer, "on": row.on, "what": row.what, "cycles": row.cycles, "ours": row.ours,
        "difference": row.difference,
    }  # fmt: skip


def _table(found: tuple[Row, ...]) -> str:
    from accelsim.validation.pim import NOT_MODELLED

    lines = [f"{'peer':<14} {'on':<18} {'what':<46} {'cycles':>8} {'ours':>8}  difference"]
    for row in found:
        ours = "-" if row.ours is None else f"{row.ours:,}"
        rest = (
            NOT_MODELLED if row.difference is None else f"{100 * row.difference:+.2f} %" if row.difference else "equal"
        )
        lines.append(f"{row.peer:<14} {row.on:<18} {row.what:<46} {row.cycles:>8,} {ours:>8}  {rest}")
    return "\n".join(lines)
