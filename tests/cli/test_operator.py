"""Does `accelsim operator` run single operators with all their dimensions?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.results.export import json_ready

ONE = ("matmul", "--m", "1", "--n", "1", "--k", "1")
MATMUL = ("matmul", "--m", "64", "--n", "12288", "--k", "12288", "--on", "a100-sxm-80gb", "--format", "fp16")


def test_text_has_time_share_of_peak_bound_and_rule(command: Any) -> None:
    code, out, err = command("operator", *MATMUL)
    assert (code, err) == (0, "")
    found = accelsim.simulate_operator("matmul", m=64, n=12288, k=12288, on="a100-sxm-80gb", format="fp16")
    row = found.rows("operators")[0]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "matmul on a100-sxm-80gb · m 64, n 12288, k 12288 · fp16 · event"
    time = next(line for line in lines if line.startswith("time "))
    assert f"{found.summary['total_time_s'] * 1e6:.0f} us" in time
    assert f"{row['flops'] / row['time_s'] / 312e12 * 100:.0f} % of 312" in time
    assert time.endswith("bound by memory")
    assert any(line.startswith("memory traffic ") and "of 2.04" in line for line in lines)
    assert f"priced by {row['priced_by']} (weakest figure: {row['status']})" in lines


def test_json_has_the_numbers_of_the_python_call(document: Any) -> None:
    found = document("operator", *MATMUL, "--fidelity", "roofline", "--set", "memory.bandwidth=1 TB/s")
    expected = accelsim.simulate_operator(
        "matmul", m=64, n=12288, k=12288, on="a100-sxm-80gb", format="fp16", fidelity="roofline",
        overrides={"memory.bandwidth": "1 TB/s"},
    )  # fmt: skip
    assert found["schema"] == "accelsim/operator/1"
    assert found["operators"] == json_ready(expected.rows("operators"))
    assert [row["phase"] for row in found["phases"]] == ["operator"]


@pytest.mark.parametrize(
    ("arguments", "kind", "dims"),
    [
        (("matmul", "--m", "8", "--n", "64", "--k", "64", "--batch", "4"), "matmul",
         {"m": 8, "n": 64, "k": 64, "batch": 4}),
        (("attention", "--batch", "2", "--query", "16", "--kv", "64", "--heads", "8", "--kv-heads", "2",
          "--head-dim", "64", "--causal", "--window", "32"), "attention",
         {"batch": 2, "query": 16, "kv": 64, "heads": 8, "kv_heads": 2, "head_dim": 64, "causal": True, "window": 32}),
        (("softmax", "--rows", "32", "--columns", "100"), "softmax", {"rows": 32, "columns": 100}),
        (("rmsnorm", "--rows", "4", "--columns", "128"), "rmsnorm", {"rows": 4, "columns": 128}),
        (("gelu", "--elements", "4096"), "gelu", {"elements": 4096}),
    ],
)  # fmt: skip
def test_every_dimension_arrives(document: Any, arguments: Any, kind: str, dims: dict[str, Any]) -> None:
    found = document("operator", *arguments, "--on", "h100-sxm")
    expected = accelsim.simulate_operator(kind, on="h100-sxm", **dims)
    assert found["operators"] == json_ready(expected.rows("operators"))


def test_weights_have_a_format_of_their_own(document: Any) -> None:
    found = document("operator", *MATMUL, "--weights", "int4_g128")
    assert (found["request"]["weights"], found["request"]["activations"]) == ("int4_g128", "fp16")
    assert "+convert(" in found["operators"][0]["priced_by"]


def test_all_reduce_over_gpus_of_several_boards_is_infeasible(command: Any) -> None:
    code, out, _ = command("operator", "all_reduce", "--bytes", "1000", "--devices", "16", "--on", "h100-sxm")
    assert code == 1
    assert out.startswith("infeasible: all_reduce over 16 GPUs: 8 are the most that one board joins")
    code, out, _ = command("operator", "all_reduce", "--bytes", "1000", "--devices", "16", "--on", "h100-sxm", "--json")
    assert code == 1
    assert json.loads(out)["status"] == "infeasible"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matmull", "--m", "1"), "no operator named 'matmull'\n  nearest: matmul"),
        (("matmul", "--m", "1", "--n", "1"), "matmul: k missing; it takes m, n, k, batch"),
        (("matmul", "--m", "0", "--n", "1", "--k", "1"), "matmul: m = 0: expected a whole number of at least 1"),
        ((*ONE[:-1], "-4"), "matmul: k = -4: expected a whole number of at least 1"),
        ((*ONE, "--rows", "4"), "matmul: unknown dimension 'rows'"),
        ((*ONE, "--format", "fp61"), "no format named 'fp61'\n  nearest: "),
        (("attention", "--query", "1", "--kv", "8", "--heads", "6", "--kv-heads", "4", "--head-dim", "64"),
         "attention: heads = 6 is not a multiple of kv_heads = 4"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(command: Any, arguments: Any, message: str) -> None:
    code, out, err = command("operator", *arguments, "--on", "h100-sxm")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")


def test_a_picture_of_one_operator(command: Any, tmp_path: Path) -> None:
    code, out, _ = command("operator", *MATMUL, "--plot", str(tmp_path / "one.png"))
    assert code == 0
    assert out.endswith(f"  wrote {tmp_path / 'one.png'}\n")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
