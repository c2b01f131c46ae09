"""Crossovers against the whole axis, enumerated: one, none, several, and what does not fit."""

from __future__ import annotations

import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore.answers import NOBODY, TIE
from accelsim.explore.crossover import crossover

WIDE = {"base": "h100-sxm", "name": "wide", "memory.bandwidth": "4 TB/s", "sm.count": 60}
FAST = {"base": "h100-sxm", "name": "fast", "memory.bandwidth": "2 TB/s", "sm.count": 132}
SMALL = {"base": "h100-sxm", "name": "small", "memory.bandwidth": "4 TB/s", "memory.capacity": "1 GB"}
METRIC = {"objectives": {"total_time_s": "min"}}
REQUEST = {"model": "gpt2", "prompt": 128, "generate": 4}


def evaluations(monkeypatch):
    """Counts the points that are evaluated."""
    from accelsim.explore.driver import Driver

    counted = []
    keep = Driver._keep
    monkeypatch.setattr(Driver, "_keep", lambda self, outcome: (counted.append(outcome.key), keep(self, outcome)))
    return counted


def test_a_crossover_is_where_the_enumeration_has_it_and_costs_far_less(make, monkeypatch):
    counted = evaluations(monkeypatch)
    found = crossover(make({"chip": [WIDE, FAST], "batch": [1, 512]}, fixed=REQUEST, **METRIC))
    (answer,) = found.answers
    (bracket,) = answer.brackets
    assert (bracket.kind, bracket.below.best, bracket.above.best) == ("crossover", "wide", "fast")
    assert bracket.above.at - bracket.below.at <= max(1, 0.01 * bracket.above.at)
    assert len(counted) == found.points < 30

    whole = make({"chip": [WIDE, FAST], "batch": {"range": [1, 512], "step": 1}}, name="whole", fixed=REQUEST)
    whole.run(workers=1)
    table = whole.load().pivot_table(index="batch", columns="chip", values="total_time_s", observed=True)
    wins = table["wide"] < table["fast"]
    assert wins.loc[: bracket.below.at].all()
    assert not wins.loc[bracket.above.at :].any()
    for side in (bracket.below, bracket.above):
        assert dict(side.values) == table.loc[side.at].to_dict()
    assert answer.text() == f"wide up to batch {bracket.below.at}; fast from {bracket.above.at} on"


def test_the_store_answers_a_second_time_and_the_sweep_loads_as_before(make, monkeypatch):
    sweep = make({"chip": [WIDE, FAST], "batch": [1, 512]}, fixed=REQUEST, **METRIC)
    first = crossover(sweep)
    counted = evaluations(monkeypatch)
    assert crossover(sweep) == first
    finer = crossover(sweep, tolerance=1e-6)
    assert finer.answers[0].crossovers[0].above.at - finer.answers[0].crossovers[0].below.at == 1
    assert len(counted) == finer.points - first.points
    assert len(sweep.load()) == 4


def test_a_figure_of_the_chip_is_bracketed_to_one_percent_in_every_case(make):
    """Of two chips the slower memory falls behind as its bandwidth falls; the batch moves the place."""
    other = {"base": "h100-sxm", "name": "other", "clock.sm.frequency": "1 GHz"}
    sweep = make(
        {"chip": ["h100-sxm", other], "memory.bandwidth": ["0.1 TB/s", "8 TB/s"], "batch": [1, 64]}, fixed=REQUEST,
        objectives={"tokens_per_s": "max"},
    )  # fmt: skip
    found = crossover(sweep, along="memory.bandwidth", margin=0.05)
    assert [answer.case for answer in found.answers] == [{"batch": 1}, {"batch": 64}]
    for answer in found.answers:
        (bracket,) = answer.crossovers
        assert bracket.below.best == TIE, "both wait for the memory"
        assert bracket.above.best == "h100-sxm"
        assert 1 < bracket.above.at / bracket.below.at <= 1.0101
    frame = found.frame()
    assert frame["kind"].tolist() == ["crossover", "crossover"]
    assert list(frame.columns)[:6] == ["batch", "kind", "below", "above", "best_below", "best_above"]
    assert (frame["h100-sxm_above"] > 1.05 * frame["other_above"]).all()


def test_nothing_changes_and_says_who_wins(make):
    slow = {"base": "h100-sxm", "name": "slow", "memory.bandwidth": "1 TB/s", "sm.count": 60}
    found = crossover(make({"chip": ["h100-sxm", slow], "batch": [1, 8, 64]}, fixed=REQUEST), metric="energy_j")
    (answer,) = found.answers
    assert (answer.brackets, found.points) == ((), 6)
    best = answer.sides[0].best
    assert answer.text() == f"{best} throughout, batch 1 to 64"
    assert found.frame().iloc[0][["kind", "below", "above"]].tolist() == ["none", 1, 64]


