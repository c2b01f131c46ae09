"""SRAM alone against HBM for the same money, on a few systems."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def experiment(load):
    return load("sram_or_hbm")


@pytest.fixture(scope="module")
def found(experiment):
    return pd.concat(
        [experiment.lpus(2048, {"LPU": {}}, alone=(4,)), experiment.gpus(2048, (4, 8), (1, 64, 128))], ignore_index=True
    )


def test_a_sequence_is_fastest_on_sram_and_a_dollar_makes_more_on_hbm(found):
    lpu, gpu = (found[found["system"].str.startswith(name)] for name in ("LPU", "H100"))
    assert lpu["tokens_per_s_each"].max() == pytest.approx(301, rel=0.02)
    assert gpu["tokens_per_s_each"].max() == pytest.approx(83, rel=0.05)
    assert lpu["tokens_per_s_per_kusd"].max() == pytest.approx(302, rel=0.05)
    assert gpu["tokens_per_s_per_kusd"].max() == pytest.approx(514, rel=0.05)
    fast = gpu[gpu["tokens_per_s_each"] > 60]
    assert fast["tokens_per_s_per_kusd"].max() < 302 < gpu["tokens_per_s_per_kusd"].max(), "the turn: speed asked for"


def test_a_full_pipeline_is_what_sram_lives_on(found):
    rows = found.set_index(["system", "way", "sequences"])
    one = rows.loc[("LPU", "one batch", 4)]
    full = rows.loc[("LPU", "filled", 80)]
    assert full["chips"] == 640
    assert one["tokens_per_s_per_kusd"] < 30
    assert full["j_per_token"] < one["j_per_token"] / 5


def test_a_long_context_leaves_room_for_a_few_sequences(experiment):
    assert experiment._sequences(2048, {})[-1] == 80
    assert experiment._sequences(32768, {})[-1] == 7
    assert experiment._chips(32768, 8, {}) == 0


def test_picture(experiment, found, tmp_path):
    experiment.picture(found).savefig(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 10_000
