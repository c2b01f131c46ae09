"""The definitions of the summary's metrics, for one run or for a column of design points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.energy import COMPONENTS
from accelsim.graph.numbers import Number, maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTotals:
    """One phase in numbers or columns.

    Attributes:
        name: "prefill", "decode" or "operator".
        steps: passes through the model.
        time_s: duration.
        flops: arithmetic.
        bytes: operators' tensors, each once per execution.
        dram_bytes: bytes to and from device memory.
        energy_j: by component, static included.
        weights_bytes: weights in memory.
        peak_memory_bytes: memory in use.
    """

    name: str
    steps: Number
    time_s: Number
    flops: Number
    bytes: Number
    dram_bytes: Number
    energy_j: Mapping[str, Number]
    weights_bytes: Number
    peak_memory_bytes: Number

    @property
    def total_energy_j(self) -> Number:
        """All components."""
        return add(self.energy_j.values())

    @property
    def average_power_w(self) -> Number:
        """Energy over time; 0 for a phase that did not run."""
        return ratio(self.total_energy_j, self.time_s, 0.0)


def add(values: Any) -> Number:
    """Sum in the order given."""
    total: Number = 0.0
    for value in values:
        total = total + value
    return total


def ratio(top: Number, bottom: Number, otherwise: float) -> Number:
    """Top / bottom, and `otherwise` where bottom is zero."""
    if isinstance(bottom, np.ndarray) or isinstance(top, np.ndarray):
        top_, bottom_ = np.broadcast_arrays(np.asarray(top, dtype=float), np.asarray(bottom, dtype=float))
        result: Number = np.divide(top_, bottom_, out=np.full(bottom_.shape, otherwise), where=bottom_ != 0)
        return result
    return float(top) / float(bottom) if bottom else otherwise


def summarise(
    phases: Sequence[PhaseTotals],
    *,
    batch: Number,
    prompt: Number,
    generate: Number,
    clock_hz: Number,
    limit_w: Number,
    capacity_bytes: Number,
    events: int,
) -> dict[str, Any]:
    """All metrics of `accelsim.results.COLUMNS["summary"]`."""
    first, decode = phases[0], phases[1] if len(phases) > 1 else None
    total_s = add(phase.time_s for phase in phases)
    energy = {name: add(phase.energy_j[name] for phase in phases) for name in COMPONENTS}
    joules = add(energy.values())
    moved = add(phase.dram_bytes for phase in phases)
    decode_s = decode.time_s if decode else 0.0
    per_token = ratio(decode_s, decode.steps if decode else 0, float("nan"))
    generated = generate if isinstance(generate, np.ndarray) else float(generate)
    tokens = batch * (
        np.where(generated > 0, generated, prompt) if isinstance(generated, np.ndarray) else generated or prompt
    )
    excess: Number = 0.0
    peak: Number = 0.0
    for phase in phases:
        excess = maximum(excess, phase.average_power_w - limit_w)
        peak = maximum(peak, phase.peak_memory_bytes)
    cycles = total_s * clock_hz
    return {
        "prefill_time_s": first.time_s,
        "time_to_first_token_s": first.time_s,
        "decode_time_s": decode_s,
        "time_per_output_token_s": per_token,
        "total_time_s": total_s,
        "tokens_per_s": tokens / total_s,
        "decode_tokens_per_s": ratio(batch, per_token, float("nan")),
        "cycles": np.rint(cycles) if isinstance(cycles, np.ndarray) else round(cycles),
        "flops": add(phase.flops for phase in phases),
        "dram_bytes": moved,
        "achieved_bandwidth_bytes_per_s": moved / total_s,
        "energy_j": joules,
        "energy_per_token_j": joules / tokens,
        **{f"energy_{name}_j": value for name, value in energy.items()},
        "average_power_w": joules / total_s,
        "power_limit_w": limit_w,
        "power_excess_w": excess,
        "weights_bytes": first.weights_bytes,
        "peak_memory_bytes": peak,
        "memory_capacity_bytes": capacity_bytes,
        "fits": peak <= capacity_bytes,
        "events": events,
    }
