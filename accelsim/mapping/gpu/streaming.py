"""Element-wise and row-wise operators on a GPU: a stream through the SMs with a few loads in flight."""

from __future__ import annotations

from accelsim.graph.counts import count
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.events import FLOPS_PER_SLOT, VECTOR_REGISTER_BYTES, energy_events, whole
from accelsim.mapping.gpu.library import ROWS, Library
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.resources import L2, L2_PORT, REGISTER, SPECIAL, VECTOR
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Demand, Kernel, Phase
from accelsim.spec.calibration import RowKernels
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.reuse import missed

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


def kernel(
    op: Operator,
    chip: GpuChip,
    conversions: Steps,
    memory: MemoryPort,
    held: RowKernels | None = None,
    library: Library | None = None,
) -> Kernel:
    """One pass over the inputs; a row of a norm or softmax stays with one thread block.

    Args:
        op: the operator.
        chip: the GPU.
        conversions: of what it reads and writes.
        memory: of the chip.
        held: what the kernels of norms and softmax hold; what an SM can hold if None.
        library: with the residency of activations; nothing is in L2 if None.
    """
    read = whole(sum(float(t.bytes) for t in op.inputs))
    written = whole(sum(float(t.bytes) for t in op.outputs))
    counts = count(op)
    blocks = max(1, -(-(read + written) // (2 * CHUNK_BYTES)))
    rows = _rows(op)
    by_row = held is not None and op.kind in (Kind.NORM, Kind.SOFTMAX)
    again = _read_again(op, chip, rows, held)
    if rows is not None:
        blocks = min(blocks, rows) if blocks > rows else max(blocks, min(rows, chip.sm.count))
    busy = min(chip.sm.count, blocks)
    share = busy / chip.sm.count
    in_flight = min(chip.timing.bytes_in_flight_per_sm, STAGES * CHUNK_BYTES)
    under_way = busy * in_flight
    part = _missed(library, read + written, chip)
    from_memory, to_memory = whole((read + again) * part), whole(written * part)
    steps = max(1, -(-(read + again) // (busy * CHUNK_BYTES)))
    vector, converted = float(counts.vector_flops), whole(conversions.flops)
    phase = Phase(
        name="stream",
        steps=steps,
        buffers=STAGES,
        load=(
            memory.load(from_memory, under_way),
            Demand(L2, read + again),
            Demand(L2_PORT, read + again, share),
        ),
        compute=(
            Demand(VECTOR, whole((vector * FLOPS_PER_SLOT + converted) / chip.vector.flops_per_clock), share),
            Demand(SPECIAL, whole(float(counts.special_ops) / chip.vector.special_ops_per_clock), share),
            Demand(REGISTER, whole((vector + converted) * VECTOR_REGISTER_BYTES), share),
        ),
        store=(memory.store(to_memory, under_way), Demand(L2, written), Demand(L2_PORT, written, share)),
        stores=steps,
        latency_s=chip.timing.memory_latency_s,
        most=memory.mixed(from_memory, to_memory),
        priced_by=f"stream/{op.kind}",
    )
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=chip.timing.launch_s,
        phases=(phase,),
        events=energy_events((phase,), op, None, converted),
        priced_by=f"stream/{op.kind}{conversions.label}",
        constants=tuple(dict.fromkeys((*CONSTANTS, *conversions.figures, *((ROWS,) if by_row else ())))),
        choice={"label": f"{blocks} blocks", "tiles": blocks, "waves": -(-blocks // chip.sm.count), "stages": STAGES},
    )


def _missed(library: Library | None, moved: int, chip: GpuChip) -> float:
    """Part of the bytes that L2 does not hold."""
    if library is None:
        return 1.0
    usable = library.calibration.gemm.usable_l2 * chip.l2.capacity_bytes
    return float(missed(library.conditions.residency.activations, moved, usable))


def _read_again(op: Operator, chip: GpuChip, rows: int | None, held: RowKernels | None) -> int:
    """Bytes of a second pass: rows that are not held are read once for their statistics and once to be scaled."""
    if rows is None:
        return 0
    source = whole(op.inputs[0].bytes)
    if held is not None and op.kind in (Kind.NORM, Kind.SOFTMAX):
        columns = held.norm_columns if op.kind is Kind.NORM else held.softmax_columns
        if float(op.dims["elements"]) / rows > columns:
            return source
    return source if source / rows > chip.sm.registers_bytes + chip.sm.shared_bytes else 0


def _rows(op: Operator) -> int | None:
    """Rows that cannot be divided over thread blocks, None for free element-wise work."""
    for part in (op, *op.parts):
        if part.kind in (Kind.NORM, Kind.SOFTMAX):
            return max(1, int(part.dims["rows"]))
    return None
