"""Stacks against SMs at a fixed power, on a few designs."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def experiment(load):
    return load("power_split")


@pytest.fixture(scope="module")
def found(experiment):
    return experiment.frame(stacks=(4, 5, 8, 12), limits_w=(700, 350))


def time(found, **where):
    rows = found
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows["time_s"].item()


def test_prompts_want_sms_and_single_sequences_stacks(experiment, found):
    best = experiment.best(found)[(700, "shared")]
    assert best["prompt of 2,048"] == 4
    assert best["decode, batch 1"] == 12
    assert best["decode, batch 256"] == 8
    sms = found.drop_duplicates("stacks").set_index("stacks")["sms"]
    assert dict(sms) == {4: 138, 5: 132, 8: 112, 12: 86}


def test_watts_that_memory_keeps_cost_a_prompt_a_fifth_at_five_stacks_and_half_at_eight(found):
    for stacks, kept in ((5, 0.81), (8, 0.50)):
        at = {"limit_w": 700, "stacks": stacks, "request": "prompt of 2,048"}
        assert time(found, way="shared", **at) / time(found, way="fixed", **at) == pytest.approx(kept, abs=0.02)


def test_half_the_power_bounds_a_stream_before_its_pins_do(found):
    for limit_w, gain in ((700, 1.9), (350, 1.07)):
        at = {"limit_w": limit_w, "way": "shared", "request": "decode, batch 1"}
        assert time(found, stacks=4, **at) / time(found, stacks=12, **at) == pytest.approx(gain, rel=0.04)
    assert found["power_w"].max() < 700


def test_picture(experiment, found, tmp_path):
    experiment.picture(found).savefig(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 10_000
