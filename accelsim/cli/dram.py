"""`dram`: a stream of requests through the commands of a DRAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from accelsim.cli.common import JsonOption, SetOption, app, console, overrides, print_json

if TYPE_CHECKING:
    from accelsim.timing.dram.controller import Served

_LOGGED = 20_000


@app.command()
def dram(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A DRAM: accelsim list dram.")],
    *,
    pattern: Annotated[
        Literal["sequential", "random", "strided"], typer.Option(help="Addresses of the requests.")
    ] = "sequential",
    requests: Annotated[int, typer.Option(help="How many, of one access each.")] = 100_000,
    reads: Annotated[float, typer.Option(help="Share of reads among them.")] = 1.0,
    stride: Annotated[int, typer.Option(help="Accesses from one to the next of a strided stream.")] = 16,
    in_flight: Annotated[
        int, typer.Option(help="Reads that are under way at most; 0 for as many as the queues take.")
    ] = 0,
    page: Annotated[Literal["open", "closed"] | None, typer.Option(help="That of the sheet by default.")] = None,
    refresh: Annotated[
        Literal["all_bank", "per_bank", "off"] | None, typer.Option(help="That of the sheet by default.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An address trace of DRAMsim3 or Ramulator instead.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the commands of channel 0 (.png, .svg, .pdf).")
    ] = None,
    cycles: Annotated[int, typer.Option(help="Cycles in the picture.", min=10)] = 200,
    seed: Annotated[int, typer.Option(help="Of random addresses.")] = 0,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Send requests to a DRAM: bandwidth, latency, row hits, energy and a timeline of commands."""
    from accelsim import catalog
    from accelsim.timing.dram import controller
    from accelsim.timing.dram import pattern as patterns
    from accelsim.timing.dram import trace as traces

    chosen = {"controller.page": page, "controller.refresh": refresh}
    record = catalog.dram(name, overrides(set_) | {key: value for key, value in chosen.items() if value})
    if trace is not None:
        loaded = traces.load(record, trace)
        stream: tuple[Any, ...] = (loaded.addresses, loaded.writes, loaded.arrivals)
    else:
        stream = patterns.stream(record, pattern, requests, reads, stride=stride, seed=seed)
    served = controller.serve(record, *stream, in_flight=in_flight, log=_LOGGED if picture else 0)
    if picture is not None:
        from accelsim.report import dram as report
        from accelsim.report import style

        style.save(report.timeline(served, cycles=cycles), picture)
    what = str(trace) if trace is not None else pattern
    if as_json:
        print_json("dram", {"dram": record.name, "timing": record.timing.name, "pattern": what, **_document(served)})
    else:
        _print(served, what)


def _document(served: Served) -> dict[str, Any]:
    import numpy as np

    latency_s = served.latency_cycles * (served.time_s / served.cycles)
    reads = latency_s[served.latency_cycles > 1]
    return {
        "cycles": served.cycles,
        "time_s": served.time_s,
        "requests": served.requests,
        "bytes": served.bytes,
        "bandwidth_bytes_per_s": served.bandwidth_bytes_per_s,
        "peak_bytes_per_s": served.dram.peak_bytes_per_s,
        "read_latency_mean_s": float(reads.mean()) if reads.size else None,
        "read_latency_p99_s": float(np.quantile(reads, 0.99)) if reads.size else None,
        "row_hit_share": served.row_hit_share,
        "merged": served.merged,
        "commands": served.commands,
        "energy_j": served.energy.as_dict() | {"total": served.energy.total},
        "energy_j_per_bit": served.energy_j_per_bit,
    }


def _print(served: Served, what: str) -> None:
    from rich.table import Table

    from accelsim import units

    found = _document(served)
    share = served.bandwidth_bytes_per_s / served.dram.peak_bytes_per_s
    rate, peak = (units.show(found[key], "B/s", 4) for key in ("bandwidth_bytes_per_s", "peak_bytes_per_s"))
    out = console()
    out.print(f"{served.dram.name} {served.dram.timing.name}, {what}: {served.requests:,} requests", style="bold")
    facts = {
        "bandwidth": f"{rate} ({share:.1%} of {peak})",
        "time": f"{units.show(served.time_s, 's', 4)}, {served.cycles:,} cycles",
        "read latency": "-"
        if found["read_latency_mean_s"] is None
        else f"{units.show(found['read_latency_mean_s'], 's')} on average, "
        f"{units.show(found['read_latency_p99_s'], 's')} for 99 of 100, from the controller on",
        "row hits": f"{served.row_hit_share:.2%}",
        "commands": ", ".join(f"{name} {count:,}" for name, count in served.commands.items() if count),
        "energy": f"{units.show(served.energy.total, 'J', 4)}, {served.energy_j_per_bit * 1e12:.3g} pJ/bit",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, text in facts.items():
        table.add_row(key, text)
    for part, joules in served.energy.as_dict().items():
        if joules:
            table.add_row(f"  {part}", f"{units.show(joules, 'J', 4)} ({joules / served.energy.total:.1%})")
    out.print(table)
