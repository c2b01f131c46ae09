"""The price that LLM-Viewer puts on its counts: a roofline per operator, operators one after the other.

Rules of hahnyuan/LLM-Viewer at 472f71f: compute and memory overlap perfectly inside an operator, nothing
overlaps between operators, nothing is launched or cached. Works on numbers and on arrays alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.graph.llm_viewer import Counts, OperatorCount, Phase, count
from accelsim.graph.numbers import Number, maximum
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Model


@dataclass(frozen=True, slots=True)
class PricedOperator:
    """One run of an operator on a chip.

    Attributes:
        counted: operations and bytes.
        intensity_ops_per_byte: operations per byte of memory traffic.
        ops_per_s: rate that the roofline allows at that intensity.
        bound: "memory" or "compute", or an array of these words.
        time_s: time of one run; the operator runs `counted.count` times.
    """

    counted: OperatorCount
    intensity_ops_per_byte: Number
    ops_per_s: Number
    bound: str | NDArray[np.str_]
    time_s: Number


@dataclass(frozen=True, slots=True)
class Priced:
    """A phase on a chip: what it counts, and each operator's price."""

    counts: Counts
    operators: tuple[PricedOperator, ...]

    @property
    def time_s(self) -> Number:
        """All runs of all operators, one after the other."""
        return self._over_runs([row.time_s for row in self.operators])

    def total(self, column: str) -> Number:
        """Sum over all runs of an attribute of `OperatorCount`, such as "ops" or "load_weight_bytes"."""
        return self._over_runs([getattr(row.counted, column) for row in self.operators])

    def _over_runs(self, values: list[Number]) -> Number:
        total: Number = 0.0
        for row, value in zip(self.operators, values, strict=True):
            total = total + value * row.counted.count
        return total


def evaluate(
    model: Model,
    chip: LlmViewerChip,
    phase: Phase,
    *,
    batch: Number,
    length: Number,
    weight_bits: Number,
    activation_bits: Number,
    kv_bits: Number,
    flash: bool = False,
) -> Priced:
    """One prefill of `length` tokens, or one decode step over a KV cache of `length`, as LLM-Viewer prices it.

    The arguments are those of `accelsim.graph.llm_viewer.count`; numbers and arrays that broadcast mix freely.

    Raises:
        RequestError: as `count`, or operands of at most 8 bits on a chip without an int8 rate.
    """
    counts = count(
        model,
        phase,
        batch=batch,
        length=length,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        kv_bits=kv_bits,
        flash=flash,
        onchip_bytes=chip.onchip.capacity_bytes,
    )
    return price(counts, chip, peak_ops_per_s(chip, weight_bits, activation_bits, kv_bits))


def price(counts: Counts, chip: LlmViewerChip, peak: Number) -> Priced:
    """Counted operators on a chip; `peak` is the rate in operations per second, see `peak_ops_per_s`."""
    return Priced(counts, tuple(_price(row, chip.memory.bandwidth_bytes_per_s, peak) for row in counts.operators))


def peak_ops_per_s(chip: LlmViewerChip, weight_bits: Number, activation_bits: Number, kv_bits: Number) -> Number:
    """The int8 rate where weights, activations and KV cache all have at most 8 bits, else the fp16 rate.

    Raises:
        RequestError: the chip has no int8 rate and some point asks for it.
    """
    widest = maximum(maximum(weight_bits, activation_bits), kv_bits)
    fp16: float = chip.peak.fp16_flops_per_s
    int8: float | None = chip.peak.int8_ops_per_s
    if int8 is None:
        if np.any(widest <= 8):
            raise RequestError(
                f"chip {chip.name!r} has no int8 rate (peak.int8): in the llm-viewer convention weights, "
                "activations and KV cache of at most 8 bits run at that rate; try 16-bit activations, "
                "or a chip with peak.int8"
            )
        return fp16
    if isinstance(widest, np.ndarray):
        return np.where(widest <= 8, int8, fp16)
    return int8 if widest <= 8 else fp16


def _price(row: OperatorCount, bandwidth_bytes_per_s: float, peak: Number) -> PricedOperator:
    # the order of operations is the tool's, so that results agree to the last digits
    intensity = row.ops / row.bytes
    below = intensity < peak / bandwidth_bytes_per_s
    rate: Number
    bound: str | NDArray[np.str_]
    if isinstance(below, np.ndarray):
        rate = np.where(below, intensity * bandwidth_bytes_per_s, peak)
        bound = np.where(below, "memory", "compute")
    else:
        rate = intensity * bandwidth_bytes_per_s if below else peak
        bound = "memory" if below else "compute"
    return PricedOperator(row, intensity, rate, bound, row.ops / rate)
