"""Attention on an overlay: scores, softmax and weighted sum of one head after the other, on each core.

Keys and values lie in the HBM in tiles of the multipliers; a query reads those of its own head. A tile of a panel
takes the queries of all heads that share a KV head. Positions are padded to the length that a program is kept for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from accelsim.graph.counts import count
from accelsim.graph.operator import Kind, Operator, Role
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.fpga.context import Context
from accelsim.mapping.fpga.fabric import shapes
from accelsim.mapping.fpga.layout import Layout
from accelsim.mapping.fpga.linear import CONSTANTS as PRODUCT
from accelsim.mapping.fpga.linear import RING_CONSTANTS
from accelsim.mapping.fpga.operands import event
from accelsim.mapping.fpga.steps import Instruction, counters, gather, instructions, through_memory
from accelsim.mapping.kernel import Alternative, Kernel
from accelsim.timing.fpga.pipeline import Shape, VectorWork, product_cycles, vector_work

CONSTANTS = (
    *PRODUCT, "vector.width", "vector.add_cycles", "vector.multiply_cycles", "vector.exp_cycles", "vector.root_cycles",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Walk:
    """Tiles of queries of one head of one sequence.

    Attributes:
        tiles: of queries, one after the other.
        scores: cycles of the score products of all of them on one core.
        context: cycles of the weighted sums.
        vectors: cycles in which the lanes of one core pass all scores once.
        keys: elements of keys read, padded to tiles.
        values: elements of values read; none where they are part of the keys.
        lengths: attended positions, padded, and how many tiles attend to so many.
    """

    tiles: int
    scores: int
    context: int
    vectors: int
    keys: int
    values: int
    lengths: tuple[tuple[int, int], ...]

    def mean(self, of: Callable[[int], float]) -> float:
        """The mean over the tiles of a figure that depends on the attended positions."""
        return sum(of(length) * tiles for length, tiles in self.lengths) / self.tiles


def _walk(op: Operator, shape: Shape, together: int, step: int, lanes: float) -> _Walk:
    """Walks over the queries; `together` query heads share keys and values, positions come in multiples of `step`."""
    d = {name: int(value) for name, value in op.dims.items()}
    rows = d["query"] * together
    first = np.arange(0, rows, shape.rows, dtype=np.int64)
    last = np.minimum(first + shape.rows, rows) - 1
    kv = np.full(first.shape, d["kv"], dtype=np.int64)
    if op.attributes["causal"]:
        kv = np.minimum(d["past"] + last // together + 1, d["kv"])
    if (window := op.attributes.get("window")) is not None:
        kv = np.minimum(kv, int(window) + (shape.rows - 1) // together)
    kv = -(-kv // step) * step
    by_d, by_l = -(-kv // shape.d), -(-kv // shape.l)
    deep, wide = -(-d["head_dim"] // shape.d), -(-d["value_dim"] // shape.l)
    return _Walk(
        tiles=len(first),
        scores=int((deep * by_l).sum()),
        context=int((by_d * wide).sum()),
        vectors=int(np.ceil(kv * shape.rows / lanes).sum()),
        keys=int((by_l * shape.l).sum()) * deep * shape.d,
        values=0 if op.attributes.get("shared_kv") else int((by_d * shape.d).sum()) * wide * shape.l,
        lengths=tuple(zip(*(found.tolist() for found in np.unique(kv, return_counts=True)), strict=True)),
    )


def kernel(op: Operator, layout: Layout, context: Context) -> Kernel:
    """The faster of the shapes that the multipliers have."""
    made = [_shaped(op, layout, context, shape) for shape in shapes(layout.part)]
    timed = sorted((kernel_time_s(one, layout.resources), index) for index, one in enumerate(made))
    best = made[timed[0][1]]
    alternatives = tuple(Alternative(str(made[index].choice["label"]), seconds) for seconds, index in timed)
    return replace(best, alternatives=alternatives)


def _shaped(op: Operator, layout: Layout, context: Context, shape: Shape) -> Kernel:
    part, d = layout.part, op.dims
    rule = f"{part.overlay.lower()}/attention"
    together = int(d["heads"] // d["kv_heads"]) if shape.rows > 1 else 1
    heads = int(d["heads"]) // together
    lanes = part.vector.width / part.matrix.cores
    one = context.decode or shape.rows == 1
    walk = _walk(op, shape, together, part.issue.decode_step if one else part.issue.prompt_step, lanes)
    walks = int(d["batch"]) * heads  # one for each head and sequence
    in_a_row = int(d["batch"]) * -(-heads // layout.cores)
    idle = in_a_row * layout.cores / walks  # cores without a head wait for the others
    cached = [t.format.bytes_per_element for t in op.inputs if t.role is not Role.ACTIVATION]
    width = [*cached, *[op.inputs[-1].format.bytes_per_element] * 2][:2]
    softmax = partial(_softmax, op, layout)
    times, latency = in_a_row * walk.tiles, part.hbm.latency_s
    depth = partial(product_cycles, part.matrix, shape)
    listed = {
        Kind.SCORES: Instruction(
            name="scores", times=times, cycles=depth(int(d["head_dim"])) + part.vector.multiply_cycles, seconds=latency,
            matrix=walks * idle * walk.scores, hbm=walks * walk.keys * width[0],
        ),
        Kind.SOFTMAX: Instruction(
            name="softmax", times=times, cycles=walk.mean(lambda length: softmax(length).latency),
            parts=softmax(1).instructions,
            vector=softmax(1).passes * walks * idle * walk.vectors,
        ),
        Kind.CONTEXT: Instruction(
            name="context", times=times, cycles=walk.mean(depth), seconds=latency, matrix=walks * idle * walk.context,
            hbm=walks * walk.values * width[-1],
        ),
    }  # fmt: skip
    chosen = list(listed.values()) if op.kind is Kind.ATTENTION else [listed[op.kind]]
    phases = instructions(layout, chosen, rule)
    act = op.outputs[0].format.bytes_per_element
    if not part.on_chip.decode and context.decode:
        moved = shape.rows * (float(d["head_dim"]) + walk.mean(float)) * act
        phases.insert(0, through_memory(layout, len(chosen) * times, moved, moved, rule))
    if op.kind is not Kind.SCORES:
        serial = part.issue.program == "token"
        tokens = int(d["batch"]) * int(d["query"])
        vector = int(d["heads"]) * int(d["value_dim"]) * act
        phases += gather(layout, tokens if serial else 1, vector if serial else tokens * vector, rule)
    work = count(op)
    arithmetic = {event(part): work.matrix_flops, "vector": work.vector_flops, "special": work.special_ops}
    return Kernel(
        name=op.name, operator=op, launch_s=0.0, phases=tuple(phases),
        events=counters(layout, tuple(phases), {name: float(amount) for name, amount in arithmetic.items()}),
        priced_by=rule, constants=CONSTANTS + (RING_CONSTANTS if layout.boards > 1 else ()),
        choice={
            "label": f"{shape.rows} x {shape.d} x {shape.l}", "tile": f"{shape.d}x{shape.l}",
            "heads in a row": in_a_row, "query tiles": walk.tiles, "positions": walk.lengths[-1][0],
        },
    )  # fmt: skip


def _softmax(op: Operator, layout: Layout, columns: int) -> VectorWork:
    rows = Operator(name=op.name, kind=Kind.SOFTMAX, dims={}, inputs=(), outputs=(), attributes=op.attributes)
    return vector_work(layout.part.vector, rows, columns)
