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
from accelsim.mapping.gpu.steps import beside
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


@dataclass(frozen=True, slots=True)
class Least:
    """Least demands of one operator.

    Attributes:
        pair: how its operands meet on the matrix unit, None for element-wise work.
        counts: arithmetic of the graph.
        convert_flops: vector operations that widen operands and bring results into their format, each element once.
        label: of the conversions other than of operands, for `priced_by`.
        bytes: read and written once.
    """

    pair: Pair | None
    counts: Counts
    convert_flops: Number
    bytes: Number
    label: str = ""


def least(op: Operator, chip: GpuChip) -> Least | Infeasible:
    """The least demands of `op` on `chip`, or why it cannot run there."""
    pair = resolve(chip, *op.operand_formats()) if op.kind in MATRIX_KINDS else None
    if isinstance(pair, Infeasible):
        return pair
    steps = beside(op, chip)
    if isinstance(steps, Infeasible):
        return steps
    widened = convert_flops(op, pair) if pair else 0
    return Least(pair, count(op), widened + steps.flops, op.bytes(), steps.label)


def convert_flops(op: Operator, pair: Pair) -> Number:
    """Vector operations to widen each operand element once, and to apply scales of long blocks to partial sums."""
    flops: Number = pair.rescale * count(op).matrix_flops / 2
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
