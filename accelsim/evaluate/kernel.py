"""One kernel on a memory that computes: from names and dimensions to a `Run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from accelsim import catalog
from accelsim.devices.families import kernel_device
from accelsim.devices.pim.base import KernelDevice, KernelResult
from accelsim.energy import COMPONENTS
from accelsim.errors import RequestError, UnknownNameError, did_you_mean
from accelsim.evaluate import outcome
from accelsim.evaluate.operators import KINDS, checked
from accelsim.evaluate.summary import PhaseTotals, summarise
from accelsim.results import Rows, Run, Tables
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.request import Request
from accelsim.spec.system import System

NAN = float("nan")


def operator(
    kind: str,
    dims: Mapping[str, Any],
    system: System,
    *,
    format_: str | PathLike[str] | Format | None,
    weights: str | PathLike[str] | Format | None,
    fidelity: str,
    scope: str | None,
    variant: str | None,
    chips: int | str,
) -> Run:
    """One operator on the parts of a system; the host takes no part in it.

    Raises:
        RequestError: a dimension, scope or variant that is not allowed.
        UnknownNameError: no such operator.
    """
    if kind not in KINDS:
        raise UnknownNameError("operator", kind, KINDS, hint=f"operators: {', '.join(KINDS)}")
    given = checked(kind, dims)
    asked = format_.name if isinstance(format_, Format) else str(format_) if format_ is not None else None
    device = kernel_device(system, catalog.part(system), asked)
    scope_ = _one_of("scope", scope, device.scopes, device.scopes[-1])
    request = Request(
        model=kind, chip=system.name, batch=1, prompt=1, generate=0, weights=device.native,
        activations=device.native, kv_cache=device.native, fidelity=fidelity, scope=scope_,
    )  # fmt: skip
    refusal = _refused(kind, given, device, system, (format_, weights), chips)
    if refusal is not None:
        return outcome.infeasible(request, refusal, [], ())
    variants = device.variants[kind]
    request = replace(request, variant=_one_of("variant", variant, variants, variants[0]))
    sizes = (
        {key: given[key] for key in ("m", "n", "k")}
        if kind == "matmul"
        else {"elements": given["elements"] or given["rows"] * given["columns"]}
    )
    result = device.operator(kind, sizes, scope=scope_, variant=request.variant, fidelity=fidelity)
    if isinstance(result, Infeasible):
        return outcome.infeasible(request, result, [_memory(result.demand, 0.0, result.bound)], ())
    return _run(request, device, result, kind)


def trace(file: str | PathLike[str], system: System, *, scope: str | None) -> Run:
    """The commands of a trace file on the parts of a system.

    Raises:
        RequestError: a line that is no command, with its number; an unknown scope.
    """
    device = kernel_device(system, catalog.part(system))
    scope_ = _one_of("scope", scope, device.scopes, device.scopes[-1])
    result = device.trace(file, scope=scope_)
    request = Request(
        model="trace", chip=system.name, batch=1, prompt=1, generate=0, weights=device.native,
        activations=device.native, kv_cache=device.native, scope=scope_,
    )  # fmt: skip
    return _run(request, device, result, "trace")


def _one_of(name: str, value: str | None, allowed: tuple[str, ...], default: str) -> str:
    if value is None:
        return default
    if value not in allowed:
        raise RequestError(f"{name} = {value!r}: allowed are {', '.join(allowed)}{did_you_mean(value, allowed)}")
    return value


def _refused(
    kind: str, given: Mapping[str, Any], device: KernelDevice, system: System,
    formats: tuple[str | PathLike[str] | Format | None, ...], chips: int | str,
) -> Infeasible | None:  # fmt: skip
    """Why the parts cannot compute that at all, or None."""
    for asked in formats:
        name = asked.name if isinstance(asked, Format) else asked
        if name is not None and str(name) != device.native and catalog.format_(name).name != device.native:
            reason = f"the units of {system.part} compute in {device.native}, and nothing converts {name} for them"
            return Infeasible("unsupported", reason, set_by=("format",), levers=(f"format = {device.native}",))
    if kind not in device.variants:
        reason = f"{system.part} has no command for {kind}; its units do {', '.join(device.variants)}"
        return Infeasible("unsupported", reason, set_by=("kind",), levers=(f"run it on the host, {system.host}",))
    if given.get("batch", 1) != 1:
        reason = (
            f"batch = {given['batch']}: independent products are kernels of their own; m is the batch of one matrix"
        )
        return Infeasible("unsupported", reason, set_by=("batch",), levers=("m instead of batch",))
    if chips != 1:
        reason = f"{chips} systems of {system.name}: the number of parts is the system's count"
        return Infeasible("unsupported", reason, set_by=("chips",), levers=(f"overrides: count = {system.count}",))
    return None


def _run(request: Request, device: KernelDevice, result: KernelResult, kind: str) -> Run:
    energy = dict.fromkeys(COMPONENTS, 0.0 if result.spent else NAN)
    for part in result.spent:
        energy[part.component] += part.joules
    moved = result.weight_bytes + result.activation_bytes
    totals = PhaseTotals(
        name="operator", steps=1, time_s=result.time_s, flops=result.flops, bytes=moved, dram_bytes=result.dram_bytes,
        energy_j=energy, weights_bytes=result.weight_bytes, peak_memory_bytes=result.used_bytes,
    )  # fmt: skip
    summary = summarise(
        [totals], batch=1, prompt=1, generate=0, clock_hz=device.clock_hz, limit_w=NAN,
        capacity_bytes=device.capacity_bytes, events=0,
    )  # fmt: skip
    summary |= {"cycles": result.cycles, **result.extra}
    tables = Tables(
        outcome.phase_rows([totals], device.clock_hz), [_operator_row(kind, result, moved, energy)],
        _resources(result), [_memory(result.used_bytes, result.weight_bytes, device.capacity_bytes)], result.timeline,
    )  # fmt: skip
    return Run(request, summary, tables, None, result.warnings, roofs=result.roofs)


def _operator_row(kind: str, result: KernelResult, moved: float, energy: Mapping[str, float]) -> dict[str, Any]:
    return {
        "phase": "operator",
        "name": kind,
        "kind": kind,
        "count": 1,
        "flops": result.flops,
        "bytes": moved,
        "weight_bytes": result.weight_bytes,
        "kv_bytes": 0.0,
        "activation_bytes": result.activation_bytes,
        "dram_bytes": result.dram_bytes,
        "intensity_flops_per_byte": result.flops / moved if moved else NAN,
        "time_s": result.time_s,
        "bound": result.bound,
        "achieved_flops_per_s": result.flops / result.time_s,
        "achieved_bytes_per_s": result.dram_bytes / result.time_s,
        "energy_j": sum(joules for name, joules in energy.items() if name != "static"),
        "placement": "pim",
        "host_time_s": NAN,
        "pim_time_s": result.time_s,
        "priced_by": result.priced_by,
        "status": result.status,
    }


def _resources(result: KernelResult) -> Rows:
    return [
        {
            "resource": part.resource,
            "unit": part.unit,
            "count": part.count,
            "busy_s": part.busy_s,
            "blocked_s": 0.0,
            "limit_s": 0.0,
            "utilization": part.busy_s / result.time_s,
            "amount": part.amount,
            "bytes": part.bytes,
            "energy_j": part.joules,
        }
        for part in result.spent
    ]


def _memory(peak: float, weights: float, capacity: float) -> dict[str, Any]:
    return {
        "phase": "operator",
        "weights_bytes": weights,
        "kv_cache_bytes": 0.0,
        "activations_bytes": max(0.0, peak - weights),
        "peak_bytes": peak,
        "capacity_bytes": capacity,
        "fits": peak <= capacity,
    }
