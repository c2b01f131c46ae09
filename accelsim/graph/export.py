"""A graph for other tools: networkx, JSON and GraphML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import RequestError
from accelsim.graph.counts import count
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Graph, Operator, Role, Tensor

if TYPE_CHECKING:
    import networkx as nx


def rows(graph: Graph) -> list[dict[str, Any]]:
    """One flat record per distinct operator: dimensions, FLOPs and bytes of one execution, and its count."""
    return [{"block": block.name, "count": block.repeat, **_row(op)} for block, op in graph]


def _row(op: Operator) -> dict[str, Any]:
    counts = count(op)
    size = op.bytes()
    return {
        "name": op.name,
        "kind": str(op.kind),
        "dims": dict(op.dims),
        "flops": counts.flops,
        "matrix_flops": counts.matrix_flops,
        "bytes": size,
        "weight_bytes": op.bytes(Role.WEIGHT),
        "activation_bytes": op.bytes(Role.ACTIVATION),
        "kv_bytes": op.bytes(Role.KV_CACHE),
        "intensity_flops_per_byte": counts.flops / size if size else 0.0,
        "formats": sorted({t.format.name for t in (*op.inputs, *op.outputs)}),
    }


def to_networkx(graph: Graph) -> nx.DiGraph[str]:
    """A directed graph: a node per distinct operator, an edge per tensor from its last writer to a reader.

    Nodes carry the columns of `rows`; edges carry name, shape, role and format of the tensor and the bytes
    that the reader reads. Where several tensors go the same way, their names and shapes are listed with
    blanks between and the bytes are summed. The edge that closes a repeating block is marked `carried`.
    """
    import networkx as nx

    result: nx.DiGraph[str] = nx.DiGraph(model=graph.model, phase=graph.phase)
    writer: dict[str, str] = {}
    for block in graph.blocks:
        for op in block.operators:
            row = _row(op)
            dims = row.pop("dims")
            result.add_node(
                op.name, block=block.name, count=block.repeat, **row, **{f"dim_{k}": v for k, v in dims.items()}
            )
        for turn in range(2 if block.repeat > 1 else 1):
            for op in block.operators:
                for source, tensors in _sources(op, writer).items():
                    if not result.has_edge(source, op.name):
                        result.add_edge(source, op.name, **_edge(tensors), carried=bool(turn))
                for out in op.outputs:
                    writer[out.name] = op.name
    return result


def _sources(op: Operator, writer: dict[str, str]) -> dict[str, list[Tensor]]:
    """Tensors that an operator reads, by the operator that wrote them last; each tensor once."""
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in op.inputs:
        if tensor.name in writer:
            found.setdefault(writer[tensor.name], {}).setdefault(tensor.name, tensor)
    return {source: list(tensors.values()) for source, tensors in found.items()}


def _edge(tensors: list[Tensor]) -> dict[str, Any]:
    size: Number = 0
    for tensor in tensors:
        size = size + tensor.bytes
    return {
        "tensor": " ".join(t.name for t in tensors),
        "shape": " ".join("x".join(str(s) for s in t.shape) for t in tensors),
        "role": " ".join(sorted({str(t.role) for t in tensors})),
        "format": " ".join(sorted({t.format.name for t in tensors})),
        "bytes": size,
    }


def write(graph: Graph, path: Path) -> None:
    """Writes `.json` (rows per block) or `.graphml`; the file appears only when it is complete.

    Raises:
        RequestError: another suffix.
    """
    if path.suffix == ".json":
        document = {"schema": 1, "model": graph.model, "phase": graph.phase, "operators": rows(graph)}
        text = json.dumps(document, indent=1) + "\n"
    elif path.suffix == ".graphml":
        import networkx as nx

        plain = to_networkx(graph)
        for _, data in plain.nodes(data=True):
            data["formats"] = " ".join(data["formats"])
        text = "\n".join(nx.generate_graphml(plain)) + "\n"
    else:
        raise RequestError(f"cannot export a graph as {path.name!r}: allowed are .json and .graphml")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
