"""Depth of an overlay's pipelines and the tiles that they take, in cycles of the kernel clock.

Latencies are those of the operators; a sum of n terms passes ceil(log2 n) adders, whether they lie side by side in a
tree or are met one after the other by pairs of partial sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from accelsim.graph.operator import Kind, Operator
from accelsim.spec.fpga import Matrix, Vector


@dataclass(frozen=True, slots=True)
class Shape:
    """A way to use the multipliers of one core: `rows` tokens x `d` inputs x `l` output columns in a cycle."""

    rows: int
    d: int
    l: int  # noqa: E741 - the field's letter for lanes

    @property
    def products(self) -> int:
        """Multiplications of a cycle."""
        return self.rows * self.d * self.l

    def tiles(self, k: int, n: int) -> int:
        """Cycles of one pass of [rows, k] x [k, n] on one core."""
        return -(-k // self.d) * -(-n // self.l)


def levels(terms: float) -> int:
    """Adders that a sum of so many terms passes."""
    return ceil(log2(terms)) if terms > 1 else 0


def product_cycles(matrix: Matrix, shape: Shape, k: int) -> int:
    """From an input vector at the lanes to the last sum of k products.

    The vector reaches l lanes through a tree of registers; products are summed by the tree of d inputs (all of its
    levels, however short the vector) and by the accumulation over ceil(k / d) tiles.
    """
    adders = levels(shape.d) + levels(-(-k // shape.d))
    return matrix.spread_cycles * levels(shape.l) + matrix.multiply_cycles + matrix.add_cycles * adders


@dataclass(frozen=True, slots=True)
class VectorWork:
    """One vector operator on one row, or on rows that stream through.

    Attributes:
        instructions: one after the other, each waiting for the one before.
        passes: times that every element goes through the lanes.
        latency: of all instructions together, without the elements.
    """

    instructions: int
    passes: int
    latency: int


def vector_work(vector: Vector, op: Operator, columns: int) -> VectorWork:
    """What an element-wise operator, norm or softmax over rows of so many columns takes."""
    add, multiply = vector.add_cycles, vector.multiply_cycles
    total = add * (levels(min(vector.width, columns)) + levels(-(-columns // vector.width)))
    match op.kind:
        case Kind.NORM if op.attributes["norm"] == "layer":
            # mean, center, square, variance, root, scale, weight, bias
            steps = [total + multiply, add, vector.square_cycles, total + multiply, vector.root_cycles]
            steps += [multiply, multiply, add]
        case Kind.NORM:
            steps = [vector.square_cycles, total + multiply, vector.root_cycles, multiply, multiply]
        case Kind.SOFTMAX:  # the maximum is found where the scores leave the lanes
            steps = [add, vector.exp_cycles, total, vector.root_cycles, multiply]
        case Kind.ROPE:
            steps = [multiply, multiply, add]
        case Kind.ACTIVATION:
            steps = [vector.table_cycles]
        case Kind.MULTIPLY | Kind.COMBINE:
            steps = [multiply]
        case Kind.ADD | Kind.EMBEDDING:
            steps = [add]
        case Kind.ROUTE:
            steps = [vector.exp_cycles, total, vector.root_cycles, *[total] * int(op.dims["active"])]
        case _:
            steps = [0]
    if vector.chained:
        reduced = op.kind in (Kind.NORM, Kind.SOFTMAX, Kind.ROUTE)
        return VectorWork(1, 2 if reduced else len(steps), sum(steps))
    return VectorWork(len(steps), len(steps), sum(steps))
