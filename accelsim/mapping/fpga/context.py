"""What an operator does not say of itself: the pass that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.operator import Graph, Kind, Operator
from accelsim.spec.fpga import FpgaPart

_HEADS = frozenset({"q", "k", "v", "cross_k", "cross_v"})


@dataclass(frozen=True, slots=True)
class Context:
    """The pass of an operator.

    Attributes:
        decode: one token per sequence.
        rows: tokens of the pass, all sequences together; 0 where nothing is known of it.
        head_dim: width of a head; 0 where there is none.
    """

    decode: bool = True
    rows: int = 0
    head_dim: int = 0

    @classmethod
    def of(cls, graph: Graph) -> Context:
        """Read off a graph: the width of its heads, and the rows of its widest operators."""
        rows = head = 0
        for _, op in graph:
            if op.kind is Kind.MATMUL:
                rows = max(rows, int(op.dims["m"]))
            if op.kind in (Kind.ATTENTION, Kind.SCORES):
                head = int(op.dims["head_dim"])
        return cls(graph.phase != "prefill", rows, head)

    def again(self, part: FpgaPart, rows: int) -> int:
        """Times that an operator of so many rows really runs.

        A program of one token runs to the end for every token of a prompt, its head included.
        """
        if part.issue.program == "phase" or self.decode or not rows or self.rows % rows:
            return 1
        return max(1, self.rows // rows)


def by_head(op: Operator) -> bool:
    """Whether a product makes queries, keys or values, which heads keep to themselves."""
    return all(out.name in _HEADS for out in op.outputs)
