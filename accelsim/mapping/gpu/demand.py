"""What an operator demands of a GPU at the very least: the roofline's side of the mapping.

Everything is read and written once and nothing is padded. Takes numbers or arrays of design points;
the tiled kernels of this package demand the same or more.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.counts import Counts, count
from accelsim.graph.numbers import Number, prod
from accelsim.graph.operator import MATRIX_KINDS, Operator
from accelsim.mapping.gpu.pairs import Pair, resolve
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


@dataclass(frozen=True, slots=True)
class Least:
    """Least demands of one operator.

    Attributes:
        pair: how its operands meet on the matrix unit, None for element-wise work.
        counts: arithmetic of the graph.
        convert_flops: vector operations that widen operands, each element once.
        bytes: read and written once.
    """

    pair: Pair | None
    counts: Counts
    convert_flops: Number
    bytes: Number


def least(op: Operator, chip: GpuChip) -> Least | Infeasible:
    """The least demands of `op` on `chip`, or why it cannot run there."""
    if op.kind not in MATRIX_KINDS:
        return Least(None, count(op), 0, op.bytes())
    activation, weight = op.operand_formats()
    pair = resolve(chip, activation.name, weight.name)
    if isinstance(pair, Infeasible):
        return pair
    return Least(pair, count(op), convert_flops(op, pair), op.bytes())


def convert_flops(op: Operator, pair: Pair) -> Number:
    """Vector operations to widen each operand element once."""
    flops: Number = 0
    if pair.first is not None:
        flops = flops + pair.first.flops_per_element * op.inputs[0].elements
    if pair.second is not None:
        for tensor in op.inputs[1:]:
            # biases and the like ride along in their own format
            if tensor.format == op.operand_formats()[1] and len(tensor.shape) > 1:
                flops = flops + pair.second.flops_per_element * (
                    prod(tensor.shape) if tensor.moved is None else tensor.moved
                )
    return flops
