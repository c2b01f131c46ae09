"""Closed-form evaluation of whole models, one run or many design points at once.

There is one implementation: a single run is a batch of one point. Points are columns; what changes the
graph's structure (model, formats) is grouped by the caller, everything else is an array.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.devices.base import Device, Offloading, Priced
from accelsim.energy import by_resource_j, total_j
from accelsim.evaluate.event import empty_row, finish
from accelsim.evaluate.phases import Passes
from accelsim.graph.operator import Graph, Operator, Role
from accelsim.results import Rows
from accelsim.spec.infeasible import Infeasible
from accelsim.units import PS_PER_S

Column = npt.NDArray[np.float64]


@dataclass(slots=True)
class OperatorTotal:
    """All executions of one operator in a phase, per point.

    `count` is the number of executions; every other figure is their sum.
    """

    op: Operator
    priced: Priced
    count: Column
    time_s: Column
    terms: dict[str, Column]
    flops: Column
    bytes: dict[str, Column]


@dataclass(slots=True)
class PhaseTotal:
    """One phase of all points.

    Attributes:
        name: "prefill" or "decode".
        steps: passes per point.
        operators: in execution order.
        events: energy counters per point.
    """

    name: str
    steps: Column
    operators: dict[str, OperatorTotal] = field(default_factory=dict)
    events: dict[str, Column] = field(default_factory=dict)

    @property
    def time_s(self) -> Column:
        """Time of the phase."""
        return _sum(total.time_s for total in self.operators.values())

    @property
    def flops(self) -> Column:
        """Arithmetic of the phase."""
        return _sum(total.flops for total in self.operators.values())

    def moved(self, role: str = "all") -> Column:
        """Bytes of tensors of one role or of all."""
        return _sum(total.bytes[role] for total in self.operators.values())


def _sum(columns: Any) -> Column:
    total: Any = 0.0
    for column in columns:
        total = total + column
    return np.asarray(total, dtype=float)


def evaluate(work: Passes, device: Device, points: int) -> list[PhaseTotal] | Infeasible:
    """Prefill and decode of `points` design points.

    Args:
        work: batch, prompt and generate may be arrays of shape [points, 1].
        device: its figures may be columns of shape [points, 1].
        points: number of points.
    """
    one = np.ones((points, 1))
    phases: list[PhaseTotal] = []
    prefill = PhaseTotal(work.first, np.ones(points))
    failed = _add(prefill, work.prefill(), device, one, points)
    if failed:
        return failed
    phases.append(prefill)
    most = int(np.max(work.generate)) - 1
    if most >= 1:
        steps = np.arange(1, most + 1, dtype=float)[None, :]
        weight = np.asarray(
            steps <= np.broadcast_to(np.asarray(work.generate, dtype=float), (points, 1)) - 1, dtype=float
        )
        decode = PhaseTotal("decode", weight.sum(axis=1))
        failed = _add(decode, work.decode(steps), device, weight, points)
        if failed:
            return failed
        phases.append(decode)
    return phases


def _add(phase: PhaseTotal, graph: Graph, device: Device, weight: Column, points: int) -> Infeasible | None:
    """Prices every operator of a graph; `weight` [points, steps] says which steps a point runs."""
    runs = weight.sum(axis=1)

    def total(value: Any) -> Column:
        array = np.asarray(value, dtype=float)
        if array.ndim == 2 and array.shape[1] > 1:
            # one step after the other: the steps that other points run beyond this one's then change no digit of it
            summed: Column = np.add.accumulate(array * weight, axis=1)[:, -1]
            spread: Column = np.broadcast_to(summed, (points,))
            return spread
        every: Column = runs * np.broadcast_to(array.reshape(-1) if array.ndim else array, (points,))
        return every

    for block, op in graph:
        priced = device.roofline(op)
        if isinstance(priced, Infeasible):
            return priced
        times = block.repeat
        moved = {role.value: total(op.bytes(role)) * times for role in Role}
        moved["all"] = _sum(moved.values())
        entry = OperatorTotal(
            op,
            priced,
            runs * times,
            total(priced.time_s) * times,
            {name: total(term) * times for name, term in priced.terms.items()},
            total(priced.counts.flops) * times,
            moved,
        )
        phase.operators[f"{block.name}/{op.name}"] = entry
        for event, amount in priced.events.items():
            phase.events[event] = phase.events.get(event, 0.0) + total(amount) * times
    return None


def copied(total: OperatorTotal, device: Device) -> Column:
    """Bytes that an operator's tensors take into and out of device memory on their way from and to a host."""
    if not isinstance(device, Offloading):
        return np.zeros_like(total.count)
    return np.asarray(total.terms["link"] * device.resources[device.roofline_resources["link"]].rate)


