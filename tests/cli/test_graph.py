"""Does `accelsim graph` show and export the operators of a model?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accelsim.graph.by_name import graph_of, totals
from accelsim.graph.counts import matrix_flops


def test_text_has_blocks_with_repeats_operators_and_totals(command: Any) -> None:
    code, out, err = command("graph", "llama-2-7b", "--phase", "decode")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "llama-2-7b · decode step 1, 2048 in · batch 1 · unfused"
    assert any(line.startswith("layers") and line.endswith("x32") for line in lines)
    row = next(line for line in lines if line.startswith("layers.mlp.down_proj "))
    assert row == "layers.mlp.down_proj matmul m=1 n=4096 k=11008 batch=1 90.2 MFLOP 90.2 MB 30.2 kB 0 B 90.2 MB 1"
    assert lines[-1].startswith("total, repetitions included ")


def test_the_prefill_of_llama_2_7b_is_29_tflop(document: Any) -> None:
    found = document("graph", "llama-2-7b", "--phase", "prefill", "--prompt", "2048", "--logits", "all")
    assert found["schema"] == "accelsim/graph/1"
    # unfused attention is written out as a whole rectangle, so that nothing is halved for causality
    assert found["total"]["matrix_flops"] / 1e12 == pytest.approx(29.2616, abs=5e-5)
    assert sum(row["count"] for row in found["operators"]) == found["total"]["operators"]
    for key, total in (("flops", "flops"), ("weight_bytes", "weight_bytes"), ("bytes", "bytes")):
        assert sum(row["count"] * row[key] for row in found["operators"]) == pytest.approx(found["total"][total])


def test_fused_has_fewer_operators_and_the_same_weights(document: Any) -> None:
    plain, fused = (document("graph", "llama-2-7b", *extra)["total"] for extra in ((), ("--fused",)))
    assert fused["operators"] < plain["operators"]
    assert fused["weight_bytes"] == pytest.approx(plain["weight_bytes"])
    assert fused["activation_bytes"] < plain["activation_bytes"]


def test_every_option_arrives(document: Any) -> None:
    found = document(
        "graph", "mixtral-8x7b", "--phase", "decode", "--batch", "3", "--prompt", "100", "--step", "7",
        "--weights", "int4_g128", "--activations", "fp16", "--kv-cache", "fp8_e4m3", "--routing", "zipf:1.0",
        "--seed", "3", "--fused",
    )  # fmt: skip
    expected = graph_of(
        "mixtral-8x7b", phase="decode", batch=3, prompt=100, step=7, weights="int4_g128", activations="fp16",
        kv_cache="fp8_e4m3", routes="zipf:1.0", seed=3, fused=True,
    )  # fmt: skip
    assert found["total"]["matrix_flops"] == pytest.approx(matrix_flops(expected))
    assert found["total"]["bytes"] == pytest.approx(totals(expected).bytes)
    attend = next(row for row in found["operators"] if row["kind"] == "attention")
    assert (attend["dims"]["batch"], attend["dims"]["kv"]) == (3, 107)
    assert attend["formats"] == ["fp16", "fp8_e4m3"]


def test_native_formats_are_those_of_the_published_weights(document: Any) -> None:
    found = document("graph", "gpt2", "--prompt", "8")
    assert {name for row in found["operators"] for name in row["formats"]} == {"fp32"}


def test_exports(command: Any, tmp_path: Path) -> None:
    import networkx as nx

    for name in ("graph.json", "graph.graphml"):
        code, out, _ = command("graph", "gpt2", "--prompt", "8", "--export", str(tmp_path / name))
        assert code == 0
        assert out.endswith(f"  wrote {tmp_path / name}\n")
    rows = json.loads((tmp_path / "graph.json").read_text(encoding="utf-8"))["operators"]
    read = nx.read_graphml(tmp_path / "graph.graphml")
    assert set(read.nodes) == {row["name"] for row in rows}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["graph.graphml", "graph.json"]


@pytest.mark.parametrize("name", ["graph.json", "graph.graphml"])
def test_an_interrupted_export_leaves_no_file(command: Any, tmp_path: Path, monkeypatch: Any, name: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    assert command("graph", "gpt2", "--prompt", "8", "--export", str(tmp_path / name))[0] == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gtp2",), "error: no model named 'gtp2'\n  nearest: gpt2"),
        (("gpt2", "--phase", "decod"), "error: phase = 'decod': allowed are prefill, decode: did you mean 'decode'?"),
        (("gpt2", "--batch", "0"), "error: batch = 0: expected a whole number of at least 1"),
        (("gpt2", "--step", "-1"), "error: step = -1: expected a whole number of at least 1"),
        (("gpt2", "--logits", "lst"), "error: logits = 'lst': allowed are last, all: did you mean 'last'?"),
        (("gpt2", "--weights", "fp61"), "error: no format named 'fp61'"),
        (("gpt2", "--export", "graph.dot"), "error: cannot export a graph as 'graph.dot': allowed are .json"),
        (("bert-base",), "error: bert-base is encoder-only: it has no decode phase; try --phase prefill"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(command: Any, arguments: Any, message: str) -> None:
    code, out, err = command("graph", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
