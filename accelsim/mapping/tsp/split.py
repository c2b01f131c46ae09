"""Which part of an operator one chip of a node has, and what must be exchanged in between.

A tensor is whole at every chip, or each chip has its part of the columns (or heads), or each has a summand of it. A
product with whole activations is split by columns; one whose activations are split already is split by depth, and its
results are summands, which are added up before anything but a linear combination reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import ceil

from accelsim.graph.operator import Block, Graph, Kind, Operator, Role, Tensor


class State(Enum):
    """How chips of a node have a tensor."""

    WHOLE = "whole"
    PARTS = "parts"
    SUMMANDS = "summands"


class Way(Enum):
    """How an operator is shared."""

    REPEATED = "repeated"  # every chip does all of it
    COLUMNS = "columns"
    DEPTH = "depth"
    PARTS = "parts"  # each chip its part of elements, heads or rows


@dataclass(frozen=True, slots=True)
class Step:
    """Something a node does: an operator in a way, or an exchange of a tensor.

    Attributes:
        op: the operator; for an exchange, one of kind ALL_REDUCE or SEND that was made for it.
        way: how it is shared.
    """

    op: Operator
    way: Way


_WHOLE_ROWS = frozenset({Kind.ROUTE, Kind.DISPATCH, Kind.NORM, Kind.SOFTMAX})
_BY_HEAD = frozenset({Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT})


class Splitter:
    """Walks through a graph and says step by step what a node of `width` chips does.

    Args:
        width: chips that share each operator.
        lanes: elements of a vector: a product with no more columns is repeated, since its tiles do not get fewer.
    """

    def __init__(self, width: int, lanes: int) -> None:
        self.width, self.lanes = width, lanes
        self._made: dict[tuple[str, str, tuple[object, ...]], Operator] = {}

    def steps(self, graph: Graph) -> list[tuple[Block, list[Step]]]:
        """Blocks of a graph with their steps; whatever leaves the last one is whole."""
        states: dict[str, State] = {}
        tokens = tokens_of(graph)
        found = []
        for block in graph.blocks:
            steps: list[Step] = []
            for op in block.operators:
                steps += self._operator(op, states, tokens)
            found.append((block, steps))
        if found:
            block, steps = found[-1]
            steps += self._finish(block, states)
        return found

    def _operator(self, op: Operator, states: dict[str, State], tokens: float) -> Iterator[Step]:
        if self.width == 1:
            yield Step(op, Way.REPEATED)
            return
        read = [t for t in op.inputs if t.role is Role.ACTIVATION]
        if op.kind is not Kind.COMBINE:
            for tensor in read:
                if states.get(tensor.name) is State.SUMMANDS:
                    yield self._exchange(op, tensor, Kind.ALL_REDUCE)
                    states[tensor.name] = State.WHOLE
        if _needs_whole(op, tokens):
            for tensor in read:
                if states.get(tensor.name) is State.PARTS:
                    yield self._exchange(op, tensor, Kind.SEND)
                    states[tensor.name] = State.WHOLE
        way, after = self._way(op, {states.get(t.name, State.WHOLE) for t in read})
        yield Step(op, way)
        for tensor in op.outputs:
            if tensor.role is Role.ACTIVATION:
                states[tensor.name] = after

    def _way(self, op: Operator, states: set[State]) -> tuple[Way, State]:
        if op.kind in _BY_HEAD or (op.kind is Kind.MATMUL and int(op.dims.get("batch", 1)) > 1):
            return Way.PARTS, State.PARTS
        if op.kind in (Kind.MATMUL, Kind.EXPERTS):
            if State.PARTS in states:
                return Way.DEPTH, State.SUMMANDS
            columns = ceil(float(op.dims["n"]) / self.width)
            if ceil(columns / self.lanes) < ceil(float(op.dims["n"]) / self.lanes):
                return Way.COLUMNS, State.PARTS
            return Way.REPEATED, State.WHOLE
        if op.kind is Kind.EMBEDDING:
            return Way.PARTS, State.PARTS
        if op.kind is Kind.COMBINE and State.SUMMANDS in states:
            return Way.REPEATED, State.SUMMANDS
        if State.PARTS in states:
            return Way.PARTS, State.PARTS
        return Way.REPEATED, State.WHOLE

    def _finish(self, block: Block, states: dict[str, State]) -> Iterator[Step]:
        """What the last operator leaves is gathered: results are whole at the chips that hand them on."""
        last = block.operators[-1]
        for tensor in last.outputs:
            state = states.get(tensor.name)
            if tensor.role is Role.ACTIVATION and state in (State.PARTS, State.SUMMANDS):
                yield self._exchange(last, tensor, Kind.ALL_REDUCE if state is State.SUMMANDS else Kind.SEND)

    def _exchange(self, op: Operator, tensor: Tensor, kind: Kind) -> Step:
        """An exchange before (or, for results, behind) an operator; the same object for the same tensor."""
        word = "all_reduce" if kind is Kind.ALL_REDUCE else "all_gather"
        key = (f"{op.name}.{word}", tensor.name, (*tensor.shape, tensor.format.name))
        if key not in self._made:
            dims = {"bytes": tensor.bytes, "devices": self.width, "elements": tensor.elements}
            self._made[key] = Operator(name=key[0], kind=kind, dims=dims, inputs=(tensor,), outputs=(tensor,))
        return Step(self._made[key], Way.REPEATED)


def tokens_of(graph: Graph) -> float:
    """Rows of the residual stream; infinite in a graph that has none."""
    for _, op in graph:
        for tensor in op.outputs:
            if tensor.name == "hidden":
                return float(tensor.shape[0])
    return float("inf")


def _needs_whole(op: Operator, tokens: float) -> bool:
    """Whether an operator looks at whole rows; norms of heads are as many as there are heads, and do not."""
    kinds = [part for part in (op, *op.parts) if part.kind in _WHOLE_ROWS]
    return any(part.kind in (Kind.ROUTE, Kind.DISPATCH) or float(part.dims["rows"]) <= tokens for part in kinds)
