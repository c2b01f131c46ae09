"""`accuracy`: what number formats do to a model beside what they cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import files
from accelsim.cli.common import FAILED, JsonOption, app, print_json, say
from accelsim.cli.figures import columns, show
from accelsim.cli.options import ModelArgument, SeedOption, names
from accelsim.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    from accelsim.accuracy.report import Accuracy
    from accelsim.execution.plan import NumericsPlan

PICTURES = ("pareto", "layers")


@app.command()
def accuracy(
    model: ModelArgument,
    *,
    formats: Annotated[
        str, typer.Option("--formats", metavar="W[/A[/KV]],...", help="Formats; what is left out is bf16.")
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="CHIP",
            help="Chip that computes and is priced; may be repeated.",
            autocompletion=names("arch"),
        ),
    ] = None,
    numerics: Annotated[
        str | None, typer.Option(help="Arithmetic without a chip: fp64, fp32, exact, or an accumulator.")
    ] = None,
    price_as: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Model that is priced.", autocompletion=names("models"))
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="Safetensors: a file or a folder.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="FILE", help="Text, or tokens as .npy.")] = None,
    limit: Annotated[int, typer.Option(help="Tokens at most.")] = 4096,
    window: Annotated[int | None, typer.Option(help="Tokens of a window.", show_default=False)] = None,
    seed: SeedOption = 0,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help="Embedding, norms, router and lm_head in the format of the weights.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print the plan of the first formats, and stop.")] = False,
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="NAME[,NAME]", help="rtn, clip, smooth, gptq, awq, rotate, kivi, ant, olive, split."
        ),
    ] = "rtn",
    scales: Annotated[
        str, typer.Option(metavar="dynamic|static", help="Of activations: found at run time, or by calibration text.")
    ] = "dynamic",
    search: Annotated[
        float | None,
        typer.Option(metavar="NATS", help="Assign formats to operators within this divergence.", show_default=False),
    ] = None,
    exact_difference: Annotated[
        bool, typer.Option("--exact-difference", help="Exact sums over the whole text, too: nll - exact.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Finished formats are kept here and not run again.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a picture.")] = None,
    plot_kind: Annotated[str, typer.Option(metavar="|".join(PICTURES), help="Which picture.")] = "pareto",
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="Frames as .json or .csv.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Execute a model in number formats, bit by bit, and print its error beside time and energy per token."""
    from accelsim.accuracy.report import SUFFIXES

    if plot_kind not in PICTURES:
        raise RequestError(
            f"--plot-kind {plot_kind}: allowed are {', '.join(PICTURES)}{did_you_mean(plot_kind, PICTURES)}"
        )
    files.writable(("--plot", plot, files.PICTURES), ("--export", export, SUFFIXES))
    if plot and plot_kind == "pareto" and not on:
        raise RequestError("--plot draws error against energy: name a chip with --on, or take --plot-kind layers")
    if explain:
        _explain(model, formats, on[0] if on else None, numerics, all_layers, window, method, scales)
        return
    from accelsim.accuracy.run import accuracy as measured
    from accelsim.cli.progress import progress

    with progress() as told:
        found = measured(
            model, formats, on=on or None, numerics=numerics, price_as=price_as, weights=weights, tokens=tokens,
            limit=limit, window=window, seed=seed, all_layers=all_layers, method=method, scales=scales,
            search=search, exact_difference=exact_difference, resume=resume, progress=told,
        )  # fmt: skip
    for row in found.rows:
        for text in row.measured.warnings if row.measured else ():
            say(f"warning: {row.label}: {text}")
    if as_json:
        document = found.to_dict()
        print_json("accuracy", document, version=document.pop("schema"))
    else:
        typer.echo("\n".join(_lines(found)))
    written = found.write(export) if export else []
    if plot:
        from accelsim.report import accuracy_picture

        accuracy_picture.draw(found, plot_kind, plot)
        written.append(plot)
    for path in written:
        typer.echo(f"  wrote {path}", err=as_json)
    if not any(row.measured for row in found.rows):
        raise typer.Exit(FAILED)


