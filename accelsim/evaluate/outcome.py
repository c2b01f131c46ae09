"""Evaluations brought to the public form: a `Run` with its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from accelsim.devices.base import Device
from accelsim.energy import COMPONENTS, by_component_j
from accelsim.engine.runner import Runner
from accelsim.evaluate import event as events_
from accelsim.evaluate import roofline as closed
from accelsim.evaluate.phases import Passes
from accelsim.evaluate.summary import PhaseTotals, summarise
from accelsim.graph.numbers import maximum
from accelsim.results import COLUMNS, Rows, Run, Tables
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.request import Request
from accelsim.units import PS_PER_S

Progress = Callable[[str, int, int], None]
"""Called with (phase, passes done, passes in all)."""

NAN = float("nan")


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
    operators: Rows = []
    phases = []
    counters: dict[str, int] = {}
    for done, row in zip(outcomes, used, strict=True):
        mine = events_.operator_rows(done, device)
        operators += mine
        seconds = done.time_ps / PS_PER_S
        events = events_.energy_events(done)
        counters |= events
        phases.append(
            PhaseTotals(
                name=done.name,
                steps=done.steps,
                time_s=seconds,
                weights_bytes=row["weights_bytes"],
                peak_memory_bytes=row["peak_bytes"],
                energy_j=_energy(events, seconds, device),
                **{key: sum(line[key] for line in mine) for key in ("flops", "bytes", "dram_bytes")},
            )
        )
    summary = summarise(phases, **request_figures(work, device), events=runner.events)
    rows = phase_rows(phases, float(device.reference_clock_hz))
    tables = Tables(
        rows, operators, events_.resource_rows(outcomes, device), used, lambda: events_.timeline_rows(outcomes, device)
    )
    notes = _power_warning(rows, summary["power_excess_w"], summary["power_limit_w"])
    return Run(request, summary, tables, None, (*warnings, *notes), roofs=device.roofs(counters))


def roofline(
    request: Request, work: Passes, device: Device, used: Rows, warnings: tuple[str, ...], progress: Progress | None
) -> Run:
    """Prices the phases in closed form: the vectorised evaluation with a single point."""
    totals = closed.evaluate(work, device, 1)
    if isinstance(totals, Infeasible):
        return infeasible(request, totals, used, warnings)
    columns = closed_totals(totals, work, device)
    summary = {
        key: _first(value) for key, value in summarise(columns, **request_figures(work, device), events=0).items()
    }
    phases = [
        PhaseTotals(
            name=column.name,
            steps=int(_first(column.steps)),
            energy_j={k: _first(v) for k, v in column.energy_j.items()},
            **{
                key: _first(getattr(column, key))
                for key in ("time_s", "flops", "bytes", "dram_bytes", "weights_bytes", "peak_memory_bytes")
            },
        )
        for column in columns
    ]
    operators = [row for total in totals for row in closed.operator_rows(total, device)]
    if progress:
        progress(phases[-1].name, 1, 1)
    rows = phase_rows(phases, float(device.reference_clock_hz))
    tables = Tables(rows, operators, closed.resource_rows(totals, device), used, list)
    notes = _power_warning(rows, summary["power_excess_w"], summary["power_limit_w"])
    roofs = device.roofs(event for total in totals for event in total.events)
    return Run(request, summary, tables, None, (*warnings, *notes), roofs=roofs)


def closed_totals(totals: list[closed.PhaseTotal], work: Passes, device: Device) -> list[PhaseTotals]:
    """Closed-form phases with energy and memory, a column per figure."""
    result = []
    for total in totals:
        length = total.steps.shape
        graph = work.prefill() if total.name == work.first else work.decode(maximum(work.generate - 1, 1))
        weights, cache, held = work.footprint(total.name, graph)
        moved = total.moved()
        result.append(
            PhaseTotals(
                name=total.name,
                steps=total.steps,
                time_s=total.time_s,
                flops=total.flops,
                bytes=moved,
                dram_bytes=moved,
                energy_j={k: _column(v, length) for k, v in _energy(total.events, total.time_s, device).items()},
                weights_bytes=_column(weights, length),
                peak_memory_bytes=_column(weights + cache + held, length),
            )
        )
    return result


def _column(value: Any, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.ravel(value) if np.ndim(value) else value, shape)


def _first(value: Any) -> Any:
    """The single point of a column, as a Python number."""
    return np.ravel(value)[0].item() if isinstance(value, np.ndarray | np.generic) else value


def _energy(events: Mapping[str, Any], seconds: Any, device: Device) -> dict[str, Any]:
    """Joules by component, idle power times time included."""
    spent = by_component_j(events, device)
    idle = device.idle_w
    static = (np.ravel(idle) if isinstance(idle, np.ndarray) else idle) * seconds
    return {**dict.fromkeys(COMPONENTS, 0.0), **spent, "static": spent.get("static", 0.0) + static}


def request_figures(work: Passes, device: Device) -> dict[str, Any]:
    """What the definitions need of request and chip; columns lose their second axis."""
    figures = {
        "batch": work.batch,
        "prompt": work.prompt,
        "generate": work.generate,
        "clock_hz": device.reference_clock_hz,
        "limit_w": device.limit_w,
        "capacity_bytes": device.capacity_bytes,
    }
    return {key: np.ravel(value) if isinstance(value, np.ndarray) else value for key, value in figures.items()}


def phase_rows(phases: list[PhaseTotals], clock_hz: float) -> Rows:
    """The rows of `run.phases`."""
    return [
        {
            "phase": phase.name,
            "steps": phase.steps,
            "time_s": phase.time_s,
            "cycles": round(float(phase.time_s) * clock_hz),
            "flops": phase.flops,
            "bytes": phase.bytes,
            "dram_bytes": phase.dram_bytes,
            "achieved_flops_per_s": phase.flops / phase.time_s,
            "achieved_bytes_per_s": phase.dram_bytes / phase.time_s,
            "energy_j": phase.total_energy_j,
            **{f"energy_{name}_j": phase.energy_j[name] for name in COMPONENTS},
            "average_power_w": phase.average_power_w,
            "peak_memory_bytes": phase.peak_memory_bytes,
        }
        for phase in phases
    ]


def _power_warning(rows: Rows, excess_w: float, limit_w: float) -> tuple[str, ...]:
    if excess_w <= 0:
        return ()
    worst = max(rows, key=lambda row: row["average_power_w"])
    power_w = worst["average_power_w"]
    return (
        f"average power in {worst['phase']} is {power_w:.0f} W, {excess_w:.0f} W above the board limit of "
        f"{limit_w:.0f} W: the chip would lower its clock, as GPUs do in events unless clock = 'burst'; "
        "`accelsim show CHIP` lists which energies are assumed",
    )


def _memory_summary(used: Rows) -> dict[str, Any]:
    return {
        "weights_bytes": used[0]["weights_bytes"],
        "peak_memory_bytes": max(row["peak_bytes"] for row in used),
        "memory_capacity_bytes": used[0]["capacity_bytes"],
        "fits": all(row["fits"] for row in used),
    }
