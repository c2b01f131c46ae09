"""Element-wise and row-wise operators on a GPU: a stream through the SMs with a few loads in flight."""

from __future__ import annotations

from accelsim.graph.counts import count
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.events import FLOPS_PER_SLOT, VECTOR_REGISTER_BYTES, energy_events, whole
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.resources import L2, L2_PORT, REGISTER, SPECIAL, VECTOR
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Demand, Kernel, Phase
from accelsim.spec.device import GpuChip

CHUNK_BYTES = 16 * 1024
"""Bytes that one thread block takes in at once: 1,024 threads with a 16-byte load each."""

STAGES = 4
CONSTANTS = (
    "sm.count",
    "clock.sm.frequency",
    "vector",
    "sm.register_bandwidth",
    "sm.l2_port",
    "l2.bandwidth",
    "memory.bandwidth",
    FIGURE,
    "timing.launch",
    "timing.memory_latency",
    "timing.in_flight",
)


def kernel(op: Operator, chip: GpuChip, conversions: Steps, memory: MemoryPort) -> Kernel:
    """One pass over the inputs; a row of a norm or softmax stays with one thread block."""
    read = whole(sum(float(t.bytes) for t in op.inputs))
    written = whole(sum(float(t.bytes) for t in op.outputs))
    counts = count(op)
    blocks = max(1, -(-(read + written) // (2 * CHUNK_BYTES)))
    rows = _rows(op)
    again = _read_again(op, chip, rows)
    if rows is not None:
        blocks = min(blocks, rows) if blocks > rows else max(blocks, min(rows, chip.sm.count))
    busy = min(chip.sm.count, blocks)
    share = busy / chip.sm.count
    in_flight = min(chip.timing.bytes_in_flight_per_sm, STAGES * CHUNK_BYTES)
    under_way = busy * in_flight
    steps = max(1, -(-(read + again) // (busy * CHUNK_BYTES)))
    vector, converted = float(counts.vector_flops), whole(conversions.flops)
    phase = Phase(
        name="stream",
        steps=steps,
        buffers=STAGES,
        load=(
            memory.load(read + again, under_way),
            Demand(L2, read + again),
            Demand(L2_PORT, read + again, share),
        ),
        compute=(
            Demand(VECTOR, whole((vector * FLOPS_PER_SLOT + converted) / chip.vector.flops_per_clock), share),
            Demand(SPECIAL, whole(float(counts.special_ops) / chip.vector.special_ops_per_clock), share),
            Demand(REGISTER, whole((vector + converted) * VECTOR_REGISTER_BYTES), share),
        ),
        store=(memory.store(written, under_way), Demand(L2, written), Demand(L2_PORT, written, share)),
        stores=steps,
        latency_s=chip.timing.memory_latency_s,
        most=memory.mixed(read + again, written),
        priced_by=f"stream/{op.kind}",
    )
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=chip.timing.launch_s,
        phases=(phase,),
        events=energy_events((phase,), op, None, converted),
        priced_by=f"stream/{op.kind}{conversions.label}",
        constants=tuple(dict.fromkeys((*CONSTANTS, *conversions.figures))),
        choice={"label": f"{blocks} blocks", "tiles": blocks, "waves": -(-blocks // chip.sm.count), "stages": STAGES},
    )


def _read_again(op: Operator, chip: GpuChip, rows: int | None) -> int:
    """Bytes of a second pass: rows that no SM can hold are read once for their statistics and once to be scaled."""
    if rows is None:
        return 0
    source = whole(op.inputs[0].bytes)
    held = chip.sm.registers_bytes + chip.sm.shared_bytes
    return source if source / rows > held else 0


def _rows(op: Operator) -> int | None:
    """Rows that cannot be divided over thread blocks, None for free element-wise work."""
    for part in (op, *op.parts):
        if part.kind in (Kind.NORM, Kind.SOFTMAX):
            return max(1, int(part.dims["rows"]))
    return None
