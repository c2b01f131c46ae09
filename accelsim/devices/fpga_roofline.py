"""Closed form for an FPGA overlay without events: every operator takes as long as its most demanded resource.

Rates are peaks: all multipliers, the printed bandwidth of the HBM, links without messages. Weights, keys and values
move once and vectors stay on the chip; nothing waits and nothing is issued. Quantities may be arrays.
"""

from __future__ import annotations

from typing import Final

from accelsim.devices.base import Priced
from accelsim.graph.counts import count
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import MATRIX_KINDS, Kind, Operator, Role
from accelsim.mapping.fpga.context import by_head
from accelsim.mapping.fpga.layout import Layout
from accelsim.mapping.fpga.operands import density, event

CONSTANTS: Final = (
    "clock.kernel.frequency", "matrix.cores", "matrix.d", "matrix.l", "vector.width", "hbm.bandwidth",
    "network.bandwidth", "network.coding",
)  # fmt: skip


def price(op: Operator, layout: Layout) -> Priced:
    """Time and energy counters of one operator."""
    part, work = layout.part, count(op)
    stored: Number = 0.0
    for tensor in (*op.inputs, *op.outputs):
        if tensor.role is Role.KV_CACHE or (tensor.role is Role.WEIGHT and len(tensor.shape) > 1):
            stored = stored + tensor.bytes
    tables = op.kind is Kind.EMBEDDING  # lies in DDR
    events: dict[str, Number] = {"vector": work.vector_flops, "special": work.special_ops}
    events["ddr" if tables else "memory"] = stored
    events["buffer"] = 2 * stored
    terms: dict[str, Number] = {
        "memory": stored / (layout.boards * (part.ddr if tables else part.hbm).bandwidth_bytes_per_s),
        "vector": _least_cycles(op, layout) / layout.clock_hz,
    }
    if op.kind in MATRIX_KINDS:
        kept = density(part, op.operand_formats()[1])
        terms["compute"] = work.matrix_flops * kept / layout.peak_flops_per_s
        events[event(part)] = work.matrix_flops * kept
        if layout.boards > 1 and not by_head(op) and op.kind is not Kind.SCORES and op.name != "lm_head":
            sent = op.outputs[0].bytes * (layout.boards - 1)
            terms["link"] = sent / layout.link_bytes_per_s
            events["link"] = sent
    time: Number = 0.0
    for term in terms.values():
        time = maximum(time, term)
    return Priced(time, terms, events, work, f"{part.overlay.lower()}/roofline")


def _least_cycles(op: Operator, layout: Layout) -> Number:
    """Cycles of the vector unit: every element once, on all lanes; one cycle where a product hides it."""
    if op.kind is Kind.FUSED:
        return sum((_least_cycles(part, layout) for part in op.parts), start=0.0)
    if op.kind in MATRIX_KINDS or op.kind is Kind.KV_APPEND:
        return 0.0
    if str(op.kind) in layout.part.vector.fused:
        return 1.0
    return op.dims["elements"] / (layout.part.vector.width * layout.boards)
