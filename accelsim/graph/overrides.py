"""Single tensors in formats of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from accelsim.errors import RequestError
from accelsim.graph.operator import Graph, Operator, Tensor
from accelsim.spec.format import Format

Overrides = Mapping[str, Format]


def overridden(graph: Graph, overrides: Overrides) -> Graph:
    """The graph with other storage formats for single tensors.

    Args:
        graph: one phase.
        overrides: formats by the name of a tensor (`hidden`, `logits`), of a weight
            (`layers.mlp.down_proj.weight`) or by the end of such a name (`down_proj.weight`).

    Raises:
        RequestError: a name that no tensor has.
    """
    if not overrides:
        return graph
    used: set[str] = set()

    def change(tensor: Tensor) -> Tensor:
        key = next((k for k in overrides if tensor.name == k or tensor.name.endswith(f".{k}")), None)
        if key is None:
            return tensor
        used.add(key)
        return replace(tensor, format=overrides[key])

    def op_of(op: Operator) -> Operator:
        return replace(
            op, inputs=tuple(map(change, op.inputs)), outputs=tuple(map(change, op.outputs)),
            parts=tuple(map(op_of, op.parts)),
        )  # fmt: skip

    made = graph.with_blocks(
        tuple(replace(block, operators=tuple(map(op_of, block.operators))) for block in graph.blocks)
    )
    unknown = [key for key in overrides if key not in used]
    if unknown:
        names = sorted({t.name for _, op in graph for t in (*op.inputs, *op.outputs)})
        raise RequestError(f"overrides: no tensor is named {unknown[0]!r}; there are {', '.join(_short(names))}")
    return made


def _short(names: Iterable[str], most: int = 30) -> list[str]:
    found = list(names)
    return found[:most] + (["..."] if len(found) > most else [])
