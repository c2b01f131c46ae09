"""`operator`: one operator on a chip."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from accelsim.cli import files
from accelsim.cli.common import JsonOption, SetOption, app, overrides
from accelsim.cli.options import (
    ChipsOption,
    ClockOption,
    ExportOption,
    FidelityOption,
    FoldOption,
    LaunchOption,
    LibraryOption,
    OnOption,
    PlotKindOption,
    PlotOption,
    ResidencyOption,
    ScopeOption,
    WeightsOption,
)
from accelsim.cli.run import finish, number_of, show


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Commands in the public format of the memory.")],
    *,
    on: OnOption,
    scope: ScopeOption = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
    export: ExportOption = None,
) -> None:
    """Run a file of commands on a memory that computes."""
    files.check(None, "roofline", export)
    from accelsim import catalog
    from accelsim.cli import report
    from accelsim.simulation import simulate_trace

    system = catalog.chip(on, overrides(set_))
    since = time.perf_counter()
    found = simulate_trace(file, on=system, scope=scope)
    show(found, "trace", as_json, report.operator_lines(found, system, {}, time.perf_counter() - since))
    finish(found, as_json, None, "roofline", export)


def _size(help_: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=help_, show_default=False, rich_help_panel="Dimensions")
    return option


@app.command()
def operator(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="matmul, experts, attention, softmax, layernorm, rmsnorm, gelu, silu, relu, add, mul, quantize, "
            "all_reduce, all_gather, reduce_scatter, all_to_all or send.",
        ),
    ],
    *,
    on: OnOption,
    m: Annotated[int | None, _size("matmul: rows of the result.")] = None,
    n: Annotated[int | None, _size("matmul: columns of the result.")] = None,
    k: Annotated[int | None, _size("matmul: depth.")] = None,
    tokens: Annotated[int | None, _size("experts: tokens.")] = None,
    experts: Annotated[int | None, _size("experts: matrices [k, n].")] = None,
    active: Annotated[int | None, _size("experts: picks of each token.")] = None,
    routing: Annotated[
        str | None,
        typer.Option(
            help="experts: their popularity: uniform, zipf:EXPONENT or a JSON file.",
            show_default=False,
            rich_help_panel="Dimensions",
        ),
    ] = None,
    batch: Annotated[int | None, _size("matmul, attention: independent products or sequences.")] = None,
    query: Annotated[int | None, _size("attention: query positions.")] = None,
    kv: Annotated[int | None, _size("attention: key and value positions.")] = None,
    heads: Annotated[int | None, _size("attention: query heads.")] = None,
    kv_heads: Annotated[int | None, _size("attention: key and value heads; as many as heads by default.")] = None,
    head_dim: Annotated[int | None, _size("attention: width of a head.")] = None,
    causal: Annotated[bool, _size("attention: queries are the last positions and see no later key.")] = False,
    window: Annotated[int | None, _size("attention: latest keys that a query sees.")] = None,
    rows: Annotated[int | None, _size("softmax, norms, element-wise: rows.")] = None,
    columns: Annotated[int | None, _size("softmax, norms, element-wise: elements of a row.")] = None,
    elements: Annotated[int | None, _size("element-wise: elements, instead of rows and columns.")] = None,
    bytes_: Annotated[
        int | None,
        typer.Option(
            "--bytes",
            help="Collectives: bytes of the whole tensor; send: of the message.",
            show_default=False,
            rich_help_panel="Dimensions",
        ),
    ] = None,
    devices: Annotated[int | None, _size("Collectives: devices.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="Of all operands; native to the chip by default.")
    ] = None,
    weights: WeightsOption = None,
    fidelity: FidelityOption = "event",
    no_fold: FoldOption = False,
    chips: ChipsOption = "1",
    library: LibraryOption = None,
    residency: ResidencyOption = None,
    clock: ClockOption = None,
    launch: LaunchOption = "graph",
    scope: ScopeOption = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Way to compute it, where a memory that computes has several.")
    ] = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
    plot: PlotOption = None,
    plot_kind: PlotKindOption = "roofline",
    plot_cycles: Annotated[
        str | None,
        typer.Option("--plot-cycles", metavar="FROM:TO", help="Part of --plot-kind commands, all by default."),
    ] = None,
    export: ExportOption = None,
) -> None:
    """Run one operator on a chip: time, traffic, energy and what bound it."""
    files.check(plot, plot_kind, export)
    drawn = files.cycles_of(plot_cycles, plot_kind)
    given: dict[str, Any] = {
        "m": m,
        "n": n,
        "k": k,
        "tokens": tokens,
        "experts": experts,
        "active": active,
        "routing": routing,
        "batch": batch,
        "query": query,
        "kv": kv,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "causal": causal or None,
        "window": window,
        "rows": rows,
        "columns": columns,
        "elements": elements,
        "bytes": bytes_,
        "devices": devices,
    }
    dims = {name: value for name, value in given.items() if value is not None}
    from accelsim import catalog
    from accelsim.cli import report
    from accelsim.simulation import simulate_operator

    chip = catalog.chip(on, overrides(set_))
    since = time.perf_counter()
    found = simulate_operator(
        kind,
        on=chip,
        format=format_,
        weights=weights,
        fidelity=fidelity,
        fold=not no_fold,
        chips=number_of(chips),
        library=library,
        residency=residency,
        clock=clock or "burst",
        launch=launch,
        scope=scope,
        variant=variant,
        **dims,
    )
    show(found, "operator", as_json, report.operator_lines(found, chip, dims, time.perf_counter() - since))
    finish(found, as_json, plot, plot_kind, export, drawn)
