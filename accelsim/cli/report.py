"""What a run prints: a headline, its warnings, a dozen figures and the operators that cost most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from accelsim.cli.common import say
from accelsim.cli.figures import columns, like, line, of_peak, percent, show, word
from accelsim.evaluate.digest import Digest, PhaseDigest, digest
from accelsim.results import Run
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.request import Request

_SHOWN_FRACTION = 0.02
_ARITHMETIC = ("compute", "vector")


def warn(run: Run) -> None:
    """The warnings of a run, on stderr; what it says about calibration belongs to the headline."""
    for warning in run.warnings:
        if not _about_calibration(warning):
            say(f"warning: {warning}")


def lines(run: Run, chip: Chip, seconds: float, top: int) -> Iterator[str]:
    """A run of a whole model that took place.

    Args:
        run: the run.
        chip: the chip it ran on, overrides included.
        seconds: how long the run took to compute.
        top: operators to list.
    """
    found = digest(run, top=top)
    yield _headline(run.request)
    yield from filter(_about_calibration, run.warnings)
    yield ""
    yield from _times(run, found)
    yield from _costs(run, chip, found, seconds)
    yield from _expensive(run, found)


def operator_lines(run: Run, chip: Chip, dims: dict[str, Any], seconds: float) -> Iterator[str]:
    """A run of one operator that took place."""
    found, asked = digest(run, top=1), run.request
    phase, row = found.phases[0], found.expensive[0]
    formats = asked.activations if asked.activations == asked.weights else f"{asked.activations} x {asked.weights}"
    sizes = ", ".join(f"{name} {value}" for name, value in dims.items())
    yield f"{asked.model} on {asked.chip} · {sizes} · {formats} · {asked.fidelity}"
    yield from filter(_about_calibration, run.warnings)
    yield ""
    achieved = of_peak(phase.flops_per_s, found.peak_flops_per_s, "FLOP/s")
    yield line("time", show(phase.time_s, "s"), achieved, f"bound by {phase.bound}")
    yield line(
        "memory traffic", show(row["dram_bytes"], "B"), of_peak(phase.bytes_per_s, found.peak_bytes_per_s, "B/s")
    )
    yield line("energy", show(run.summary["energy_j"], "J"), _energy(found, chip))
    yield _simulated(run, seconds)
    yield f"  {'priced by':<27}{row['priced_by']} (weakest figure: {row['status']})"


def _headline(asked: Request) -> str:
    by_format: dict[str, list[str]] = {}
    for name, format_ in (("weights", asked.weights), ("activations", asked.activations), ("KV", asked.kv_cache)):
        by_format.setdefault(format_, []).append(name)
    formats = ", ".join(
        f"{format_} {' and '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"
        for format_, names in by_format.items()
    )
    lengths = f"{asked.prompt} in, {asked.generate} out" if asked.generate else f"{asked.prompt} in"
    return (
        f"{asked.model} on {asked.chip} · {formats} · batch {asked.batch} · {lengths} · {asked.fidelity} · "
        f"{asked.convention}"
    )


def _times(run: Run, found: Digest) -> Iterator[str]:
    summary, first = run.summary, found.phases[0]
    label = "time to first token" if run.request.generate else "time of the pass"
    yield line(
        label,
        show(summary["time_to_first_token_s"], "s"),
        of_peak(first.flops_per_s, found.peak_flops_per_s, "FLOP/s"),
        _bound(first),
    )
    if len(found.phases) > 1:
        last = found.phases[-1]
        yield line(
            "time per output token",
            show(summary["time_per_output_token_s"], "s"),
            of_peak(last.bytes_per_s, found.peak_bytes_per_s, "B/s")
            if last.bytes_per_s
            else of_peak(last.flops_per_s, found.peak_flops_per_s, "FLOP/s"),
            _bound(last),
        )
    yield line(
        "throughput",
        f"{summary['tokens_per_s']:.3g} tokens/s"
        if summary["tokens_per_s"] < 1000
        else f"{summary['tokens_per_s']:,.0f} tokens/s",
    )


def _costs(run: Run, chip: Chip, found: Digest, seconds: float) -> Iterator[str]:
    if math.isfinite(run.summary["energy_per_token_j"]):
        yield line("energy per token", show(run.summary["energy_per_token_j"], "J"), _energy(found, chip))
    used, capacity = found.memory, found.memory["capacity_bytes"]
    parts = {"weights": "weights_bytes", "KV": "kv_cache_bytes", "activations": "activations_bytes"}
    split = ", ".join(f"{name} {like(used[key], capacity, 'B')}" for name, key in parts.items())
    full = show(capacity, "B")
    peak = f"{like(used['peak_bytes'], capacity, 'B')} {full.rpartition(' ')[2]}"
    yield line("memory", peak, f"of {full.rpartition(' ')[0]} ({split})" + ("" if used["fits"] else ": does not fit"))
    yield _simulated(run, seconds)


def _expensive(run: Run, found: Digest) -> Iterator[str]:
    if not found.expensive:
        return
    steps = next(row["steps"] for row in run.rows("phases") if row["phase"] == found.expensive_phase)
    what = f"{word(len(found.expensive))} most expensive operator{'s' if len(found.expensive) > 1 else ''}"
    per = f"{found.expensive_phase}, per token" if found.expensive_phase == "decode" else found.expensive_phase
    placed = any(row["placement"] != "chip" for row in found.expensive)
    head = (f"{what} ({per})", "", "time", "share", "bound", "achieved")
    rows = [(*head, *(("by", "host takes", "pim takes") if placed else ()), "priced by", "status")]
    for row in found.expensive:
        computes = row["bound"] in _ARITHMETIC or not row["achieved_bytes_per_s"]  # on chips that keep all on the chip
        rate = ("achieved_flops_per_s", "FLOP/s") if computes else ("achieved_bytes_per_s", "B/s")
        rows.append(
            (
                row["name"],
                f"x{row['count'] / steps:g}",
                show(row["time_s"] / steps, "s"),
                percent(row["share"]),
                row["bound"],
                show(row[rate[0]], rate[1]),
                *(_choice(row) if placed else ()),
                row["priced_by"],
                row["status"],
            )
        )
    yield ""
    yield from columns(rows, right=(2, 3, 5, 7, 8) if placed else (2, 3, 5))


def _choice(row: dict[str, Any]) -> tuple[str, str, str]:
    """Who computes an operator, and what either choice takes for one execution."""
    times = (row[name] / row["count"] for name in ("host_time_s", "pim_time_s"))
    host, pim = (show(seconds, "s") if math.isfinite(seconds) else "-" for seconds in times)
    return row["placement"], host, pim


def _bound(phase: PhaseDigest) -> str:
    return f"bound by {phase.bound}"


def _energy(found: Digest, chip: Chip) -> str:
    """Shares by component; what is small is put together."""
    names = {"shared": "shared memory", "l2": "L2", "register": "registers"}
    if isinstance(chip, GpuChip):
        names["memory"] = chip.memory.standard.upper()
    shown = [(names.get(name, name), share) for name, share in found.energy if share >= _SHOWN_FRACTION]
    rest = sum(share for _, share in found.energy if share < _SHOWN_FRACTION)
    return "  ".join(f"{name} {percent(share)}" for name, share in [*shown, *([("other", rest)] if rest else [])])


def _simulated(run: Run, seconds: float) -> str:
    if run.request.fidelity == "roofline":
        return line("priced in", f"{seconds:.2f} s, closed form")
    return line("simulated in", f"{seconds:.2f} s, {run.summary['events']:,.0f} events")


def _about_calibration(warning: str) -> bool:
    return warning.startswith(("calibrated", "uncalibrated"))
