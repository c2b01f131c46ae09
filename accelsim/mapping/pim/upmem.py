"""Operators on UPMEM: rows of a matrix over DPUs and tasklets, elements in blocks; no DPU reaches another one.

A matrix-vector product gives every DPU an equal number of outputs with their weights and a copy of the input; a tasklet
computes whole outputs, for which it streams weights and input through the scratchpad. A batch repeats all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System
from accelsim.spec.upmem import UpmemPart
from accelsim.timing.upmem import Work


@dataclass(frozen=True, slots=True)
class Mapped:
    """An operator on all DPUs of a system.

    Attributes:
        work: of the busiest DPU, in one of `repeats` passes.
        repeats: passes.
        dpus: DPUs that have work.
        broadcast_bytes: the same for every DPU.
        write_bytes: what the host writes to the fullest DPU.
        read_bytes: what it reads from it.
        instructions: of all DPUs and passes.
        moved_bytes: between banks and scratchpads, of all DPUs and passes.
        used_bytes: of all banks.
        flops: useful arithmetic.
        weight_bytes: operands that stay.
        activation_bytes: operands and results that come and go.
    """

    work: Work
    repeats: int
    dpus: int
    broadcast_bytes: float
    write_bytes: float
    read_bytes: float
    instructions: float
    moved_bytes: float
    used_bytes: float
    flops: int
    weight_bytes: float
    activation_bytes: float


def matmul(part: UpmemPart, system: System, format_: str, *, m: int, n: int, k: int) -> Mapped | Infeasible:
    """[m, k] x [k, n] as m matrix-vector products."""
    row, loop = part.formats[format_], part.loop
    dpus = part.dimm.dpus * system.count
    outputs = -(-n // dpus)
    tasklets = min(outputs, part.dpu.tasklets)
    per_element = 2 * loop.load + loop.address + row.multiply + row.add + loop.control
    per_output = k * per_element + loop.store + loop.address
    blocks = -(-k * row.bytes // int(part.dma.block_bytes))
    wanted = outputs * k * row.bytes + (k + outputs) * row.bytes
    refusal = _does_not_fit(part, system, wanted, buffers=2)
    if refusal is not None:
        return refusal
    used_dpus = -(-n // outputs)
    work = Work(
        instructions=outputs * per_output,
        longest=-(-outputs // tasklets) * per_output,
        reads=(2 * outputs * blocks, 2.0 * outputs * k * row.bytes),
        writes=(outputs, 8.0 * outputs),  # the engine moves at least 8 bytes
        tasklets=tasklets,
    )
    return Mapped(
        work=work,
        repeats=m,
        dpus=used_dpus,
        broadcast_bytes=float(m * k * row.bytes),
        write_bytes=0.0,
        read_bytes=float(m * outputs * max(8, row.bytes)),
        instructions=m * n * per_output,
        moved_bytes=m * n * (2.0 * k * row.bytes + 8),
        used_bytes=float(wanted * used_dpus),
        flops=2 * m * n * k,
        weight_bytes=float(n * k * row.bytes),
        activation_bytes=float((m * k + m * n) * row.bytes),
    )


def elementwise(part: UpmemPart, system: System, format_: str, kind: str, *, elements: int) -> Mapped | Infeasible:
    """Sum, product or rectifier of elements that lie in the banks, block by block."""
    row, loop = part.formats[format_], part.loop
    dpus = part.dimm.dpus * system.count
    operands = 1 if kind == "relu" else 2
    operation = {"add": row.add, "mul": row.multiply, "relu": loop.clamp}[kind]
    per_element = operands * loop.load + loop.address + operation + loop.store + loop.control
    share = -(-elements // dpus)
    size = share * row.bytes
    blocks = -(-size // int(part.dma.block_bytes))
    tasklets = min(blocks, part.dpu.tasklets)
    refusal = _does_not_fit(part, system, (operands + 1) * size, buffers=operands + 1)
    if refusal is not None:
        return refusal
    block_elements = min(share, int(part.dma.block_bytes) // row.bytes)
    used_dpus = -(-elements // share)
    moved = float((operands + 1) * row.bytes)
    return Mapped(
        work=Work(
            instructions=share * per_element,
            longest=-(-blocks // tasklets) * block_elements * per_element,
            reads=(operands * blocks, float(operands * size)),
            writes=(blocks, float(size)),
            tasklets=tasklets,
        ),
        repeats=1,
        dpus=used_dpus,
        broadcast_bytes=0.0,
        write_bytes=float(operands * size),
        read_bytes=float(size),
        instructions=elements * per_element,
        moved_bytes=elements * moved,
        used_bytes=used_dpus * (operands + 1) * float(size),
        flops=elements,
        weight_bytes=0.0,
        activation_bytes=elements * moved,
    )


def _does_not_fit(part: UpmemPart, system: System, wanted: float, buffers: int) -> Infeasible | None:
    """Why a DPU's bank or scratchpad is too small, or None."""
    scratch = part.dpu.tasklets * buffers * part.dma.block_bytes
    for what, demand, bound, lever in (
        ("bank (MRAM)", wanted, part.dimm.mram_bytes, f"more DIMMs than {system.count}"),
        ("scratchpad (WRAM)", scratch, part.dpu.wram_bytes, "a smaller dma.block, or fewer dpu.tasklets"),
    ):
        if demand > bound:
            return Infeasible(
                "capacity",
                f"a DPU needs {demand:g} bytes of its {what} of {bound:g}",
                demand=float(demand),
                bound=float(bound),
                unit="B",
                set_by=("shape", "count"),
                levers=(lever,),
            )
    return None
