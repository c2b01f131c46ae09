"""`explain`: why one operator takes as long as it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.common import FAILED, JsonOption, SetOption, app, overrides, print_json, say
from accelsim.cli.figures import columns, percent, show
from accelsim.cli.options import (
    ActivationsOption,
    BatchOption,
    ClockOption,
    HostOption,
    KvCacheOption,
    LaunchOption,
    LibraryOption,
    LogitsOption,
    ModelArgument,
    OnOption,
    PromptOption,
    ResidencyOption,
    RoutingOption,
    ScalesOption,
    SeedOption,
    UnfusedOption,
    WeightsOption,
)

if TYPE_CHECKING:
    from accelsim.evaluate.provenance import Constant
    from accelsim.explain import Explanation

_ALTERNATIVES = 10


@app.command()
def explain(
    model: ModelArgument,
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="Its name, or a part that no other one has.")],
    *,
    on: OnOption,
    host: HostOption = None,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="prefill|decode", help="Decode by default.", show_default=False)
    ] = None,
    step: Annotated[int, typer.Option("--step", help="Decode step, from 1.")] = 1,
    batch: BatchOption = 1,
    prompt: PromptOption = 2048,
    weights: WeightsOption = None,
    activations: ActivationsOption = None,
    kv_cache: KvCacheOption = None,
    logits: LogitsOption = "last",
    routing: RoutingOption = "uniform",
    unfused: UnfusedOption = False,
    seed: SeedOption = 0,
    library: LibraryOption = None,
    residency: ResidencyOption = None,
    clock: ClockOption = None,
    launch: LaunchOption = "graph",
    scales: ScalesOption = "dynamic",
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Explain an operator: tiles, demand per resource, what bound it, alternatives, and every figure used."""
    from dataclasses import asdict

    from accelsim.explain import explain as explain_
    from accelsim.spec.infeasible import Infeasible

    found = explain_(
        model,
        operator,
        on,
        host=host,
        phase=phase,
        step=step,
        batch=batch,
        prompt=prompt,
        weights=weights,
        activations=activations,
        kv_cache=kv_cache,
        overrides=overrides(set_),
        fuse=not unfused,
        logits=logits,
        routing=routing,
        seed=seed,
        library=library,
        residency=residency,
        clock=clock,
        launch=launch,
        scales=scales,
    )
    if isinstance(found, Infeasible):
        if as_json:
            print_json("explain", {"status": "infeasible", "infeasible": asdict(found)})
        else:
            typer.echo(str(found))
        raise typer.Exit(FAILED)
    for warning in found.warnings:
        if not warning.startswith(("calibrated", "uncalibrated")):
            say(f"warning: {warning}")
    if as_json:
        print_json("explain", {"status": "ok", **found.to_dict()})
    else:
        typer.echo("\n".join(_lines(found, batch, prompt)))


def _lines(found: Explanation, batch: int, prompt: int) -> Iterator[str]:
    where = f"decode step {found.step}" if found.step else "prefill"
    yield f"{found.operator} of {found.model} on {found.chip} · {where} · batch {batch} · {prompt} in"
    dims = " ".join(f"{name}={value:.10g}" for name, value in found.dims.items())
    yield f"{found.kind} {dims} · {', '.join(found.formats)}"
    yield ""
    ideal = percent(found.closed_form_s / found.time_s)
    yield (
        f"  {show(found.time_s, 's')} each, {found.count} in one pass; bound by {found.bound}; its roofline allows "
        f"{show(found.closed_form_s, 's')}, {ideal} of it"
    )
    yield f"  priced by {found.priced_by}; weakest figure used: {found.status}"
    yield from _choice(found)
    yield from _limits(found)
    yield from _uses(found)
    yield from _alternatives(found)
    yield from _constants(found)


def _choice(found: Explanation) -> Iterator[str]:
    yield ""
    yield "chosen"
    plain = {name: value for name, value in found.choice.items() if name != "label"}
    texts = {
        "reread_bytes": lambda value: show(value, "B"),
        "wave_efficiency": percent,
    }
    for name, value in plain.items():
        shown = texts[name](value) if name in texts else f"{value:g}" if isinstance(value, float) else str(value)
        yield f"  {name.removesuffix('_bytes').replace('_', ' '):<18}{shown}"
    rows = [("phases of the kernel", "steps", "buffers", "first byte", "priced by")]
    rows += [(p.name, str(p.steps), str(p.buffers), show(p.latency_s, "s"), p.priced_by) for p in found.parts]
    yield ""
    yield from columns(rows, right=(1, 2, 3), indent="")


def _limits(found: Explanation) -> Iterator[str]:
    rows = [("what set the pace", "bound", "for", "share", "without it, same tiles", "speed-up")]
    rows += [
        (
            row.limit,
            row.bound,
            show(row.time_s, "s"),
            percent(row.time_fraction),
            show(row.lifted_s, "s"),
            f"{row.speed_up:.2f}x",
        )
        for row in found.limits
    ]
    yield ""
    yield from columns(rows, right=(2, 3, 4, 5), indent="")


def _uses(found: Explanation) -> Iterator[str]:
    rows = [("demand", "amount", "it may draw", "of the rate", "alone it takes", "of the time")]
    rows += [
        (
            use.resource,
            show(use.amount, use.unit),
            show(use.rate, f"{use.unit}/s"),
            percent(use.rate_fraction),
            show(use.alone_s, "s"),
            percent(use.time_fraction),
        )
        for use in found.uses
    ]
    yield ""
    yield from columns(rows, right=(1, 2, 3, 4, 5), indent="")


def _alternatives(found: Explanation) -> Iterator[str]:
    yield ""
    if not found.alternatives:
        yield "no alternatives: there is one way to run it"
        return
    best = found.alternatives[:_ALTERNATIVES]
    of = f", best {len(best)} of {len(found.alternatives)}" if len(best) < len(found.alternatives) else ""
    rows = [(f"alternatives considered{of}", "time", "")]
    for row in best:
        chosen = row.label == found.choice.get("label")
        rows.append(
            (row.label, show(row.time_s, "s", 4), "chosen" if chosen else f"{row.time_s / best[0].time_s:.2f}x")
        )
    yield from columns(rows, right=(1,), indent="")


def _constants(found: Explanation) -> Iterator[str]:
    sources = list(dict.fromkeys(row.source for row in found.constants))
    rows = [("figures used", "value", "status", "source")]
    rows += [(row.path, _value(row), row.status, f"[{sources.index(row.source) + 1}]") for row in found.constants]
    yield ""
    yield from columns(rows, right=(1,), indent="")
    yield ""
    yield from (f"[{number}] {source}" for number, source in enumerate(sources, 1))


def _value(constant: Constant) -> str:
    """Rates per clock are spelt as in descriptions, without a prefix."""
    if not constant.unit or constant.unit.endswith("/clk"):
        return f"{constant.value:g} {constant.unit}".rstrip()
    return show(constant.value, constant.unit, 4)
