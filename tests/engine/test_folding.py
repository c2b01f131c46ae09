"""Whole models: replaying what recurs gives the numbers of running everything, to the last bit."""

from __future__ import annotations

import math

import pytest

import accelsim
from tests.physics.models import few_layers

CASES = {
    "one layer repeats": ("llama-2-7b", 4, {"generate": 4}),
    "a windowed and a global layer repeat": ("gemma-2-9b", 3, {"generate": 3}),
    "three dense layers, then experts": ("deepseek-v3", 4, {"generate": 3}),
    "experts with drawn loads": (
        "mixtral-8x7b",
        3,
        {"generate": 3, "batch": 5, "routing": "zipf:1.1:drawn", "seed": 7},
    ),
    "encoder and decoder": ("t5-xxl", 3, {"generate": 3}),
    "encoder only": ("bert-base", 3, {}),
    "unfused": ("gpt2", 3, {"generate": 2, "fuse": False}),
    "weights converted beside the main loop": ("llama-3-8b", 3, {"generate": 2, "weights": "mxfp4"}),
}


@pytest.mark.parametrize("case", CASES)
def test_folding_changes_no_number(case: str) -> None:
    name, repeat, options = CASES[case]
    overrides = {"memory.capacity": "2 TB"}
    folded, plain = (
        accelsim.simulate(few_layers(name, repeat), "h100-sxm", prompt=100, overrides=overrides, fold=fold, **options)
        for fold in (True, False)
    )
    assert folded.summary["events"] <= plain.summary["events"]
    for key, value in folded.summary.items():
        other = plain.summary[key]
        both_nan = isinstance(value, float) and math.isnan(value) and math.isnan(other)
        assert key == "events" or both_nan or value == other, key
    for frame in ("phases", "operators", "resources", "memory"):
        first, second = getattr(folded, frame), getattr(plain, frame)
        assert first.equals(second), frame


def test_folding_schedules_no_event_for_further_layers() -> None:
    short, long = (accelsim.simulate(few_layers("llama-2-7b", n), "h100-sxm", prompt=64, generate=2) for n in (2, 30))
    assert short.summary["events"] == long.summary["events"] > 0
    assert long.summary["total_time_s"] > 5 * short.summary["total_time_s"]


def test_the_timeline_of_a_folded_run_unrolls_to_that_of_a_plain_one() -> None:
    folded, plain = (
        accelsim.simulate(few_layers("gemma-2-9b", 3), "h100-sxm", prompt=64, generate=2, fold=fold)
        for fold in (True, False)
    )
    rows = sorted(
        (row.resource, row.start_ps + turn * row.period_ps, row.end_ps + turn * row.period_ps, row.name, row.amount)
        for row in folded.timeline.itertuples()
        for turn in range(row.repeat)
    )
    assert rows == sorted((r.resource, r.start_ps, r.end_ps, r.name, r.amount) for r in plain.timeline.itertuples())
