"""The best use of a die's area, on a coarse grid."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def experiment(load):
    return load("area_budget")


@pytest.fixture(scope="module")
def found(experiment):
    return experiment.frame(sms=(48, 96), stacks=(2, 3, 10))


def test_a_prompt_wants_sms_and_a_single_sequence_memory(experiment, found):
    best = experiment.best(found, 600).set_index("request")
    assert tuple(best.loc["a prompt alone", ["sms", "stacks"]]) == (96, 3)
    assert tuple(best.loc["one sequence", ["sms", "stacks"]]) == (48, 10)
    assert (best["area_mm2"] <= 600).all()


def test_a_larger_budget_is_never_slower(experiment, found):
    small, large = (experiment.best(found, mm2).set_index("request")["tokens_per_s"] for mm2 in (600, 900))
    assert (large >= small).all()


def test_what_does_not_fit_its_memory_is_no_candidate(found):
    rows = found.set_index(["request", "sms", "stacks"])
    assert not rows.loc[("16 sequences", 96, 2), "fits"]
    assert rows.loc[("one sequence", 96, 2), "fits"]


def test_picture(experiment, found, tmp_path):
    made = experiment.picture(found, 600)
    made.savefig(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 10_000