def operator_rows(phase: PhaseTotal, device: Device, point: int = 0) -> Rows:
    """Rows of one point, as event mode gives them."""
    status = device.status(device.roofline_constants)
    rows: dict[str, dict[str, Any]] = {}
    terms: dict[str, dict[str, float]] = {}
    for total in phase.operators.values():
        key = total.op.name
        row = rows.setdefault(key, empty_row(phase.name, total.op, total.priced.priced_by, status))
        row["count"] += round(total.count[point])
        row["flops"] += float(total.flops[point])
        for column, role in (("weight_bytes", "weight"), ("kv_bytes", "kv_cache"), ("activation_bytes", "activation")):
            row[column] += float(total.bytes[role][point])
        row["bytes"] += float(total.bytes["all"][point])
        row["dram_bytes"] += float((total.bytes["all"] + copied(total, device))[point])
        row["time_s"] += float(total.time_s[point])
        mine = terms.setdefault(key, {})
        for bound, seconds in total.terms.items():
            mine[bound] = mine.get(bound, 0.0) + float(seconds[point])
        runs = float(total.count[point])
        events = {
            event: float(np.asarray(amount).reshape(-1)[0]) * runs for event, amount in total.priced.events.items()
        }
        if all(np.size(amount) == 1 for amount in total.priced.events.values()):
            row["energy_j"] += float(total_j(events, device))
        else:  # the amounts differ from step to step
            mean = {event: float(np.mean(amount)) * runs for event, amount in total.priced.events.items()}
            row["energy_j"] += float(total_j(mean, device))
    for key, row in rows.items():
        finish(row)
        term = max(terms[key].items(), key=lambda item: item[1])[0]
        row["bound"] = device.resources[device.roofline_resources[term]].bound
    return list(rows.values())


def resource_rows(phases: list[PhaseTotal], device: Device, point: int = 0) -> Rows:
    """Time that each kind of resource would need on its own; nothing is known about when."""
    total_s = float(_sum(phase.time_s for phase in phases)[point])
    events: dict[str, float] = {}
    for phase in phases:
        for event, amount in phase.events.items():
            events[event] = events.get(event, 0.0) + float(np.broadcast_to(amount, phase.steps.shape)[point])
    energy = {name: float(j) for name, j in by_resource_j(events, device).items()}
    rows: Rows = []
    for bound, name in device.roofline_resources.items():
        busy = sum(
            float(total.terms[bound][point])
            for phase in phases
            for total in phase.operators.values()
            if bound in total.terms
        )
        resource = device.resources[name]
        moved = round(events.get(name.rpartition(".")[2], 0.0)) if resource.unit == "B" else 0
        rows.append(
            {
                "resource": name,
                "unit": resource.unit,
                "count": resource.count,
                "busy_s": busy,
                "blocked_s": 0.0,
                "limit_s": 0.0,
                "utilization": busy / total_s if total_s else 0.0,
                "amount": round(busy * resource.rate),
                "bytes": moved,
                "energy_j": energy.pop(name, 0.0),
            }
        )
    for name, joules in energy.items():
        resource = device.resources[name]
        key = name.rpartition(".")[2]
        rows.append(
            {
                "resource": name,
                "unit": resource.unit,
                "count": resource.count,
                "busy_s": 0.0,
                "blocked_s": 0.0,
                "limit_s": 0.0,
                "utilization": 0.0,
                "amount": round(events.get(key, 0.0)),
                "bytes": round(events.get(key, 0.0)) if resource.unit == "B" else 0,
                "energy_j": joules,
            }
        )
    rows.append(
        {
            "resource": "chip.static",
            "unit": "ps",
            "count": 1,
            "busy_s": total_s,
            "blocked_s": 0.0,
            "limit_s": 0.0,
            "utilization": 1.0 if total_s else 0.0,
            "amount": round(total_s * PS_PER_S),
            "bytes": 0,
            "energy_j": float(np.ravel(device.idle_w)[0]) * total_s,
        }
    )
    return rows
