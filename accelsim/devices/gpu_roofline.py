"""Closed form for a GPU without events: each operator takes as long as its most demanded resource.

The demands are those of `accelsim.mapping.gpu.demand`: everything moved once, nothing padded, no launch.
One implementation serves one run and 100,000 design points: all quantities may be arrays.
"""

from __future__ import annotations

from typing import Final

from accelsim.devices.base import Priced
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import Operator
from accelsim.mapping.gpu.demand import least
from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES
from accelsim.mapping.gpu.figures import GpuFigures
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES

CONSTANTS: Final = ("sm.count", "clock.sm.frequency", "peak", "vector", "l2.bandwidth", "memory.bandwidth")


def price(op: Operator, figures: GpuFigures) -> Priced | Infeasible:
    """Time and energy counters of one operator, or why it cannot run."""
    need = least(op, figures.chip)
    if isinstance(need, Infeasible):
        return need
    vector = need.counts.vector_flops + need.convert_flops
    terms: dict[str, Number] = {
        "vector": maximum(vector / figures.vector_flops_per_s, need.counts.special_ops / figures.special_ops_per_s),
        "cache": need.bytes / figures.l2_bytes_per_s,
        "memory": need.bytes / figures["memory.bandwidth"],
    }
    events: dict[str, Number] = {
        "vector": vector,
        "special": need.counts.special_ops,
        "register": vector * VECTOR_REGISTER_BYTES,
        "l2": need.bytes,
        "memory": need.bytes,
    }
    label = "roofline"
    if need.pair is not None:
        terms["compute"] = need.counts.matrix_flops / figures.tensor_flops_per_s(need.pair)
        events[need.pair.event] = need.counts.matrix_flops
        products = need.counts.matrix_flops / 2
        events["register"] = events["register"] + products * 2 * ACCUMULATOR_BYTES / MMA_DEPTH
        events["shared"] = need.bytes * (1 + figures.chip.sm.operand_reads)
        first, second = (form.name for form in op.operand_formats())
        label += need.pair.label(first, second)
    label += need.label
    time: Number = 0.0
    for term in terms.values():
        time = maximum(time, term)
    return Priced(time, terms, events, need.counts, label)
