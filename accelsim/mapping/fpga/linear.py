"""A vector or panel times a matrix: tiles of d inputs x l outputs, columns over cores and boards."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.graph.counts import count
from accelsim.graph.operator import Kind, Operator, Role
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.fpga.context import Context, by_head
from accelsim.mapping.fpga.fabric import shapes
from accelsim.mapping.fpga.layout import Layout
from accelsim.mapping.fpga.operands import density, event
from accelsim.mapping.fpga.steps import Instruction, counters, gather, instructions, instructions_of, through_memory
from accelsim.mapping.kernel import Alternative, Kernel
from accelsim.timing.fpga.pipeline import Shape, product_cycles

CONSTANTS = (
    "clock.kernel.frequency", "matrix.cores", "matrix.d", "matrix.l", "matrix.multiply_cycles", "matrix.add_cycles",
    "issue.overhead_cycles", "hbm.channels", "hbm.port_bits", "hbm.burst", "hbm.outstanding", "hbm.latency",
)  # fmt: skip
_BEST_BYTES = 8
RING_CONSTANTS = ("network.bandwidth", "network.coding", "network.overhead")


@dataclass(frozen=True, slots=True)
class _Size:
    rows: int
    k: int
    n: int
    matrices: int
    weight_bytes: float
    """Of one element."""


def _size(op: Operator, layout: Layout, context: Context, shape: Shape) -> _Size:
    """Rows, inputs, columns; a panel takes the lengths that programs are kept for."""
    d, issue = op.dims, layout.part.issue
    matrices = int(d["experts"]) if op.kind is Kind.EXPERTS else int(d.get("batch", 1))
    rows = int(d["m"])
    if op.kind is Kind.EXPERTS:
        rows = -(-rows // matrices)
    if shape.rows > 1 and issue.program == "phase" and not context.decode and rows > 1:
        rows = -(-rows // issue.prompt_step) * issue.prompt_step
    weight = next((t for t in op.inputs if t.role is Role.WEIGHT and len(t.shape) > 1), op.inputs[1])
    return _Size(rows * context.again(layout.part, rows), int(d["k"]), int(d["n"]), matrices,
                 weight.format.bytes_per_element)  # fmt: skip


def kernel(op: Operator, layout: Layout, context: Context) -> Kernel:
    """The faster of the shapes that the multipliers have."""
    made = [_shaped(op, layout, context, _size(op, layout, context, shape), shape) for shape in shapes(layout.part)]
    timed = sorted((kernel_time_s(one, layout.resources), index) for index, one in enumerate(made))
    best = made[timed[0][1]]
    alternatives = tuple(Alternative(str(made[index].choice["label"]), seconds) for seconds, index in timed)
    return replace(best, alternatives=alternatives)


def _shaped(op: Operator, layout: Layout, context: Context, size: _Size, shape: Shape) -> Kernel:
    part = layout.part
    matrix, serial = part.matrix, part.issue.program == "token"
    rule = f"{part.overlay.lower()}/{'vector' if shape.rows == 1 else 'panel'}-matrix"
    columns = -(-size.n // layout.cores)
    passes = size.matrices * -(-size.rows // shape.rows)
    kept = density(part, op.operand_formats()[1])
    tiles = passes * shape.tiles(size.k, columns)
    padded_k = -(-size.k // shape.d) * shape.d
    read = passes * layout.cores * padded_k * -(-columns // shape.l) * shape.l * size.weight_bytes
    heads = -(-columns // context.head_dim) if part.issue.per_head and context.head_dim and by_head(op) else 1
    blocks = -(-columns // matrix.columns) if matrix.columns else 1
    times = (passes if serial else size.matrices) * heads
    biases = [t for t in op.inputs if t.role is Role.WEIGHT and len(t.shape) == 1]
    depth = product_cycles(matrix, shape, size.k) + (part.vector.add_cycles if biases else 0)
    product = Instruction(
        name="product", times=times, cycles=depth, seconds=part.hbm.latency_s, matrix=layout.cores * tiles * kept,
        hbm=read, ddr=(size.rows if serial else 1) * float(sum(t.bytes for t in biases)),
    )  # fmt: skip
    phases = instructions(layout, [product], rule)
    if not part.on_chip.decode and context.decode:
        width = op.inputs[0].format.bytes_per_element
        made = min(matrix.columns or columns, columns)
        phases.insert(0, through_memory(layout, passes * blocks, size.k * width, made * width, rule))
    if not by_head(op):
        tokens = (size.rows, 1) if serial else (1, size.rows)
        vector = size.n * op.outputs[0].format.bytes_per_element
        if op.name == "lm_head":  # each board sends its best token, and how good it is
            vector = float(_BEST_BYTES * layout.boards)
        phases += gather(layout, tokens[0], tokens[1] * vector, rule)
    flops = float(count(op).matrix_flops) * (size.rows * size.matrices / max(1, int(op.dims["m"])) if serial else 1)
    kernel_ = Kernel(
        name=op.name, operator=op, launch_s=0.0, phases=tuple(phases),
        events=counters(layout, tuple(phases), {event(part): flops * kept}),
        priced_by=rule, constants=CONSTANTS + (RING_CONSTANTS if layout.boards > 1 else ()),
    )  # fmt: skip
    choice = {
        "label": f"{shape.rows} x {shape.d} x {shape.l}", "tile": f"{shape.d}x{shape.l}", "passes": passes,
        "tiles": tiles, "instructions": instructions_of(kernel_, layout), "depth_cycles": depth, "density": kept,
    }  # fmt: skip
    return replace(kernel_, choice=choice)
