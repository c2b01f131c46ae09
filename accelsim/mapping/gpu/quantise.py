"""The pass that brings activations into a narrower format before a product: a scale is found, then every value rounded.

Where a library's kernels for that format were measured, its fixed time and its bytes are theirs; else it is one stream.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.operator import Operator
from accelsim.mapping.gpu import streaming
from accelsim.mapping.gpu.events import energy_events, whole
from accelsim.mapping.gpu.library import CALIBRATED, Library
from accelsim.mapping.gpu.memory import MemoryPort
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Demand, Kernel
from accelsim.spec.device import GpuChip


def kernel(op: Operator, chip: GpuChip, conversions: Steps, memory: MemoryPort, library: Library) -> Kernel:
    """The pass over the input; its scale is a tensor's, or a block's as the format says."""
    stream = streaming.kernel(op, chip, conversions, memory)
    name = op.outputs[0].format.name
    row = library.calibration.row(name, name)
    if row is None:
        return stream
    (phase,) = stream.phases
    written = whole(float(op.outputs[0].bytes))
    # constants tell the bytes at the peak of the memory; streams draw less of it, and so many fewer bytes are meant
    told = row.prepass_bytes * float(op.outputs[0].elements)
    share = memory.streaming(1 - min(1.0, written / told))
    moved = whole(told * share)
    read = max(whole(float(op.inputs[0].bytes)), moved - written)
    made = replace(
        phase,
        load=tuple(
            Demand(d.resource, read, 1.0 if d.resource == MEMORY else d.share)
            if d.resource in (MEMORY, L2, L2_PORT)
            else d
            for d in phase.load
        ),
        latency_s=0.0,
        priced_by=f"{phase.priced_by}@{library.label}",
    )
    return replace(
        stream,
        launch_s=row.prepass_s,
        phases=(made,),
        events=energy_events((made,), op, None, whole(conversions.flops)),
        priced_by=f"{stream.priced_by}@{library.label}",
        constants=(*stream.constants, CALIBRATED),
        choice={**stream.choice, "calibration": library.calibration.name},
    )
