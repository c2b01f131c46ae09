"""`graph`: the operators of a model, without a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli.common import JsonOption, app, print_json
from accelsim.cli.figures import columns, show
from accelsim.cli.options import (
    ActivationsOption,
    BatchOption,
    KvCacheOption,
    LogitsOption,
    ModelArgument,
    PromptOption,
    RoutingOption,
    SeedOption,
    WeightsOption,
)


@app.command()
def graph(
    model: ModelArgument,
    *,
    phase: Annotated[
        str, typer.Option("--phase", metavar="prefill|decode", help="The prompt, or one step.")
    ] = "decode",
    batch: BatchOption = 1,
    prompt: PromptOption = 2048,
    step: Annotated[int, typer.Option("--step", help="Decode step, from 1.")] = 1,
    weights: WeightsOption = None,
    activations: ActivationsOption = None,
    kv_cache: KvCacheOption = None,
    logits: LogitsOption = "last",
    routing: RoutingOption = "uniform",
    seed: SeedOption = 0,
    fused: Annotated[
        bool,
        typer.Option("--fused/--unfused", help="Merged projections, attention and element-wise chains, as runs use."),
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write it: .json or .graphml.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the operators of a model: dimensions, arithmetic and bytes by role."""
    from dataclasses import asdict

    from accelsim.graph.by_name import graph_of, totals
    from accelsim.graph.export import rows, write

    found = graph_of(
        model,
        phase=phase,
        batch=batch,
        prompt=prompt,
        step=step,
        weights=weights,
        activations=activations,
        kv_cache=kv_cache,
        logits=logits,
        routes=routing,
        seed=seed,
        fused=fused,
    )
    total = totals(found)
    if export:
        write(found, export)
    if as_json:
        request = {"batch": batch, "prompt": prompt, "step": step if phase == "decode" else 0, "fused": fused}
        sums = {**asdict(total), "bytes": total.bytes, "intensity_flops_per_byte": total.intensity_flops_per_byte}
        print_json(
            "graph",
            {"model": found.model, "phase": phase, "request": request, "operators": rows(found), "total": sums},
        )
    else:
        where = f"decode step {step}, {prompt} in" if phase == "decode" else f"prefill of {prompt}"
        typer.echo(f"{found.model} · {where} · batch {batch} · {'fused' if fused else 'unfused'}")
        typer.echo(
            "\n".join(_table(rows(found), asdict(total) | {"bytes": total.bytes}, total.intensity_flops_per_byte))
        )
    if export:
        typer.echo(f"  wrote {export}", err=as_json)


def _table(rows: list[dict[str, Any]], total: dict[str, Any], intensity: float) -> list[str]:
    """Blocks with their repeats, the operators of one repetition, and the sum over all repetitions."""
    bytes_ = ("weight_bytes", "activation_bytes", "kv_bytes", "bytes")
    table: list[tuple[str, ...]] = [
        ("", "kind", "dimensions", "FLOP", "weights", "activations", "KV", "all bytes", "FLOP/B")
    ]
    titles: dict[int, str] = {}
    block = None
    for row in rows:
        if row["block"] != block:
            block = row["block"]
            titles[len(table)] = f"{block}" + (f"  x{row['count']}" if row["count"] > 1 else "")
        dims = " ".join(f"{name}={value:.10g}" for name, value in row["dims"].items())
        table.append(
            (
                f"  {row['name']}",
                row["kind"],
                dims,
                show(row["flops"], "FLOP"),
                *(show(row[key], "B") for key in bytes_),
                f"{row['intensity_flops_per_byte']:.3g}",
            )
        )
    sums = (show(total["flops"], "FLOP", 6), *(show(total[key], "B") for key in bytes_), f"{intensity:.3g}")
    table.append(("total, repetitions included", f"{total['operators']} operators", "", *sums))
    text = columns(table, right=range(3, 9))
    result = []
    for index, row_text in enumerate(text):
        if index in titles:
            result += ["", f"  {titles[index]}"]
        result += ["", row_text] if index == len(text) - 1 else [row_text]
    return result
