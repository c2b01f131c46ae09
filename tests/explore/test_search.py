"""Search: hypervolume against others' and against its definition; samplers against a front that is known."""

from __future__ import annotations

import statistics
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore.hypervolume import hypervolume
from accelsim.explore.screening import best, screen, screened
from accelsim.explore.search import Trial, known_front, search

SMALL = {"batch": {"powers_of_two": [1, 32]}, "sm.count": [50, 75, 100, 132, 160],
         "memory.bandwidth": {"log_range": ["1 TB/s", "8 TB/s"], "count": 8},
         "weights": ["bf16", "fp8_e4m3"]}  # fmt: skip
LARGE = {"batch": {"powers_of_two": [1, 128]}, "memory.bandwidth": {"log_range": ["1 TB/s", "8 TB/s"], "count": 12},
         "sm.count": {"range": [40, 160], "step": 10}, "clock.sm.frequency": {"range": ["1 GHz", "2 GHz"], "count": 6},
         "weights": ["bf16", "fp8_e4m3", "int4_g128"]}  # fmt: skip
ASKED = {
    "derived": {"silicon": "sm.count + memory.bandwidth / 3e10"},
    "constraints": {"power": "average_power_w < 600"},
    "objectives": {"time_per_output_token_s": "min", "energy_per_token_j": "min", "silicon": "min"},
}


