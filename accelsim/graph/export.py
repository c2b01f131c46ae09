"""A graph for other tools: networkx, JSON and GraphML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import RequestError
from accelsim.graph.counts import count
from accelsim.graph.operator import Graph, Operator, Role

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

    Nodes carry the columns of `rows`; edges carry tensor name, shape, role, format and bytes. The edge
    that closes a repeating block is marked `carried`.
    """
    import networkx as nx

    result: nx.DiGraph[str] = nx.DiGraph(model=graph.model, phase=graph.phase)
    writer: dict[str, str] = {}
    for block in graph.blocks:
        for op in block.operators:
            row = _row(op)
            dims = row.pop("dims")
            result.add_node(op.name, block=block.name, count=block.repeat, **row, **{f"dim_{k}": v for k, v in dims.items()})
        passes = 2 if block.repeat > 1 else 1
        for turn in range(passes):
            for op in block.operators:
                for tensor in op.inputs:
                    if (source := writer.get(tensor.name)) is None or (turn and result.has_edge(source, op.name)):
                        continue
                    result.add_edge(
                        source, op.name, tensor=tensor.name, shape="x".join(str(s) for s in tensor.shape),
                        role=str(tensor.role), format=tensor.format.name, bytes=tensor.bytes, carried=bool(turn),
                    )  # fmt: skip
                for out in op.outputs:
                    writer[out.name] = op.name
    return result


def write(graph: Graph, path: Path) -> None:
    """Writes `.json` (rows per block) or `.graphml`; the file appears only when it is complete."""
    partial = path.with_name(path.name + ".partial")
    if path.suffix == ".json":
        document = {"schema": 1, "model": graph.model, "phase": graph.phase, "operators": rows(graph)}
        partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    elif path.suffix == ".graphml":
        import networkx as nx

        plain = to_networkx(graph)
        for _, data in plain.nodes(data=True):
            data["formats"] = " ".join(data["formats"])
        nx.write_graphml(plain, partial)
    else:
        raise RequestError(f"cannot export a graph as {path.name!r}: allowed are .json and .graphml")
    partial.replace(path)
