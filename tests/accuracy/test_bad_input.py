"""What a user gets wrong on the command line: one sentence with the place, the value and what is allowed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim.accuracy.run import accuracy
from accelsim.accuracy.subject import subject
from accelsim.cli import app
from accelsim.errors import AccelsimError
from accelsim.weights.shipped import shipped

NAME = "tiny-llama"
SHORT = ("--numerics", "fp32", "--limit", "8", "--window", "8")
UP = "model.layers.1.mlp.up_proj.weight"


def refused(match: str, *given: str, formats: str = "bf16", short: tuple[str, ...] = SHORT) -> None:
    with pytest.raises(AccelsimError, match=match):
        CliRunner().invoke(app, ["accuracy", NAME, "--formats", formats, *short, *given], catch_exceptions=False)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (["--limit", "1"], "limit = 1: at least 2 tokens"), (["--limit", "-5"], "limit = -5: at least 2 tokens"),
        (["--window", "0"], "window = 0: at least 2 tokens"), (["--window", "1"], "window = 1: at least 2"),
        (["--limit", "8", "--window", "16"], "one window of 16 tokens: raise limit, or lower window"),
        (["--window", "512"], "512 positions: tiny-llama has 256"), (["--seed", "-1"], "seed = -1"),
        (["--numerics", "hoper-fp8"], "nearest: hopper-fp8"), (["--on", "h100sxm"], "nearest: h100-sxm"),
        (["--method", "gtpq"], "nearest: gptq"), (["--price-as", "lama-2-7b"], "nearest: llama-2-7b"),
        (["--plot", "p.png"], "name a chip with --on"), (["--plot", "p.txt"], r"p\.txt: allowed are .*\.png"),
        (["--export", "x.txt"], r"x\.txt: allowed are .*\.json, \.csv"), (["--scales", "statik"], "static"),
        (["--export", "/nowhere/x.json"], "no folder /nowhere"), (["--resume", "/nowhere/x"], "no folder '/nowhere'"),
        (["--search", "-1"], "search = -1.0: a positive"), (["--search", "nan"], "a positive"),
        (["--search", "0.1"], "name two or more"), (["--tokens", "/nowhere/t.txt"], "no file '/nowhere/t.txt'"),
    ],
)  # fmt: skip
def test_options(given: list[str], match: str) -> None:
    refused(match, *given, short=() if {"--limit", "--window", "--on"} & {*given} else SHORT)


def test_formats() -> None:
    refused("nearest: mxfp4", formats="mxpf4")
    refused("expected W, W/A or W/A/KV", formats="bf16//bf16")
    refused("none is named", formats=",")


def test_a_limit_below_the_usual_window_shortens_it() -> None:
    assert subject(NAME, limit=40).windows.shape == (1, 40)
    assert subject(NAME, limit=600).windows.shape == (2, 256)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.arange(200, 330), r"token 256 at .*tiny-llama has 256 tokens"), (np.full(99, -1), "token -1"),
        (np.ones(99), "whole numbers"), (np.array([{}] * 99), "no array of numbers"),
        (np.arange(5), "5 tokens are fewer than a window of 8"),
    ],
)  # fmt: skip
def test_tokens(array: Any, match: str, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", array, allow_pickle=True)
    refused(
        match, "--tokens", str(tmp_path / "t.npy"), short=("--limit", "99", "--window", "8" if len(array) < 9 else "99")
    )


def test_tokens_that_are_no_array(tmp_path: Path) -> None:
    for content in (b"", b"no array"):
        (tmp_path / "t.npy").write_bytes(content)
        refused("no array of numbers", "--tokens", str(tmp_path / "t.npy"))


def written(path: Path, **changed: Any) -> Path:
    """The shipped weights in fp32, some of them changed, None left out."""
    tensors = {name: np.asarray(x, dtype=np.float32) for name, x in shipped(NAME).items()}
    tensors = {name: x for name, x in {**tensors, **changed}.items() if x is not None}
    head, at = {}, 0
    for name, x in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(head).encode()
    raw = b"".join(np.ascontiguousarray(x).tobytes() for x in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)
    return path


def up(value: float) -> dict[str, Any]:
    made = np.array(shipped(NAME)[UP], dtype=np.float32)
    made[0, 0] = value
    return {UP: made}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({UP: None}, rf"1 missing: {UP} \[512, 128\]"),
        ({"model.norm.weight": np.ones(31, dtype=np.float32)}, r"model\.norm\.weight \[31\], expected \[128\]"),
        (up(float("nan")), f"'{UP}' holds 1 NaN"),
    ],
    ids=["missing", "misshapen", "nan"],
)  # fmt: skip
def test_weights(changed: dict[str, Any], match: str, tmp_path: Path) -> None:
    refused(match, "--weights", str(written(tmp_path / "w.safetensors", **changed)))


def test_weights_beyond_the_range_of_a_format_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", **up(500.0))
    rows = accuracy(NAME, "fp8_e4m3,fp8_e4m3_tensor", numerics="fp32", weights=path, limit=8).rows
    plain, scaled = (row.measured.warnings for row in rows if row.measured)
    assert f"{UP}: 1 of 65,536 weights are beyond the range of fp8_e4m3; try one with scales" in plain
    assert not any("beyond the range of" in text for text in scaled)


def test_rows_that_a_chip_refuses_say_what_to_try() -> None:
    done = CliRunner().invoke(app, ["accuracy", NAME, "--formats", "fp16", "--on", "dfx-u280-1", "--limit", "8"])
    assert done.exit_code == 1
    assert "converts bf16; try activations fp16" in done.stdout
    assert "nan" not in done.stdout
