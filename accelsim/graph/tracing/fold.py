"""Recorded operators as a graph: equal layers become one block that repeats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from accelsim.graph.build import layer_name
from accelsim.graph.operator import Block, Operator, Role, Tensor
from accelsim.spec.huggingface.common import longest_repetition


@dataclass(frozen=True, slots=True)
class Calls:
    """What was recorded; names of a layer's operators and weights are relative to the layer.

    Attributes:
        before: embedding, and whatever precedes the layers.
        layers: operators of each layer.
        after: final norm and lm_head.
    """

    before: tuple[Operator, ...]
    layers: tuple[tuple[Operator, ...], ...]
    after: tuple[Operator, ...]


def fold(calls: Calls) -> tuple[Block, ...]:
    """Blocks in execution order: "embedding", slices of the layers, "head"."""
    numbers: dict[Any, int] = {}
    kinds = [numbers.setdefault(tuple(_signature(op) for op in layer), len(numbers)) for layer in calls.layers]
    blocks = [Block("embedding", 1, calls.before)]
    at = 0
    while at < len(kinds):
        span, repeat = longest_repetition(kinds[at:])
        ops: list[Operator] = []
        for index in range(at, at + span):
            prefix = layer_name("layers", index, span, repeat, len(kinds))
            ops += [_prefixed(op, prefix) for op in calls.layers[index]]
        blocks.append(Block(f"layers[{at}:{at + span * repeat}]", repeat, tuple(ops)))
        at += span * repeat
    return (*blocks, Block("head", 1, calls.after))


def _signature(op: Operator) -> Any:
    """What two operators of equal layers have in common."""
    attributes = tuple(sorted((key, str(value)) for key, value in op.attributes.items() if key != "loads"))
    return op.name, op.kind, tuple(op.dims.items()), op.inputs, op.outputs, attributes


def _prefixed(op: Operator, prefix: str) -> Operator:
    """The operator and its own weights and tables, named after the slice of layers."""

    def named(tensor: Tensor) -> Tensor:
        own = tensor.role is Role.WEIGHT or tensor.name.endswith(".table")
        return replace(tensor, name=f"{prefix}.{tensor.name}") if own else tensor

    return replace(op, name=f"{prefix}.{op.name}", inputs=tuple(named(tensor) for tensor in op.inputs))
