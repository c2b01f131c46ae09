"""What an operator costs: the one place where FLOPs and pairs are counted ("corrected" convention).

All functions take numbers or arrays of design points. A multiply-add is two FLOPs. Special operations
(exp, rsqrt, tanh, reciprocal) are counted apart, because chips have other units for them.
Bytes are derived from the operator's tensors (`Operator.bytes`): everything is read and written once;
what a kernel reads again is its mapping's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.numbers import Number, maximum, minimum
from accelsim.graph.operator import Graph, Kind, Operator

NORM_FLOPS = {"rms": 4, "layer": 7}
"""Per element. RMS: square, sum, scale, weight. Layer: sum, subtract, square, sum, scale, weight, bias."""

SOFTMAX_FLOPS = 4
"""Per element besides the exponential: maximum, subtract, sum, scale."""

POSITION_BIAS_FLOPS = {"relative": 1, "alibi": 2}
"""Per score, where positions are added to it: a table's entry (T5); slope times distance (ALiBi)."""

ACTIVATIONS = {
    "relu": (1, 0),
    "relu2": (2, 0),
    "silu": (3, 2),  # negate, add, multiply; exp and reciprocal
    "gelu": (7, 1),  # tanh form: x + c x^3 (4), scale, add, multiply; tanh
    "gelu_exact": (5, 1),  # erf form
    "sigmoid": (2, 2),  # negate, add; exp and reciprocal
    "identity": (0, 0),
}
"""(FLOPs, special operations) per element."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Arithmetic of one operator.

    Attributes:
        matrix_flops: FLOPs of matrix multiplication.
        vector_flops: other FLOPs, special operations not included.
        special_ops: exp, rsqrt, tanh, reciprocal.
    """

    matrix_flops: Number
    vector_flops: Number
    special_ops: Number

    @property
    def flops(self) -> Number:
        """All arithmetic, a special operation counted as one FLOP."""
        return self.matrix_flops + self.vector_flops + self.special_ops

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.matrix_flops + other.matrix_flops,
            self.vector_flops + other.vector_flops,
            self.special_ops + other.special_ops,
        )


def attended_pairs(query: Number, past: Number, kv: Number, *, causal: bool, window: Number | None) -> Number:
    """(query, key) pairs that one head computes for one sequence.

    Query i (from 0) stands at position past + i and sees the positions up to its own, the latest
    `window` of them if there is a window. Without causality it sees all `kv` keys.
    """
    if not causal:
        return query * (kv if window is None else minimum(kv, window))
    if window is None:
        return query * past + query * (query + 1) // 2
    growing = minimum(maximum(window - past, 0), query)  # queries that still see everything
    return growing * past + growing * (growing + 1) // 2 + (query - growing) * window


def _pairs(op: Operator) -> Number:
    d = op.dims
    return attended_pairs(
        d["query"], d["past"], d["kv"], causal=bool(op.attributes["causal"]), window=op.attributes.get("window")
    )


def _softmax_flops(op: Operator) -> int:
    """FLOPs per score besides the exponential."""
    return SOFTMAX_FLOPS + POSITION_BIAS_FLOPS.get(op.attributes.get("position_bias") or "", 0)


def count(op: Operator) -> Counts:
    """The arithmetic of one operator, by its kind and dimensions."""
    d = op.dims
    match op.kind:
        case Kind.MATMUL:
            return Counts(2 * d["m"] * d["n"] * d["k"] * d.get("batch", 1), 0, 0)
        case Kind.EXPERTS:
            return Counts(2 * d["m"] * d["n"] * d["k"], 0, 0)
        case Kind.ATTENTION:
            pairs = d["batch"] * d["heads"] * _pairs(op)
            return Counts(2 * pairs * (d["head_dim"] + d["value_dim"]), _softmax_flops(op) * pairs, pairs)
        case Kind.SCORES:  # written out as a whole rectangle: the mask saves nothing
            return Counts(2 * d["batch"] * d["heads"] * d["query"] * d["kv"] * d["head_dim"], 0, 0)
        case Kind.CONTEXT:
            return Counts(2 * d["batch"] * d["heads"] * d["query"] * d["kv"] * d["value_dim"], 0, 0)
        case Kind.SOFTMAX:
            return Counts(0, _softmax_flops(op) * d["elements"], d["elements"] + d["rows"])
        case Kind.NORM:
            return Counts(0, NORM_FLOPS[op.attributes["norm"]] * d["elements"], d["rows"])
        case Kind.ACTIVATION:
            flops, special = ACTIVATIONS[op.attributes["activation"]]
            return Counts(0, flops * d["elements"], special * d["elements"])
        case Kind.ROPE:  # two multiplications and an addition per rotated element
            return Counts(0, 3 * d["elements"], 0)
        case Kind.QUANTIZE:  # magnitude and running maximum; rounding is a matter of the machine
            return Counts(0, 2 * d["elements"], 0)
        case Kind.ADD | Kind.MULTIPLY:
            return Counts(0, d["elements"], 0)
        case Kind.EMBEDDING:  # position and segment rows are added
            return Counts(0, d["elements"] * (d["tables"] - 1), 0)
        case Kind.ROUTE:  # softmax over the experts, then `active` passes of a running maximum
            return Counts(0, (SOFTMAX_FLOPS + d["active"]) * d["elements"], d["elements"])
        case Kind.COMBINE:
            return Counts(0, 2 * d["active"] * d["elements"], 0)
        case Kind.KV_APPEND:  # one operation per element where the cache has a format of its own
            return Counts(0, d["elements"] if op.inputs[0].format != op.outputs[0].format else 0, 0)
        case Kind.DISPATCH | Kind.ALL_REDUCE | Kind.ALL_GATHER | Kind.REDUCE_SCATTER | Kind.ALL_TO_ALL | Kind.SEND:
            return Counts(0, 0, 0)
        case Kind.FUSED:
            total = Counts(0, 0, 0)
            for part in op.parts:
                total = total + count(part)
            return total


def rectangle_flops(op: Operator) -> Number:
    """Matrix FLOPs when nothing is saved for causality or a window, as a tracer of the model sees it."""
    if op.kind is not Kind.ATTENTION:
        return count(op).matrix_flops
    d = op.dims
    return 2 * d["batch"] * d["heads"] * d["query"] * d["kv"] * (d["head_dim"] + d["value_dim"])


def matrix_flops(graph: Graph, *, causal: bool = True) -> Number:
    """Matrix FLOPs of a whole phase; `causal=False` counts full rectangles of attention."""
    total: Number = 0
    for block, op in graph:
        total = total + block.repeat * (count(op).matrix_flops if causal else rectangle_flops(op))
    return total
