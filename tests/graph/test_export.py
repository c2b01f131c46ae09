"""Graphs for other tools: what is written can be read back with the same totals."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph import build, export
from accelsim.graph.attention import Formats
from accelsim.graph.counts import matrix_flops
from accelsim.graph.operator import Graph
from accelsim.graph.transforms import fuse


@pytest.fixture(params=["llama-2-7b", "mixtral-8x7b", "t5-xxl", "deepseek-v2-lite"])
def graph(request: pytest.FixtureRequest, bf16: Formats) -> Graph:
    model = catalog.model(str(request.param))
    return fuse(build.decode(model, batch=3, prompt=100, step=2, formats=bf16))


def total_bytes(graph: Graph) -> float:
    return float(sum(block.repeat * op.bytes() for block, op in graph))


def test_json_reads_back(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.json"
    export.write(graph, file)
    document = json.loads(file.read_text())
    assert (document["schema"], document["model"], document["phase"]) == (1, graph.model, "decode")
    rows = document["operators"]
    assert [row["name"] for row in rows] == [op.name for _, op in graph]
    assert sum(row["count"] * row["matrix_flops"] for row in rows) == pytest.approx(matrix_flops(graph), rel=1e-12)
    assert sum(row["count"] * row["bytes"] for row in rows) == pytest.approx(total_bytes(graph), rel=1e-12)
    for row in rows:
        assert row["bytes"] == pytest.approx(row["weight_bytes"] + row["activation_bytes"] + row["kv_bytes"])
        assert row["intensity_flops_per_byte"] == pytest.approx(row["flops"] / row["bytes"])


def test_graphml_reads_back(graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "graph.graphml"
    export.write(graph, file)
    read = nx.read_graphml(file)
    assert read.graph["model"] == graph.model
    nodes = dict(read.nodes(data=True))
    assert sum(n["count"] * n["matrix_flops"] for n in nodes.values()) == pytest.approx(matrix_flops(graph), rel=1e-12)
    assert sum(n["count"] * n["bytes"] for n in nodes.values()) == pytest.approx(total_bytes(graph), rel=1e-12)
    assert set(read.edges) == set(graph.to_networkx().edges)


def test_edges_carry_all_tensors_that_go_the_same_way(bf16: Formats) -> None:
    graph = fuse(build.decode(catalog.model("llama-2-7b"), batch=1, prompt=9, step=1, formats=bf16))
    edges = graph.to_networkx().edges
    edge = edges["layers.attention.rope_kv_append", "layers.attention.attend"]
    assert edge["tensor"] == "q k_cache v_cache"
    assert edge["shape"] == "1x1x32x128 1x10x32x128 1x10x32x128"
    assert edge["bytes"] == 2 * (4096 + 2 * 10 * 4096)
    assert edge["role"] == "activation kv_cache"


def test_the_edge_that_closes_a_layer_is_marked(bf16: Formats) -> None:
    graph = build.prefill(catalog.model("llama-2-7b"), batch=1, prompt=9, formats=bf16)
    edges = graph.to_networkx().edges
    assert edges["layers.mlp_add", "layers.attention_norm"]["carried"]
    assert not edges["embedding", "layers.attention_norm"]["carried"]
    assert not edges["layers.mlp_add", "final_norm"]["carried"]


@pytest.mark.parametrize("name", ["graph.png", "graph", "graph.json.gz"])
def test_other_suffixes_are_refused(name: str, graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"allowed are \.json and \.graphml"):
        export.write(graph, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["json", "graphml"])
def test_a_failed_write_leaves_the_old_file(
    suffix: str, graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"graph.{suffix}"
    file.write_text("before")

    def interrupted(self: Path, *args: object, **keys: object) -> None:
        self.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.write(graph, file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == b"before"
