"""A run in LLM-Viewer's convention, defects included, brought to the public form.

Energy, power and cycles are unknown to that tool and stay NaN; a model that does not fit is reported by
`fits` and priced all the same, as the tool does.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from accelsim import catalog
from accelsim.energy import COMPONENTS
from accelsim.errors import RequestError
from accelsim.graph.llm_viewer import Footprint, Phase
from accelsim.results import COLUMNS, Rows, Run, Tables
from accelsim.spec import read
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Model
from accelsim.spec.request import Request
from accelsim.timing.llm_viewer import Priced, evaluate, peak_ops_per_s

Name = str | PathLike[str]
NAN = float("nan")
DEFAULT = "fp16"


def run(
    model: Model,
    chip: Chip,
    *,
    batch: int,
    prompt: int,
    generate: int,
    weights: Name | Format | None,
    activations: Name | Format | None,
    kv_cache: Name | Format | None,
    fidelity: str,
    flash: bool,
) -> Run:
    """Prefill at `prompt`, then generate - 1 decode steps; step i reads prompt + i - 1 cached positions.

    Raises:
        RequestError: fidelity "event", or a model or chip that the tool cannot express.
    """
    if fidelity != "roofline":
        raise RequestError(
            f"convention 'llm-viewer' is a roofline, fidelity is {fidelity!r}: add --fidelity roofline "
            '(fidelity="roofline")'
        )
    if not isinstance(chip, LlmViewerChip | GpuChip):
        raise RequestError(f"convention 'llm-viewer' knows only chips with one peak and one bandwidth: not {chip.name}")
    figures = chip if isinstance(chip, LlmViewerChip) else _figures(chip)
    weight, activation = catalog.format_(weights or DEFAULT), catalog.format_(activations or DEFAULT)
    cache = catalog.format_(kv_cache) if kv_cache else activation
    request = Request(
        model=model.name,
        chip=chip.name,
        batch=batch,
        prompt=prompt,
        generate=generate,
        weights=weight.name,
        activations=activation.name,
        kv_cache=cache.name,
        fidelity=fidelity,
        convention="llm-viewer",
        fuse=flash,
    )

    def phase(name: Phase, length: Any) -> Priced:
        return evaluate(
            model,
            figures,
            name,
            batch=batch,
            length=length,
            weight_bits=weight.bits_per_element,
            activation_bits=activation.bits_per_element,
            kv_bits=cache.bits_per_element,
            flash=flash,
        )

    priced: list[tuple[str, Priced, int]] = [("prefill", phase("prefill", prompt), 1)]
    if generate > 1:
        priced.append(("decode", phase("decode", prompt + np.arange(generate - 1)), generate - 1))
    operators = [row for name, content, steps in priced for row in _operator_rows(name, content, steps)]
    capacity = float(figures.memory.capacity_bytes)
    memory = [_memory_row(name, content.counts.footprint, capacity) for name, content, _ in priced]
    phases = [_phase_row(name, steps, operators, memory) for name, _, steps in priced]
    summary = _summary(request, phases, memory)
    warnings = (
        ()
        if summary["fits"]
        else ("the model does not fit the memory of this card; LLM-Viewer prices it all the same",)
    )
    bits = (form.bits_per_element for form in (weight, activation, cache))
    roofs = {
        "memory": float(figures.memory.bandwidth_bytes_per_s),
        f"{weight.name} x {activation.name}": float(peak_ops_per_s(figures, *bits)),
    }
    return Run(request, summary, Tables(phases, operators, [], memory, list), None, warnings, roofs=roofs)


def _figures(chip: GpuChip) -> LlmViewerChip:
    """The tool's few figures of one of our chips: fp16 and int8 peak, bandwidth, register files."""
    cycles = chip.sm.count * chip.clock.sm.frequency_hz
    rates = {
        row.operands: row.flops_per_clock * cycles
        for row in chip.peak
        if row.sparsity == "dense" and row.operands[0] == row.operands[1]
    }
    if ("fp16", "fp16") not in rates:
        raise RequestError(f"{chip.name} has no fp16 rate, which convention 'llm-viewer' needs")
    raw = {"source": f"derived from {chip.name}", "status": "derived"}
    int8 = rates.get(("int8", "int8"))
    return read.validate(
        LlmViewerChip,
        {
            **raw,
            "name": chip.name,
            "family": "llm-viewer",
            "peak": {**raw, "fp16": rates["fp16", "fp16"], **({"int8": int8} if int8 else {})},
            "memory": {**raw, "bandwidth": chip.memory.bandwidth_bytes_per_s, "capacity": chip.memory.capacity_bytes},
            "onchip": {**raw, "capacity": chip.sm.registers_bytes * chip.sm.count},
        },
        origin=chip.name,
        si=True,
    )


