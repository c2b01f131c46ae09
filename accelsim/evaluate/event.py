"""Discrete-event evaluation: plan, run, and add up what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from accelsim.devices.base import Device
from accelsim.energy import by_resource_j, total_j
from accelsim.engine.runner import Executed, Runner, SegmentRecord
from accelsim.graph.counts import count
from accelsim.graph.operator import Graph, Operator, Role
from accelsim.mapping.flows import LATENCY, LAUNCH, MODE, PIPELINE
from accelsim.mapping.kernel import Kernel
from accelsim.results import Rows
from accelsim.spec.infeasible import Infeasible
from accelsim.units import PS_PER_S

STATIC = "chip.static"
DRAM = ("memory", "banks")
"""Counters of bytes that move to and from cells: of the host, and of units beside them."""
NAN = float("nan")
_WAITS = {LAUNCH: "launch", LATENCY: "pipeline", PIPELINE: "pipeline", MODE: "mode"}


@dataclass(slots=True)
class PhaseOutcome:
    """What one phase came to.

    Attributes:
        name: "prefill" or "decode".
        steps: passes through the model.
        start_ps: start of the phase.
        time_ps: its duration.
        executed: stages in order.
        records: how often each segment record occurred.
    """

    name: str
    steps: int
    start_ps: int
    time_ps: int = 0
    executed: list[Executed] = field(default_factory=list)
    records: dict[int, tuple[SegmentRecord, int]] = field(default_factory=dict)

    def add(self, done: Iterable[Executed]) -> None:
        """Takes in the stages of one pass."""
        for executed in done:
            self.executed.append(executed)
            for _, record in executed.records:
                seen = self.records.get(id(record))
                self.records[id(record)] = (record, (seen[1] if seen else 0) + executed.repeat)


def run_phase(
    name: str, graphs: Iterable[Graph], device: Device, runner: Runner, on_step: Callable[[int], None] | None = None
) -> PhaseOutcome | Infeasible:
    """Runs the passes of one phase one after the other."""
    outcome = PhaseOutcome(name, 0, runner.now_ps)
    for graph in graphs:
        plan = device.plan(graph)
        if isinstance(plan, Infeasible):
            return plan
        outcome.add(runner.run(plan))
        outcome.steps += 1
        if on_step:
            on_step(outcome.steps)
    outcome.time_ps = runner.now_ps - outcome.start_ps
    return outcome


def operator_rows(outcome: PhaseOutcome, device: Device) -> Rows:
    """A row per operator name, executions added up."""
    rows: dict[str, dict[str, Any]] = {}
    limits: dict[str, dict[str, int]] = {}
    statuses: dict[tuple[str, ...], str] = {}
    times: dict[Kernel, int] = {}
    busy_ps: dict[Kernel, int] = {}
    for record, repeat in outcome.records.values():
        for kernel, ran in record.kernels.items():
            times[kernel] = times.get(kernel, 0) + repeat
            busy_ps[kernel] = busy_ps.get(kernel, 0) + repeat * (ran.end_ps - ran.start_ps)
            words = limits.setdefault(kernel.name, {})
            for limit, duration in ran.limits_ps.items():
                word = _WAITS.get(limit) or kernel.bounds.get(limit) or device.resources[limit].bound
                words[word] = words.get(word, 0) + duration * repeat
    # whole numbers per kernel first: the same sums of floats whether repetitions were replayed or run
    for kernel, count_ in times.items():
        row = rows.get(kernel.name)
        if row is None:
            if kernel.constants not in statuses:
                statuses[kernel.constants] = device.status(kernel.constants)
            row = rows[kernel.name] = _empty(outcome.name, kernel, statuses[kernel.constants])
        _accumulate(row, kernel, busy_ps[kernel], count_, device)
    for name, row in rows.items():
        finish(row)
        row["bound"] = max(limits[name].items(), key=lambda item: item[1])[0] if limits[name] else "launch"
    return list(rows.values())


def _empty(phase: str, kernel: Kernel, status: str) -> dict[str, Any]:
    return empty_row(phase, kernel.operator, kernel.priced_by, status)


def empty_row(phase: str, op: Operator, priced_by: str, status: str) -> dict[str, Any]:
    """An operator's row before anything is added."""
    return {
        "phase": phase,
        "name": op.name,
        "kind": str(op.kind),
        "count": 0,
        "flops": 0.0,
        "bytes": 0.0,
        "weight_bytes": 0.0,
        "kv_bytes": 0.0,
        "activation_bytes": 0.0,
        "dram_bytes": 0.0,
        "intensity_flops_per_byte": 0.0,
        "time_s": 0.0,
        "bound": "",
        "achieved_flops_per_s": 0.0,
        "achieved_bytes_per_s": 0.0,
        "energy_j": 0.0,
        "placement": "chip",
        "host_time_s": NAN,
        "pim_time_s": NAN,
        "priced_by": priced_by,
        "status": status,
    }


def _accumulate(row: dict[str, Any], kernel: Kernel, busy_ps: int, times: int, device: Device) -> None:
    op = kernel.operator
    row["count"] += times
    row["flops"] += times * float(count(op).flops)
    row["bytes"] += times * float(op.bytes())
    row["weight_bytes"] += times * float(op.bytes(Role.WEIGHT))
    row["kv_bytes"] += times * float(op.bytes(Role.KV_CACHE))
    row["activation_bytes"] += times * float(op.bytes(Role.ACTIVATION))
    row["dram_bytes"] += times * sum(float(kernel.events.get(name, 0)) for name in DRAM)
    row["time_s"] += busy_ps / PS_PER_S
    row["energy_j"] += times * float(total_j(kernel.events, device))
    row["priced_by"] = kernel.priced_by
    placed = kernel.placement
    if placed is not None:
        first = row["count"] == times
        row["placement"] = _either(row["placement"], placed.where)
        for column, seconds in (("host_time_s", placed.host_s), ("pim_time_s", placed.pim_s)):
            total = (0.0 if first else row[column]) + times * seconds
            row[column] = NAN if isnan(total) else total


