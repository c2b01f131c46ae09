"""`accelsim accuracy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.execution.families import CONFIGS

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A tiny model by path; its weights are synthetic."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIGS["llama-gqa"]))
    return str(path)


SHORT = ("--limit", "32", "--window", "16")


def test_the_table_names_both_models(config: str, command: Command, tmp_path: Path) -> None:
    code, out, err = command(
        "accuracy", config, "--formats", "mxfp4,int8_channel", "--on", "h100-sxm", "--price-as", "llama-2-7b", *SHORT,
        "--exact-difference",
        "--plot", str(tmp_path / "p.png"), "--export", str(tmp_path / "a.csv"),
    )  # fmt: skip
    assert code == 0, err
    assert "time and energy: llama-2-7b on h100-sxm" in out
    assert "synthetic weights: no perplexity" in out
    header, first, second = out.splitlines()[6:9]
    assert "nll - exact" in header
    assert "to exact, dB" in header
    assert header.split()[:2] == ["formats", "bits/weight"]
    assert "perplexity" not in header
    assert (first.split()[0], second.split()[0]) == ("mxfp4", "int8_channel")
    assert "layer " in out
    assert {path.name for path in tmp_path.iterdir()} >= {"p.png", "a-formats.csv", "a-operators.csv"}


def test_one_document(config: str, document: Callable[..., dict[str, Any]]) -> None:
    found = document("accuracy", config, "--formats", "bf16", "--numerics", "exact", *SHORT)
    assert found["schema"] == "accelsim/accuracy/3"
    assert found["bits"] == "bits per token"
    assert found["synthetic"] is True
    assert found["formats"][0]["formats"] == "bf16"
    assert found["operators"]


def test_the_plan_is_printed(config: str, command: Command) -> None:
    code, out, err = command(
        "accuracy", config, "--formats", "mxfp4/bf16/fp8_e4m3", "--on", "h100-sxm", "--explain"
    )  # fmt: skip
    assert code == 0, err
    line = next(line for line in out.splitlines() if "decode" in line and "v_cache" in line and "attend" in line)
    assert line.split()[3:5] == ["fp8_e4m3", "bf16"]
    assert "hopper-bf16" in out
    for word in ("residual stream", "softmax", "RoPE", "P before P V", "once, when appended"):
        assert word in out


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--formats", "mxpf4"), "mxfp4"), (("--formats", "bf16", "--plot-kind", "paretto"), "pareto"),
        (("--formats", "bf16", "--on", "h100"), "h100-sxm"), (("--formats", "bf16", "--numerics", "exakt"), "exact"),
        (("--formats", "bf16", "--limit", "1"), "at least 2 tokens"),
    ],
)  # fmt: skip
def test_bad_input(config: str, command: Command, arguments: tuple[str, ...], match: str) -> None:
    code, _, err = command("accuracy", config, *arguments)
    assert code == 2
    assert match in err


def test_a_chip_without_a_way_fails(config: str, command: Command) -> None:
    code, out, _ = command("accuracy", config, "--formats", "mxfp4", "--on", "ipu-mk2-8", *SHORT)
    assert code == 1
    assert "mxfp4" in out
