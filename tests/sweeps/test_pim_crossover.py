"""The map of PIM against GPUs, at sizes that take seconds."""

from __future__ import annotations

import pytest


@pytest.fixture
def experiment(load):
    return load("pim_crossover")


def test_units_win_at_batch_1_and_lose_the_weights_at_once_to_faster_memory(experiment, tmp_path):
    store = tmp_path / "pim.sqlite"
    found = experiment.frame(store, [1, 4], [1024])
    plain, rival, newer = (experiment.gain(found, name).loc[1024] for name in experiment.RIVALS)
    assert plain[1] == pytest.approx(2.61, rel=0.03)
    assert 1 < plain[4] == pytest.approx(1.07, rel=0.03)
    assert rival[1] == pytest.approx(1.43, rel=0.03)
    assert newer.max() < 1
    turns = experiment.lines(store, [1, 4], [1024])
    assert not turns["plain HBM2"].answers[0].crossovers
    (turn,) = turns["A100"].answers[0].crossovers
    assert (turn.below.at, turn.below.best, turn.above.at, turn.above.best) == (1, "HBM-PIM", 2, "A100")
    held = found.set_index(["batch", "context"])["stacks_hold_it"]
    assert held[(1, 1024)].all()
    made = experiment.picture(found, turns)
    made.savefig(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 10_000


@pytest.mark.long
def test_a_long_context_brings_them_back(experiment, tmp_path):
    store = tmp_path / "pim.sqlite"
    found = experiment.frame(store, [2, 8, 32], [8192])
    assert experiment.gain(found, "A100").loc[8192].idxmax() == 32
    assert not found.loc[found["batch"] > 2, "stacks_hold_it"].any()
    (turn,) = experiment.lines(store, [2, 8, 32], [8192])["A100"].answers[0].crossovers
    assert (turn.below.at, turn.above.at) == (17, 18)