def by_inclusion_and_exclusion(points, limit):
    """The union of boxes from its definition: sums over all subsets, of the box that they share."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points, size):
            sides = np.clip(limit - np.max(chosen, axis=0), 0, None)
            total += (-1) ** (size + 1) * float(np.prod(sides))
    return total


@pytest.mark.parametrize("objectives", [2, 3])
@given(data=st.data())
def test_a_hypervolume_is_the_union_of_its_boxes(objectives, data):
    rows = st.tuples(*[st.integers(0, 12)] * objectives)
    points = np.array(data.draw(st.lists(rows, min_size=1, max_size=7)), dtype=float)
    limit = np.full(objectives, 10.0)
    assert hypervolume(points, limit) == pytest.approx(by_inclusion_and_exclusion(points, limit), abs=1e-9)


@pytest.mark.parametrize("objectives", [2, 3])
def test_a_hypervolume_is_that_of_moocore(objectives):
    import moocore

    random = np.random.default_rng(4)
    for count in (1, 20, 300):
        points = random.random((count, objectives))
        expected = moocore.hypervolume(points, ref=np.full(objectives, 1.1))
        assert hypervolume(points, np.full(objectives, 1.1)) == pytest.approx(expected, rel=1e-12)
    assert hypervolume(np.zeros((0, objectives)), np.ones(objectives)) == 0.0


def test_four_objectives_are_refused():
    with pytest.raises(RequestError, match="two or three"):
        hypervolume(np.ones((2, 4)), np.ones(4))


def share(sweep, found, frame):
    """Hypervolume of what was found, as a share of that of the whole space."""
    good = frame[(frame["status"] == "ok") & frame["meets_constraints"]]
    costs = good[list(sweep.spec.objectives)].to_numpy(dtype=float)
    low, high = costs.min(axis=0), costs.max(axis=0)
    limit = np.full(3, 1.0)
    mine = np.array([trial.costs for trial in found.trials if trial.feasible])
    return hypervolume((mine - low) / (high - low), limit) / hypervolume((costs - low) / (high - low), limit)


@pytest.mark.parametrize(
    "sampler", ["nsga2", pytest.param("nsga3", marks=pytest.mark.long), pytest.param("tpe", marks=pytest.mark.long)]
)
def test_trials_follow_from_seed_and_batch_whoever_evaluates_them(make, sampler):
    runs = []
    for name, workers in (("one", 1), ("again", 1), ("two", 2)):
        sweep = make(SMALL, name=name, **ASKED)
        runs.append(search(sweep, trials=100, sampler=sampler, seed=5, batch=25, workers=workers))
    assert runs[0].trials == runs[1].trials == runs[2].trials
    other = search(make(SMALL, name="one", **ASKED), trials=100, sampler=sampler, seed=6, batch=25)
    assert other.trials != runs[0].trials


def test_what_the_store_has_is_not_evaluated_and_may_warm_the_sampler(make):
    sweep = make(SMALL, name="warm", **ASKED)
    first = search(sweep, trials=60, seed=1)
    assert first.evaluated == len({trial.position for trial in first.trials if trial.position >= 0})
    again = search(sweep, trials=60, seed=1)
    assert (again.evaluated, again.trials) == (0, first.trials)
    warmed = search(sweep, trials=60, seed=1, warm=first.front)
    assert [trial.position for trial in warmed.trials][: len(first.front)] == first.front
    assert warmed.trials != first.trials
    assert len(sweep.load()) >= first.evaluated


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3", "tpe"])
def test_a_small_space_is_nearly_found(make, sampler):
    whole = make(SMALL, name="whole", **ASKED)
    whole.run(workers=1)
    frame = whole.load()
    assert len(frame) == 480
    found = search(whole, trials=120, sampler=sampler, seed=0)
    assert share(whole, found, frame) > 0.9
    assert found.evaluated == 0


@pytest.mark.long
@pytest.mark.parametrize("sampler", ["nsga2", "nsga3", "tpe"])
def test_five_percent_of_a_large_space_reach_nine_tenths_of_it_and_beat_chance(make, sampler):
    whole = make(LARGE, name="whole", fixed={"model": "llama-2-7b", "prompt": 1024}, **ASKED)
    whole.run(workers=1)
    frame = whole.load()
    assert len(frame) > 20_000
    trials = int(0.05 * len(frame))
    shares = {name: [share(whole, search(whole, trials=trials, sampler=name, seed=seed), frame) for seed in range(5)]
              for name in (sampler, "random")}  # fmt: skip
    assert statistics.median(shares[sampler]) > 0.9
    assert sum(a > b for a, b in zip(shares[sampler], shares["random"], strict=True)) >= 4


def test_screening_tells_rank_turned_pairs_and_regret():
    cheap = {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    assert screened(cheap, cheap) == {"points": 4, "rank_correlation": 1.0, "changed": 0.0, "regret": 0.0}
    found = screened(cheap, {0: 2.2, 1: 2.0, 2: 3.0, 9: 1.0})
    assert found["points"] == 3
    assert found["rank_correlation"] == pytest.approx(0.5)
    assert found["changed"] == pytest.approx(1 / 3)
    assert found["regret"] == pytest.approx(0.1)
    with pytest.raises(RequestError, match="three at least"):
        screened({0: 1.0}, {0: 1.0})


def test_a_grid_that_nobody_could_enumerate_is_searched(make):
    """6.1e9 designs, of which a sampler finds better ones than chance does."""
    axes = {"memory.bandwidth": {"range": ["1 TB/s", "8 TB/s"], "step": "0.007 TB/s"},
            "sm.count": {"range": [40, 160], "step": 1}, "power.idle": {"range": ["50 W", "99 W"], "step": "1 W"},
            "clock.sm.frequency": {"range": ["1 GHz", "2 GHz"], "count": 1001}}  # fmt: skip
    sweep = make(axes, objectives={"energy_per_token_j": "min"}, constraints=["sm.count < 150"])
    found = search(sweep, trials=100, sampler="tpe", batch=25)
    assert found.space == 1001 * 121 * 50 * 1001
    assert any(trial.position == -1 for trial in found.trials), "excluded by the constraint over inputs"
    assert len(found.keys) == found.evaluated == found.distinct - 1
    frame = found.sweep.load()
    assert len(frame) == found.evaluated
    best = frame.set_index("key").loc[found.keys[found.front[0]]]
    assert best["energy_per_token_j"] == frame["energy_per_token_j"].min()
    assert best["sm.count"] < 150
    other = make(axes, name="chance", objectives={"energy_per_token_j": "min"})
    chance = search(other, trials=100, batch=50, sampler="random")
    lowest = min(trial.costs[0] for trial in chance.trials)
    assert best["energy_per_token_j"] < lowest


def test_the_front_of_a_store_begins_a_search(make):
    sweep = make(SMALL, name="begun", **ASKED)
    with pytest.raises(RequestError, match="no results in"):
        known_front(sweep)
    first = search(sweep, trials=60, seed=1)
    assert sorted(known_front(sweep)) == sorted(first.front)


def test_a_search_in_closed_form_is_confirmed_by_events(make):
    axes = {"batch": [1, 4], "memory.bandwidth": ["1 TB/s", "3 TB/s", "8 TB/s"], "sm.count": [60, 132]}
    asked = {"objectives": {"time_per_output_token_s": "min", "energy_per_token_j": "min"}}
    sweep = make(axes, name="screened", **asked)
    found = screen(sweep, confirm=4, trials=40, sampler="random", workers=1)
    assert len(found.confirmed) == len(found.frame) == 4
    assert set(found.frame["status"]) == {"ok"}
    for name in asked["objectives"]:
        agreement = found.agreement[name]
        assert agreement["points"] == 4
        assert -1 <= agreement["rank_correlation"] <= 1
        events = found.frame[f"{name}_event"]
        first = events.iloc[found.frame[f"{name}_roofline"].to_numpy().argmin()]
        assert agreement["regret"] == pytest.approx(first / events.min() - 1)
        assert (events > found.frame[f"{name}_roofline"]).all(), "events only add"
    again = screen(sweep, confirm=4, trials=40, sampler="random", workers=1)
    assert (again.found.evaluated, again.confirmed) == (0, found.confirmed)
    assert again.frame.equals(found.frame)
    exact = make({"chip": ["h100-sxm"], **axes}, name="exact", fixed={"fidelity": "event"}, **asked)
    exact.run(workers=1, store=sweep.store_path)
    whole = exact.load(sweep.store_path)
    merged = found.frame.merge(whole, on=list(axes))
    assert (merged["time_per_output_token_s"] == merged["time_per_output_token_s_event"]).all()


def test_the_best_are_peeled_front_by_front():
    trials = [
        Trial(n, costs, feasible=True) for n, costs in enumerate([(3, 3), (1, 2), (2, 1), (2, 2), (9, 9), (4, 0)])
    ]
    assert [trial.position for trial in best(trials, 3)] == [1, 2, 5]
    assert [trial.position for trial in best(trials, 5)] == [1, 2, 5, 3, 0]
    assert [trial.position for trial in best(trials, 2)] == [1, 5]


def test_screening_refuses_what_says_nothing(make):
    with pytest.raises(RequestError, match="at least 3"):
        screen(make(SMALL, **ASKED), trials=9, confirm=2)
    with pytest.raises(RequestError, match="out of the axes"):
        screen(make({**SMALL, "fidelity": ["event", "roofline"]}, **ASKED), trials=9)
    never = {**ASKED, "constraints": ["average_power_w < 1"]}
    with pytest.raises(RequestError, match="nothing to confirm"):
        screen(make(SMALL, **never), trials=9)


@pytest.mark.parametrize(
    ("more", "how", "says"),
    [
        ({}, {"trials": 5}, "has no objectives"),
        (ASKED, {"trials": 5, "sampler": "nsga"}, "did you mean 'nsga"),
        (ASKED, {"trials": 0}, "at least 1"),
        (ASKED | {"constraints": ["powr < 1"]}, {"trials": 5}, "no column named 'powr'"),
        (ASKED | {"sampling": {"method": "sobol", "count": 8}}, {"trials": 5}, "leave \\[sampling\\] away"),
    ],
)
def test_searches_that_cannot_be(make, more, how, says):
    with pytest.raises((RequestError, UnknownNameError), match=says):
        search(make(SMALL, **more), **how)