def _either(before: str, now: str) -> str:
    """The word for executions of one name in several places."""
    return now if before in ("chip", now) else "mixed"


def finish(row: dict[str, Any]) -> None:
    """Fills the ratios of an operator's row."""
    time = row["time_s"]
    row["intensity_flops_per_byte"] = row["flops"] / row["bytes"] if row["bytes"] else 0.0
    row["achieved_flops_per_s"] = row["flops"] / time if time else 0.0
    row["achieved_bytes_per_s"] = row["dram_bytes"] / time if time else 0.0


def energy_events(outcome: PhaseOutcome) -> dict[str, int]:
    """Energy counters of the whole phase, whole numbers."""
    total: dict[str, int] = {}
    for record, times in outcome.records.values():
        for kernel in record.kernels:
            for event, amount in kernel.events.items():
                total[event] = total.get(event, 0) + amount * times
    return total


def resource_rows(outcomes: list[PhaseOutcome], device: Device) -> Rows:
    """A row per resource over the whole run; idle power is the resource `chip.static`."""
    total_ps = sum(outcome.time_ps for outcome in outcomes)
    busy = dict.fromkeys(device.resources, 0)
    amount = dict.fromkeys(device.resources, 0)
    blocked = dict.fromkeys(device.resources, 0)
    pace = dict.fromkeys(device.resources, 0)
    energy = dict.fromkeys(device.resources, 0.0)
    for outcome in outcomes:
        for record, times in outcome.records.values():
            for ran in record.kernels.values():
                for name, duration in ran.limits_ps.items():
                    if name in pace:
                        pace[name] += times * duration
            for row in record.rows:
                busy[row.resource] += times * (row.end_ps - row.start_ps)
                amount[row.resource] += times * row.amount
            for name, waited in record.blocked_ps.items():
                blocked[name] += times * waited
        for name, joules in by_resource_j(energy_events(outcome), device).items():
            energy[name] += float(joules)
    rows: Rows = [
        {
            "resource": name,
            "unit": resource.unit,
            "count": resource.count,
            "busy_s": busy[name] / PS_PER_S,
            "blocked_s": blocked[name] / PS_PER_S,
            "limit_s": pace[name] / PS_PER_S,
            "utilization": amount[name] / (resource.rate * total_ps / PS_PER_S) if total_ps else 0.0,
            "amount": amount[name],
            "bytes": amount[name] if resource.unit == "B" else 0,
            "energy_j": energy[name],
        }
        for name, resource in device.resources.items()
    ]
    seconds = total_ps / PS_PER_S
    rows.append(
        {
            "resource": STATIC,
            "unit": "ps",
            "count": 1,
            "busy_s": seconds,
            "blocked_s": 0.0,
            "limit_s": 0.0,
            "utilization": 1.0 if total_ps else 0.0,
            "amount": total_ps,
            "bytes": 0,
            "energy_j": float(device.idle_w) * seconds,
        }
    )
    return rows


def timeline_rows(outcomes: list[PhaseOutcome], device: Device) -> Rows:
    """Every interval of every resource; recurring ones once."""
    rows: Rows = []
    shares: dict[int, dict[str, float]] = {}
    for outcome in outcomes:
        for executed in outcome.executed:
            for offset, record in executed.records:
                joules = shares.get(id(record))
                if joules is None:
                    joules = shares[id(record)] = _joules_per_unit(record, device)
                start = executed.start_ps + offset
                for row in record.rows:
                    unit = device.resources[row.resource].unit
                    rows.append(
                        {
                            "resource": row.resource,
                            "name": row.name,
                            "phase": outcome.name,
                            "start_ps": start + row.start_ps,
                            "end_ps": start + row.end_ps,
                            "amount": row.amount,
                            "bytes": row.amount if unit == "B" else 0,
                            "energy_j": row.amount * joules.get(row.resource, 0.0),
                            "repeat": executed.repeat,
                            "period_ps": executed.period_ps,
                        }
                    )
        seconds = outcome.time_ps / PS_PER_S
        rows.append(
            {
                "resource": STATIC,
                "name": "idle power",
                "phase": outcome.name,
                "start_ps": outcome.start_ps,
                "end_ps": outcome.start_ps + outcome.time_ps,
                "amount": outcome.time_ps,
                "bytes": 0,
                "energy_j": float(device.idle_w) * seconds,
                "repeat": 1,
                "period_ps": outcome.time_ps,
            }
        )
    return rows


def _joules_per_unit(record: SegmentRecord, device: Device) -> dict[str, float]:
    """Energy of one unit served in this segment, by resource."""
    energy: dict[str, float] = {}
    served: dict[str, int] = {}
    for kernel in record.kernels:
        for name, joules in by_resource_j(kernel.events, device).items():
            energy[name] = energy.get(name, 0.0) + float(joules)
    for row in record.rows:
        served[row.resource] = served.get(row.resource, 0) + row.amount
    return {name: joules / served[name] for name, joules in energy.items() if served.get(name)}
