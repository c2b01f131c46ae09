"""What one chip has of an operator whose layer several chips share (tensor parallelism).

Columns of the first matrices of a block and rows of the last ones lie on different chips, heads too; what each chip
then has is a partial sum of the residual stream, which an all-reduce completes. Norms and additions run on every chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from accelsim.graph.operator import Kind, Operator
from accelsim.spec.infeasible import Infeasible

_CLOSES = ("o_proj", "down_proj")
"""Last matrices of attention and feed-forward."""

_WHOLE = frozenset({Kind.NORM, Kind.ADD, Kind.EMBEDDING, Kind.ROUTE, Kind.DISPATCH, Kind.COMBINE})


@dataclass(frozen=True, slots=True)
class Share:
    """One chip's part.

    Attributes:
        columns: parts that the columns of a product are cut into.
        depth: parts that its depth is cut into.
        heads: parts that heads are dealt into.
        elements: fraction of the elements of other operators.
        reduce_bytes: what has to be summed over the chips afterwards; 0 if nothing.
    """

    columns: int = 1
    depth: int = 1
    heads: int = 1
    elements: float = 1.0
    reduce_bytes: float = 0.0


def share(op: Operator, chips: int) -> Share | Infeasible:
    """One chip's part of an operator that `chips` of them share."""
    if chips == 1:
        return Share()
    result = sum(float(tensor.bytes) for tensor in op.outputs)
    match op.kind:
        case Kind.ATTENTION | Kind.SCORES | Kind.CONTEXT | Kind.SOFTMAX:
            return _heads(op, chips)
        case Kind.MATMUL | Kind.EXPERTS:
            if not op.name.endswith(_CLOSES):
                return Share(columns=chips)
            return Share(depth=chips, reduce_bytes=result if op.kind is Kind.MATMUL else 0.0)
        case Kind.COMBINE:  # every chip has partial sums of all experts
            return Share(reduce_bytes=result)
        case kind if kind in _WHOLE or any(part.kind in _WHOLE for part in op.parts):
            return Share()
        case _:
            return Share(elements=1 / chips)


def _heads(op: Operator, chips: int) -> Share | Infeasible:
    heads, kv_heads = int(op.dims.get("heads", chips)), int(op.dims.get("kv_heads", chips))
    most = gcd(heads, kv_heads)
    if most % chips == 0:
        return Share(heads=chips, elements=1 / chips)
    legal = [n for n in range(1, most + 1) if most % n == 0]
    return Infeasible(
        "unsupported",
        f"{heads} heads with {kv_heads} key and value heads cannot be dealt to {chips} chips equally",
        demand=float(chips),
        bound=float(most),
        unit="chips",
        set_by=("tensor_parallel", "model"),
        levers=tuple(f"tensor_parallel = {n}" for n in sorted(legal, key=lambda n: abs(n - chips))[:3]),
    )
