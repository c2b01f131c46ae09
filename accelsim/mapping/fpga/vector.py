"""Element-wise operators, norms and tables on an overlay's vector unit; every board does those of a whole vector."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.counts import count
from accelsim.graph.operator import Kind, Operator, Role
from accelsim.mapping.fpga.context import Context
from accelsim.mapping.fpga.layout import Layout
from accelsim.mapping.fpga.steps import Instruction, counters, instructions, through_memory
from accelsim.mapping.kernel import Kernel, Phase
from accelsim.timing.fpga.pipeline import vector_work

CONSTANTS = (
    "clock.kernel.frequency", "vector.width", "vector.add_cycles", "vector.multiply_cycles",
    "issue.overhead_cycles",
)  # fmt: skip


def kernel(op: Operator, layout: Layout, context: Context) -> Kernel:
    """One operator, or a fused chain of them."""
    parts = op.parts or (op,)
    phases = [phase for part in parts for phase in _phases(part, layout, context)]
    named = _distinct(phases)
    work = count(op)
    again = context.again(layout.part, _rows(op))
    arithmetic = {"vector": float(work.vector_flops) * again, "special": float(work.special_ops) * again}
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=0.0,
        phases=named,
        events=counters(layout, named, arithmetic),
        priced_by=f"{layout.part.overlay.lower()}/{op.kind}",
        constants=CONSTANTS,
        choice={"label": f"{layout.part.vector.width} lanes", "steps": len(named)},
    )


def _rows(op: Operator) -> int:
    """Tokens of an operator: rows of its result."""
    shape = op.outputs[0].shape
    return int(shape[0]) if len(shape) > 1 else 1


def _phases(op: Operator, layout: Layout, context: Context) -> list[Phase]:
    part = layout.part
    vector, serial = part.vector, part.issue.program == "token"
    rule = f"{part.overlay.lower()}/{op.kind}"
    rows = _rows(op) * context.again(part, _rows(op))
    if op.kind in (Kind.NORM, Kind.SOFTMAX):
        rows = int(op.dims["rows"]) * context.again(part, int(op.dims["rows"]))
    elements = float(op.dims["elements"]) * context.again(part, _rows(op))
    columns = max(1, round(elements / rows))
    work = vector_work(vector, op, columns)
    times = rows if serial else 1
    lanes = vector.width / part.matrix.cores
    cached = sum(float(t.bytes) for t in op.outputs if t.role is Role.KV_CACHE)
    tables = sum(float(t.bytes) for t in op.inputs if t.role is Role.WEIGHT)
    if op.kind in (Kind.NORM, Kind.EMBEDDING):
        tables *= layout.boards * (rows if serial and op.kind is Kind.NORM else 1)
    fused = str(op.kind) in vector.fused
    phases: list[Phase] = []
    if not part.on_chip.decode and context.decode:
        width = op.outputs[0].format.bytes_per_element
        phases.append(through_memory(layout, times, columns * width, columns * width, rule))
    lane_cycles = times * layout.cores if fused else layout.boards * elements * work.passes / lanes
    one = Instruction(
        name=str(op.kind), times=times, cycles=work.latency, parts=0 if fused else work.instructions,
        seconds=part.ddr.latency_s if op.kind is Kind.EMBEDDING else 0.0,
        vector=0 if op.kind is Kind.KV_APPEND else lane_cycles, hbm=cached, ddr=tables,
    )  # fmt: skip
    phases += instructions(layout, [one], rule)
    return [phase for phase in phases if phase.load or phase.compute or phase.latency_s]


def _distinct(phases: list[Phase]) -> tuple[Phase, ...]:
    """The same phases with names that differ."""
    seen: dict[str, int] = {}
    named = []
    for phase in phases:
        seen[phase.name] = seen.get(phase.name, 0) + 1
        number = seen[phase.name]
        named.append(phase if number == 1 else replace(phase, name=f"{phase.name}.{number}"))
    return tuple(named)
