"""Closed form for a GPU without events: each operator takes as long as its most demanded resource.

The demands are those of `accelsim.mapping.gpu.demand`: everything moved once, nothing padded, no launch.
One implementation serves one run and 100,000 design points: all quantities may be arrays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from accelsim.devices.base import Priced
from accelsim.graph.counts import count
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import COLLECTIVE_KINDS, Operator
from accelsim.mapping.gpu.collective import KINDS, refusal, size_of
from accelsim.mapping.gpu.demand import least
from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES
from accelsim.mapping.gpu.figures import GpuFigures
from accelsim.mapping.gpu.links import fastest
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.gpu.collective import wire_bytes
from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES

CONSTANTS: Final = ("sm.count", "clock.sm.frequency", "peak", "vector", "l2.bandwidth", "memory.bandwidth")


def price(op: Operator, figures: GpuFigures) -> Priced | Infeasible:
    """Time and energy counters of one operator on one GPU, or why it cannot run."""
    if op.kind in COLLECTIVE_KINDS:
        return _collective(op, figures)
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


def _collective(op: Operator, figures: GpuFigures) -> Priced | Infeasible:
    """Every byte once over the link at its peak, without what a protocol adds."""
    refused, link = refusal(op, figures.chip), fastest(figures.chip)
    if refused is not None or link is None:
        assert refused is not None
        return refused
    size, devices = size_of(op)
    wire: Number = wire_bytes(KINDS[op.kind], size, devices)
    time = wire / link.bandwidth_bytes_per_s
    memory = 2 * wire / figures["memory.bandwidth"]
    events: dict[str, Number] = {"link": wire, "memory": 2 * wire, "l2": 2 * wire}
    return Priced(maximum(time, memory), {"link": time, "memory": memory}, events, count(op), "roofline")


def of_all(priced: Priced, op: Operator, devices: int) -> Priced:
    """The same of so many GPUs in step, which together compute `op`."""
    events = {name: amount * devices for name, amount in priced.events.items()}
    return replace(priced, events=events, counts=count(op))