def _total(value: Any, steps: int) -> float:
    """Sum over the steps; a number stands for every step."""
    return float(np.sum(value)) if np.ndim(value) else float(value) * steps


def _operator_rows(phase: str, priced: Priced, steps: int) -> Rows:
    rows: Rows = []
    for entry in priced.operators:
        counted = entry.counted
        times = counted.count
        flops, moved, seconds = (_total(v, steps) * times for v in (counted.ops, counted.bytes, entry.time_s))
        kv = _total(counted.load_kv_cache_bytes + counted.store_kv_cache_bytes, steps) * times
        bounds = np.broadcast_to(entry.bound, (steps,))
        rows.append(
            {
                "phase": phase,
                "name": counted.name,
                "kind": "llm_viewer",
                "count": times * steps,
                "flops": flops,
                "bytes": moved,
                "weight_bytes": _total(counted.load_weight_bytes, steps) * times,
                "kv_bytes": kv,
                "activation_bytes": _total(counted.load_act_bytes + counted.store_act_bytes, steps) * times,
                "dram_bytes": moved,
                "intensity_flops_per_byte": flops / moved,
                "time_s": seconds,
                "bound": "memory" if np.count_nonzero(bounds == "memory") * 2 >= steps else "compute",
                "achieved_flops_per_s": flops / seconds,
                "achieved_bytes_per_s": moved / seconds,
                "energy_j": NAN,
                "placement": "chip",
                "host_time_s": float("nan"),
                "pim_time_s": float("nan"),
                "priced_by": "llm-viewer",
                "status": "derived",
            }
        )
    return rows


def _memory_row(phase: str, footprint: Footprint, capacity: float) -> dict[str, Any]:
    """The tool's memory consumption; of several steps the last."""
    weights, cache, held = (
        float(np.ravel(v)[-1]) for v in (footprint.weight_bytes, footprint.kv_cache_bytes, footprint.act_bytes)
    )
    peak = weights + cache + held
    return {
        "phase": phase,
        "weights_bytes": weights,
        "kv_cache_bytes": cache,
        "activations_bytes": held,
        "peak_bytes": peak,
        "capacity_bytes": capacity,
        "fits": peak <= capacity,
    }


def _phase_row(phase: str, steps: int, operators: Rows, memory: Rows) -> dict[str, Any]:
    mine = [row for row in operators if row["phase"] == phase]
    flops, moved, seconds = (sum(row[key] for row in mine) for key in ("flops", "bytes", "time_s"))
    return {
        "phase": phase,
        "steps": steps,
        "time_s": seconds,
        "cycles": NAN,
        "flops": flops,
        "bytes": moved,
        "dram_bytes": moved,
        "achieved_flops_per_s": flops / seconds,
        "achieved_bytes_per_s": moved / seconds,
        "energy_j": NAN,
        **{f"energy_{name}_j": NAN for name in COMPONENTS},
        "average_power_w": NAN,
        "peak_memory_bytes": next(row["peak_bytes"] for row in memory if row["phase"] == phase),
    }


def _summary(request: Request, phases: Rows, memory: Rows) -> dict[str, Any]:
    total = sum(row["time_s"] for row in phases)
    decode = phases[1] if len(phases) > 1 else None
    per_token = decode["time_s"] / decode["steps"] if decode else NAN
    moved = sum(row["bytes"] for row in phases)
    return {
        **dict.fromkeys(COLUMNS["summary"], NAN),
        "prefill_time_s": phases[0]["time_s"],
        "time_to_first_token_s": phases[0]["time_s"],
        "decode_time_s": decode["time_s"] if decode else 0.0,
        "time_per_output_token_s": per_token,
        "total_time_s": total,
        "tokens_per_s": request.batch * (request.generate or request.prompt) / total,
        "decode_tokens_per_s": request.batch / per_token,
        "flops": sum(row["flops"] for row in phases),
        "dram_bytes": moved,
        "achieved_bandwidth_bytes_per_s": moved / total,
        "weights_bytes": memory[0]["weights_bytes"],
        "peak_memory_bytes": max(row["peak_bytes"] for row in memory),
        "memory_capacity_bytes": memory[0]["capacity_bytes"],
        "fits": all(row["fits"] for row in memory),
        "events": 0,
    }
