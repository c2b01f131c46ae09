"""Operands that the matrix unit cannot take are widened on the vector unit, beside the main loop."""

from __future__ import annotations

from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES, whole
from accelsim.mapping.gpu.resources import REGISTER, VECTOR
from accelsim.mapping.kernel import Demand, Phase
from accelsim.spec.device import GpuChip


def convert_phase(chip: GpuChip, flops: float, active: float, steps: int, label: str) -> Phase:
    """The widening of a kernel as a phase of its own, from the first byte on and as long as there is work.

    Args:
        chip: the GPU.
        flops: vector operations of all tiles.
        active: share of the SMs that have a tile.
        steps: depth steps of the main loop.
        label: rule of the kernel that it belongs to.
    """
    return Phase(
        name="convert",
        steps=steps,
        buffers=max(2, steps),
        after=(),
        compute=(
            Demand(VECTOR, whole(flops / chip.vector.flops_per_clock), active),
            Demand(REGISTER, whole(flops * VECTOR_REGISTER_BYTES), active),
        ),
        latency_s=chip.timing.memory_latency_s,
        priced_by=f"{label}/convert",
    )
