"""The dictionary of columns: what every figure of a run is called, means, and is measured in.

Cells hold numbers, names, and the fixed words of `bound` and `status`; names carry the unit.
docs/results.md is generated from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from accelsim.spec.base import STATUSES

FRAMES: Final = ("phases", "operators", "resources", "memory", "timeline")
"""Tables of a run, in the order in which they are exported."""

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "summary": {
        "prefill_time_s": "time of the prompt pass, which yields the first token",
        "time_to_first_token_s": "equal to prefill_time_s for a single request",
        "decode_time_s": "time of the generate - 1 decode steps",
        "time_per_output_token_s": "decode_time_s / (generate - 1); NaN without decode steps",
        "total_time_s": "prefill and decode",
        "tokens_per_s": "batch x generate / total_time_s; prompt tokens instead where nothing is generated",
        "decode_tokens_per_s": "batch / time_per_output_token_s",
        "cycles": "total time in cycles of the chip's reference clock",
        "flops": "arithmetic of the graph, special operations counted as one",
        "dram_bytes": "bytes moved to and from device memory",
        "achieved_bandwidth_bytes_per_s": "dram_bytes / total_time_s",
        "energy_j": "all components",
        "energy_per_token_j": "energy_j / (batch x generate); per prompt token for a model that generates nothing",
        "energy_tensor_j": "matrix units",
        "energy_vector_j": "vector lanes and special functions, conversions included",
        "energy_register_j": "register files",
        "energy_shared_j": "shared memory of SMs, SRAM of tiles",
        "energy_l2_j": "last-level cache",
        "energy_memory_j": "device memory",
        "energy_link_j": "links to other chips, exchange between tiles",
        "energy_board_j": "what the board of a GPU draws beyond the events above; docs/energy.md",
        "energy_static_j": "idle power times time",
        "average_power_w": "energy_j / total_time_s",
        "power_limit_w": "board limit",
        "power_excess_w": "average power above the limit in the worse phase, 0 if none",
        "weights_bytes": "weights in their storage formats, scales included",
        "peak_memory_bytes": "weights, KV cache at its longest and the largest working set of activations",
        "memory_capacity_bytes": "device memory",
        "fits": "peak_memory_bytes <= memory_capacity_bytes",
        "events": "SimPy events scheduled; 0 for roofline",
    },
    "phases": {
        "phase": "prefill or decode; operator for a single one",
        "steps": "passes through the model",
        "time_s": "time of the phase",
        "cycles": "time in cycles of the reference clock",
        "flops": "arithmetic",
        "bytes": "bytes of all operators' tensors, each read and written once",
        "dram_bytes": "bytes moved to and from device memory",
        "achieved_flops_per_s": "flops / time_s",
        "achieved_bytes_per_s": "dram_bytes / time_s",
        "energy_j": "energy, static power included",
        "energy_tensor_j": "matrix units",
        "energy_vector_j": "vector lanes and special functions, conversions included",
        "energy_register_j": "register files",
        "energy_shared_j": "shared memory of SMs, SRAM of tiles",
        "energy_l2_j": "last-level cache",
        "energy_memory_j": "device memory",
        "energy_link_j": "links to other chips, exchange between tiles",
        "energy_board_j": "what the board of a GPU draws beyond the events above; docs/energy.md",
        "energy_static_j": "idle power times time",
        "average_power_w": "energy_j / time_s",
        "peak_memory_bytes": "memory in use in this phase",
    },
    "operators": {
        "phase": "prefill or decode; operator for a single one",
        "name": "operator, the same for equal layers",
        "kind": "kind of operator",
        "count": "executions in the phase",
        "flops": "arithmetic of all executions",
        "bytes": "weight, KV and activation bytes, each tensor once per execution",
        "weight_bytes": "bytes of weights read",
        "kv_bytes": "bytes of KV cache read and written",
        "activation_bytes": "bytes of activations read and written",
        "dram_bytes": "bytes that really move to and from device memory, repeated reads included",
        "intensity_flops_per_byte": "flops / bytes",
        "time_s": "time of all executions",
        "bound": "what set the pace for most of the time",
        "achieved_flops_per_s": "flops / time_s",
        "achieved_bytes_per_s": "dram_bytes / time_s",
        "energy_j": "dynamic energy of all executions",
        "placement": "who computes: chip where there is no choice, host or pim on a system that has one, or mixed",
        "host_time_s": "time of all executions, each alone, if the host computes; NaN without a choice",
        "pim_time_s": "the same for units beside the banks, or the least that it takes; NaN if they cannot",
        "priced_by": "rule that priced it",
        "status": "weakest status among the chip figures used",
    },
    "resources": {
        "resource": "hierarchical name",
        "unit": "unit of amount: B, clk (cycles of one of count units) or ps",
        "count": "equal units that it stands for",
        "busy_s": "time in which it had work",
        "blocked_s": "seconds that kernels waited for the mode of this memory, summed over the waiting kernels",
        "limit_s": "time in which it set the pace of a kernel; 0 for roofline and single kernels of memories",
        "utilization": "amount / (rate x total time)",
        "amount": "units served",
        "bytes": "bytes served; 0 for units",
        "energy_j": "energy spent on it",
    },
    "memory": {
        "phase": "prefill or decode; operator for a single one",
        "weights_bytes": "weights",
        "kv_cache_bytes": "KV cache at the end of the phase",
        "activations_bytes": "largest working set",
        "peak_bytes": "sum of the three",
        "capacity_bytes": "device memory",
        "fits": "peak_bytes <= capacity_bytes",
    },
    "timeline": {
        "resource": "hierarchical name",
        "name": "kernel, or kernels joined by | where they shared it",
        "phase": "prefill or decode; operator for a single one",
        "start_ps": "start of the first occurrence",
        "end_ps": "end of the first occurrence",
        "amount": "units served in one occurrence",
        "bytes": "bytes served in one occurrence",
        "energy_j": "energy of one occurrence",
        "repeat": "occurrences",
        "period_ps": "from one occurrence to the next",
    },
}
"""Frame -> column -> meaning. Units are in the names: s, ps, B as bytes, j, w."""

KERNEL_SUMMARY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kernel_cycles": "cycles of the commands of a kernel on a memory that computes",
        "readout_cycles": "cycles in which the host reads partial sums; within `cycles` if the scope counts them",
        "host_reduce_cycles": "cycles in which the host adds them up; likewise",
    }
)
"""Further figures of the summary of a kernel on HBM-PIM."""

BOUNDS: Final = (
    "compute", "vector", "memory", "cache", "sram", "exchange", "link", "sync", "pipeline", "launch", "issue", "mode",
    "refresh", "host", "convert",
)  # fmt: skip
"""Words that `bound` may hold."""

STATUS: Final = STATUSES
"""Words that `status` may hold, best first."""

TEXT: Final = frozenset({"phase", "name", "kind", "bound", "placement", "priced_by", "status", "resource", "unit"})
"""Columns of words."""

WHOLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "summary": frozenset({"cycles", "events"}),
        "phases": frozenset({"steps", "cycles"}),
        "operators": frozenset({"count"}),
        "resources": frozenset({"count", "amount", "bytes"}),
        "memory": frozenset(),
        "timeline": frozenset({"start_ps", "end_ps", "amount", "bytes", "repeat", "period_ps"}),
    }
)
"""Columns of whole numbers by frame. A column with a figure that is not known holds floats, and NaN there."""

TRUTH: Final = frozenset({"fits"})
"""Columns of true and false."""

_UNITS: Final = (
    ("bytes_per_s", "B/s"), ("flops_per_s", "FLOP/s"), ("flops_per_byte", "FLOP/B"), ("tokens_per_s", "token/s"),
    ("per_token_j", "J/token"), ("output_token_s", "s/token"), ("_ps", "ps"), ("_s", "s"), ("_j", "J"), ("_w", "W"),
    ("bytes", "B"), ("flops", "FLOP"), ("cycles", "clk"), ("amount", "see unit"),
)  # fmt: skip

Rows = list[dict[str, Any]]


def unit(column: str) -> str:
    """The unit of a column, from its name: "time_s" is in "s"; empty for words, counts and ratios."""
    return next((symbol for ending, symbol in _UNITS if column.endswith(ending)), "")


def kind(frame: str, column: str) -> str:
    """What the cells of a column are: "text", "bool", "int" or "float"."""
    if column in TEXT:
        return "text"
    if column in TRUTH:
        return "bool"
    return "int" if column in WHOLE[frame] else "float"