def _lines(found: Accuracy) -> list[str]:
    """The table, and what stands behind it."""
    from accelsim.quantization.methods import NEAREST

    chips = ", ".join(found.chips)
    where = f"the arithmetic of {chips}" if chips else f"numerics {found.numerics}"
    head = f"error: {found.model}, {where}; {found.predicted:,} tokens predicted, windows of {found.window}"
    lines = [head, f"  {found.text}; stride {found.window}, the first token of a window is context only"]
    if chips:
        lines.append(f"time and energy: {found.priced} on {chips}, batch 1")
    if found.synthetic:
        lines.append("synthetic weights: no perplexity; divergence, agreement and noise are to float64")
    elif any(row.measured for row in found.rows):
        nll = found.reference_nll
        lines.append(f"float64: perplexity {math.exp(nll):.4f}, {nll / math.log(2):.4f} {found.bits}")
    lines.append("to exact: against exact sums in the same formats, what accumulators and their orders do alone")
    several, methods = len(found.chips) > 1, any(row.method != NEAREST for row in found.rows)
    header = [
        *(["chip"] if several else []),
        "formats",
        *(["method"] if methods else []),
        "bits/weight",
        *([] if found.synthetic else ["perplexity", "nll - fp64"]),
    ]
    header += ["nll - exact"] if found.exact_difference else []
    header += [
        "KL, nats",
        "top-1",
        "SQNR, dB",
        "to exact, dB",
        "KV/token",
        *(["time/token", "energy/token"] if chips else []),
    ]
    rows, notes = [header], []
    for row, line in zip(found.rows, found.formats.to_dict("records"), strict=True):
        cells = [*([row.chip] if several else []), row.name, *([row.method] if methods else [])]
        cells.append(f"{row.bits_per_weight:.2f}")
        if not found.synthetic:
            difference = f"{line['nll_minus_fp64']:+.4f} ± {line['standard_error']:.4f}"
            cells += [f"{line['perplexity']:.4f}", difference]
        if found.exact_difference:
            cells.append(f"{line['nll_minus_exact']:+.4f} ± {line['exact_standard_error']:.4f}")
        cells += [
            f"{line['kl_nats']:.2e}", f"{100 * line['top1_agreement']:.2f} %", f"{line['sqnr_logits_db']:.1f}",
            f"{line['sqnr_logits_to_exact_db']:.1f}",
            show(row.kv_bytes_per_token, "B"),
        ]  # fmt: skip
        if chips:
            cells += [_figure(line["time_per_token_s"], "s"), _figure(line["energy_per_token_j"], "J")]
        rows.append(["-" if "nan" in cell else cell for cell in cells])
        called = f"{row.label}, {row.chip}" if several else row.label
        if line["problem"]:
            notes.append(f"  {called}: {line['problem']}")
        elif row.measured:
            if row.assigned:
                notes.append(f"  {called}: " + ", ".join(f"{op} {form}" for op, form in row.assigned))
            worst = ", ".join(f"{name} {db:.1f} dB" for name, db in found.worst(row))
            notes.append(f"  {called}: {worst}")
    said = list(dict.fromkeys(f"  {row.label}: {row.note}" for row in found.rows if row.note))
    chosen = ["", "methods", *said] if said else []
    table = columns(rows, right=range(1 + several + methods, len(header)))
    return [*lines, "", *table, *chosen, "", "noisiest operators", *notes]


def _figure(value: float, unit: str) -> str:
    return "-" if math.isnan(value) else show(value, unit)


def _explain(  # noqa: PLR0917 - what the command was given
    model: str,
    formats: str,
    on: str | None,
    numerics: str | None,
    all_layers: bool,
    window: int | None,
    method: str,
    scales: str,
) -> None:
    from accelsim.accuracy.combinations import combinations
    from accelsim.accuracy.run import plan_for
    from accelsim.accuracy.subject import shape_of

    first = combinations(formats)[0]
    name = method.partition(",")[0].strip()
    plan = plan_for(
        shape_of(model), first, on=on, numerics=numerics, all_layers=all_layers, window=window, method=name,
        scales=scales,
    )  # fmt: skip
    typer.echo("\n".join(_plan_lines(plan, first.name)))


def _plan_lines(plan: NumericsPlan, formats: str) -> list[str]:
    """One line per operator and tensor of each phase, then what no tensor's name shows."""
    from accelsim.execution.stated import stated

    rows = [["phase", "operator", "tensor", "stored in", "scales", "along", "enters as", "sums", "vector"]]
    for op, tensor in plan.lines():
        stored = "as given" if tensor.storage is None else tensor.storage.name
        if tensor.storage is None and tensor.role.value != "weight":
            stored = op.lanes.width
        rows.append([
            op.phase, op.name, f"{tensor.name} ->" if tensor.output else tensor.name,
            stored if tensor.written else "register", tensor.granularity, tensor.axis,
            tensor.operand.name if tensor.operand else "", op.order if tensor.output else "", op.lanes.width,
        ])  # fmt: skip
    units = {unit.label: unit for op in plan.operators for unit in op.units}
    said = [f"  {label}: {unit.source} ({unit.status})" for label, unit in units.items()]
    wide = {f"  widened {unit.where}" for unit in units.values() if unit.where}
    rows_of_all = [["tensors and sums", "phase", "in"], *([*row] for row in stated(plan))]
    return [
        f"{plan.target}, {formats}",
        "",
        *columns(rows),
        "",
        "accumulators",
        *said,
        *sorted(wide),
        "",
        *columns(rows_of_all),
        *([""] if plan.warnings else []),
        *plan.warnings,
    ]
