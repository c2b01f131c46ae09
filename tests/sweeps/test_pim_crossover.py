"""The experiment runs as its first lines say, and finds what they say it found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("crossover")
    subprocess.run(
        [sys.executable, ROOT / "sweeps" / "pim_crossover.py", "--out", out, "--batches", "1", "4", "16",
         "--contexts", "1024", "8192"],
        check=True, cwd=ROOT, capture_output=True, timeout=300,
    )  # fmt: skip
    assert (out / "pim_crossover-llama-2-7b-hbm-pim-64pch.png").stat().st_size > 10_000
    return pd.read_csv(out / "pim_crossover-llama-2-7b-hbm-pim-64pch.csv").set_index(["batch", "context"])


def test_weights_leave_the_memory_as_the_batch_grows_and_the_cache_does_not(found):
    assert found.loc[(1, 1024), "linear_on"] == "pim"
    assert found.loc[(4, 1024), "linear_on"] == "host"
    assert set(found["attention_on"]) == {"pim"}


def test_a_longer_context_gains_more_where_attention_alone_is_in_the_memory(found):
    for batch in (4, 16):
        assert found.loc[(batch, 8192), "speedup"] > found.loc[(batch, 1024), "speedup"] > 1
    assert found.loc[(16, 8192), "speedup"] > found.loc[(4, 8192), "speedup"]


def test_what_the_real_stacks_do_not_hold_is_marked(found):
    assert found.loc[(1, 1024), "fits"]
    assert not found.loc[(16, 8192), "fits"]
