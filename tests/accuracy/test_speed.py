"""What a layer of real size takes: memory of packed weights and two operators, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.parametrize("formats", ["mxfp4", "int8_channel"])
@pytest.mark.parametrize("arithmetic", ["exact", "h100-sxm"])
def test_a_layer_takes_packed_weights_and_two_operators(formats, arithmetic):
    """202 M weights on 128 tokens; seconds are of CPU time, on one core."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_accuracy", "layer", formats, arithmetic],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["grown"] <= found["bound"]
    assert found["seconds"] < 30
