"""Evaluations brought to the public form: a `Run` with its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.devices.base import Device
from accelsim.energy import COMPONENTS, by_component_j
from accelsim.engine.runner import Runner
from accelsim.evaluate import event as events_
from accelsim.evaluate import roofline as closed
from accelsim.evaluate.phases import Passes
from accelsim.results import COLUMNS, Rows, Run, Tables
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.request import Request
from accelsim.units import PS_PER_S

Progress = Callable[[str, int, int], None]
"""Called with (phase, passes done, passes in all)."""

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Phase:
    """Totals of one phase, whatever evaluated it."""

    name: str
    steps: int
    time_s: float
    operators: Rows
    energy_j: Mapping[str, float]


def infeasible(request: Request, why: Infeasible, used: Rows, warnings: tuple[str, ...]) -> Run:
    """A run that did not take place: every metric is NaN but those of memory."""
    summary: dict[str, Any] = dict.fromkeys(COLUMNS["summary"], NAN)
    if used:
        summary |= _memory_summary(used)
    return Run(request, summary, Tables([], [], [], used, list), why, warnings)


def event(
    request: Request, work: Passes, device: Device, used: Rows, warnings: tuple[str, ...], progress: Progress | None
) -> Run:
    """Runs the phases on the engine."""
    runner = Runner(device.resources, fold=request.fold)
    steps = max(0, int(work.generate) - 1)
    outcomes = []
    for name, graphs, total in ((work.first, iter([work.prefill()]), 1), ("decode", work.decode_steps(), steps)):
        if not total:
            continue
        report = (lambda done, n=name, t=total: progress(n, done, t)) if progress else None
        done = events_.run_phase(name, graphs, device, runner, report)
        if isinstance(done, Infeasible):
            return infeasible(request, done, used, warnings)
        outcomes.append(done)
    phases = []
    for done in outcomes:
        seconds = done.time_ps / PS_PER_S
        energy = {k: float(v) for k, v in by_component_j(events_.energy_events(done), device).items()}
        phases.append(Phase(done.name, done.steps, seconds, events_.operator_rows(done, device), _with_static(energy, seconds, device)))
    return _assemble(
        request, phases, device, used, warnings, events_.resource_rows(outcomes, device),
        lambda: events_.timeline_rows(outcomes, device), runner.events,
    )  # fmt: skip


def roofline(
    request: Request, work: Passes, device: Device, used: Rows, warnings: tuple[str, ...], progress: Progress | None
) -> Run:
    """Prices the phases in closed form: the vectorised evaluation with one point."""
    totals = closed.evaluate(work, device, 1)
    if isinstance(totals, Infeasible):
        return infeasible(request, totals, used, warnings)
    phases = []
    for total in totals:
        seconds = float(total.time_s[0])
        energy = {k: float(np.ravel(v)[0]) for k, v in by_component_j(total.events, device).items()}
        name = work.first if total is totals[0] else total.name
        operators = closed.operator_rows(total, device, name=name)
        phases.append(Phase(name, int(total.steps[0]), seconds, operators, _with_static(energy, seconds, device)))
    if progress:
        progress(phases[-1].name, 1, 1)
    return _assemble(request, phases, device, used, warnings, closed.resource_rows(totals, device), list, 0)


def _with_static(energy: dict[str, float], seconds: float, device: Device) -> dict[str, float]:
    return {**dict.fromkeys(COMPONENTS, 0.0), **energy, "static": float(np.ravel(device.idle_w)[0]) * seconds}


def _assemble(
    request: Request, phases: list[Phase], device: Device, used: Rows, warnings: tuple[str, ...], resources: Rows,
    timeline: Callable[[], Rows], events: int,
) -> Run:  # fmt: skip
    clock, limit = float(np.ravel(device.reference_clock_hz)[0]), float(np.ravel(device.limit_w)[0])
    rows = [_phase_row(phase, clock, used) for phase in phases]
    energy = {name: sum(phase.energy_j[name] for phase in phases) for name in COMPONENTS}
    total_s, joules = sum(phase.time_s for phase in phases), sum(energy.values())
    decode = next((phase for phase in phases if phase.name == "decode"), None)
    moved = sum(row["dram_bytes"] for row in rows)
    per_token = decode.time_s / decode.steps if decode else NAN
    tokens = request.batch * (request.generate or request.prompt)
    excess = max(0.0, *(row["average_power_w"] - limit for row in rows))
    summary: dict[str, Any] = {
        "prefill_time_s": phases[0].time_s,
        "time_to_first_token_s": phases[0].time_s,
        "decode_time_s": decode.time_s if decode else 0.0,
        "time_per_output_token_s": per_token,
        "total_time_s": total_s,
        "tokens_per_s": tokens / total_s,
        "decode_tokens_per_s": request.batch / per_token,
        "cycles": round(total_s * clock),
        "flops": sum(row["flops"] for row in rows),
        "dram_bytes": moved,
        "achieved_bandwidth_bytes_per_s": moved / total_s,
        "energy_j": joules,
        "energy_per_token_j": joules / tokens,
        **{f"energy_{name}_j": value for name, value in energy.items()},
        "average_power_w": joules / total_s,
        "power_limit_w": limit,
        "power_excess_w": excess,
        **_memory_summary(used),
        "events": events,
    }
    if excess:
        worst = max(rows, key=lambda row: row["average_power_w"])
        warnings += (
            f"average power in {worst['phase']} is {worst['average_power_w']:.0f} W, {excess:.0f} W above the board limit of "
            f"{limit:.0f} W: the chip would lower its clock, which is not modelled; assumed energies are listed by `accelsim show`",
        )
    tables = Tables(rows, [row for phase in phases for row in phase.operators], resources, used, timeline)
    return Run(request, summary, tables, None, warnings)


def _phase_row(phase: Phase, clock: float, used: Rows) -> dict[str, Any]:
    ops = phase.operators
    flops, moved = (sum(row[key] for row in ops) for key in ("flops", "dram_bytes"))
    joules = sum(phase.energy_j.values())
    return {
        "phase": phase.name, "steps": phase.steps, "time_s": phase.time_s, "cycles": round(phase.time_s * clock), "flops": flops,
        "bytes": sum(row["bytes"] for row in ops), "dram_bytes": moved, "achieved_flops_per_s": flops / phase.time_s,
        "achieved_bytes_per_s": moved / phase.time_s, "energy_j": joules, "average_power_w": joules / phase.time_s,
        "peak_memory_bytes": next((row["peak_bytes"] for row in used if row["phase"] == phase.name), NAN),
    }  # fmt: skip


def _memory_summary(used: Rows) -> dict[str, Any]:
    peak = max(row["peak_bytes"] for row in used)
    return {
        "weights_bytes": used[0]["weights_bytes"], "peak_memory_bytes": peak, "memory_capacity_bytes": used[0]["capacity_bytes"],
        "fits": all(row["fits"] for row in used),
    }  # fmt: skip
