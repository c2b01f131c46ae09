"""`area`: how large the die of a chip is, part by part, and what the chip costs to make."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli.common import JsonOption, SetOption, app, overrides, print_json


@app.command()
def area(
    chip: Annotated[
        str, typer.Argument(help="Name or path of a chip whose description has a [die], or of a system of them.")
    ],
    *,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Die area by part, dies per wafer, yield, and the cost of die, interposer, assembly and memory."""
    from accelsim import catalog
    from accelsim.cost.money import cost, system_usd

    record = catalog.chip(chip, overrides(set_))
    found = cost(record)
    parts = {name: value * 1e6 for name, value in found.area.parts_m2.items()}
    total = found.area.total_m2 * 1e6
    if as_json:
        print_json(
            "area",
            {
                "chip": record.name, "process": found.area.process.name, "area_mm2": total,
                "parts_mm2": parts, "dies_per_wafer": found.dies_per_wafer, "yield": found.die_yield,
                "cost_usd": found.total_usd, "parts_usd": dict(found.parts_usd),
                "system_usd": system_usd(record),
            },
        )  # fmt: skip
        return
    lines = [f"{record.name} on {found.area.process.name}: {total:.0f} mm2, {found.total_usd:,.0f} $", ""]
    lines += [f"  {name:<18} {value:>7.1f} mm2 {100 * value / total:>5.1f} %" for name, value in parts.items()]
    lines += ["", f"  {found.dies_per_wafer:.1f} dies on a wafer, {100 * found.die_yield:.0f} % without a defect", ""]
    lines += [f"  {name:<18} {value:>7,.0f} $" for name, value in found.parts_usd.items()]
    if (total_usd := system_usd(record)) != found.total_usd:
        lines.append(f"  {'all chips':<18} {total_usd:>7,.0f} $")
    lines.append("\n  Areas are fitted to two dies, prices are of lists: see docs/area.md.")
    typer.echo("\n".join(lines))