def test_several_changes_are_all_bracketed_and_told(make):
    """Two constraints take the better chip out of the middle."""
    sweep = make({"chip": [WIDE, FAST], "batch": [1, 8, 64, 512]}, fixed=REQUEST, **METRIC,
                 constraints={"gap": "chip == 'fast' or batch < 5 or batch > 100"})  # fmt: skip
    (answer,) = crossover(sweep, metric="decode_time_s").answers
    turns = [(one.below.at, one.below.best, one.above.at, one.above.best) for one in answer.crossovers]
    assert turns[:2] == [(4, "wide", 5, "fast"), (100, "fast", 101, "wide")]
    assert "fast from 5 to 100" in answer.text()
    assert "wide not from 5 on: excluded by the constraints" in answer.text()


def test_what_does_not_fit_is_an_answer(make):
    sweep = make({"chip": [SMALL, FAST], "batch": [1, 1024]}, fixed=REQUEST, **METRIC)
    (answer,) = crossover(sweep, tolerance=1e-6).answers
    (bracket,) = answer.crossovers
    assert (bracket.below.best, bracket.above.best) == ("small", "fast")
    assert bracket.above.at - bracket.below.at == 1
    assert f"small not from {bracket.above.at} on: " in answer.text()
    assert "1" in bracket.above.reasons["small"]
    assert bracket.above.values["small"] != bracket.above.values["small"]
    loser = make({"chip": [SMALL | {"memory.bandwidth": "1 TB/s"}, FAST], "batch": [1, 1024]}, fixed=REQUEST, **METRIC)
    (beaten,) = crossover(loser, tolerance=1e-6).answers
    assert (beaten.crossovers, [one.kind for one in beaten.brackets]) == ((), ["limit"])
    assert beaten.brackets[0].above.at == bracket.above.at
    tiny = SMALL | {"memory.capacity": "1 MB"}
    (alone,) = crossover(make({"chip": [tiny, tiny | {"name": "b"}], "batch": [1, 2]}, **METRIC)).answers
    assert {side.best for side in alone.sides} == {NOBODY}
    assert "small nowhere: " in alone.text()


def test_three_designs_and_designs_that_are_zipped(make):
    axes = {"chip": [WIDE, FAST, "a100-sxm-80gb"], "weights": ["bf16", "bf16", "int4_g128"], "batch": [1, 32, 512]}
    found = crossover(make(axes, zip=[["chip", "weights"]], fixed=REQUEST, **METRIC))
    assert found.contenders == ("wide bf16", "fast bf16", "a100-sxm-80gb int4_g128")
    (answer,) = found.answers
    for side in answer.sides:
        assert side.best == min(side.values, key=side.values.__getitem__)


def test_equals_are_a_tie(make):
    twin = {"base": "h100-sxm", "name": "twin"}
    (answer,) = crossover(make({"chip": ["h100-sxm", twin], "batch": [1, 64]}, fixed=REQUEST, **METRIC)).answers
    assert answer.text() == "a tie throughout, batch 1 to 64"


@pytest.mark.parametrize(
    ("axes", "how", "says"),
    [
        ({"batch": [1, 2]}, {}, "which designs compete"),
        ({"chip": ["h100-sxm", "a100-sxm-80gb"]}, {}, "has two rising numbers at least"),
        ({"chip": [WIDE, FAST], "batch": [1, 2]}, {"metric": "tokens"}, "no column named 'tokens'"),
        ({"chip": [WIDE, FAST], "batch": [1, 2]}, {"along": "chip"}, "an axis of its own with two rising numbers"),
        ({"chip": [WIDE, FAST], "batch": [1, 2]}, {"along": "bach"}, "is no axis of the sweep; axes: chip, batch"),
        ({"chip": [WIDE, FAST], "batch": [2, 1]}, {}, "has two rising numbers at least"),
        ({"chip": [WIDE, FAST], "batch": [1, 2]}, {"tolerance": 0}, "expected a share below one"),
        ({"chip": [WIDE, FAST], "batch": [1, 2], "generate": [1]}, {"metric": "time_per_output_token_s"}, "= 2 at"),
        ({"chip": [WIDE, FAST], "batch": [1, 2], "weights": ["bf16"]}, {"between": "weights"}, "nothing competes"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be(make, axes, how, says):
    fixed = {key: value for key, value in REQUEST.items() if key not in axes}
    sweep = make(axes, **METRIC)
    sweep.spec.fixed.update(fixed)
    for key in axes:
        sweep.spec.fixed.pop(key, None)
    with pytest.raises((RequestError, UnknownNameError), match=says):
        crossover(sweep, **how)


def test_no_metric_and_samples_are_refused(make):
    axes = {"chip": [WIDE, FAST], "batch": [1, 2]}
    with pytest.raises(RequestError, match="has no objective"):
        crossover(make(axes))
    with pytest.raises(RequestError, match="leave"):
        crossover(make(axes, sampling={"method": "sobol", "count": 8}, **METRIC))


def test_a_point_that_failed_decides_nothing(make, monkeypatch):
    from accelsim.explore import batches

    def broken(*given, **more):
        raise ZeroDivisionError("broken on purpose")

    monkeypatch.setattr(batches, "price", broken)
    monkeypatch.setattr(batches, "simulate", broken)
    with pytest.raises(RequestError, match="wide at batch = 1: failed: ZeroDivisionError: broken on purpose"):
        crossover(make({"chip": [WIDE, FAST], "batch": [1, 2]}, fixed=REQUEST, **METRIC))
