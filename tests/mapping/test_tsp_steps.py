"""Patterns of cycles: what the arithmetic says about them is what they are, written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapping.tsp.steps import Steps, equal, meet


@st.composite
def patterns(draw: st.DrawFn) -> Steps:
    length, stride = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    bursts = draw(st.integers(1, 5))
    period = (length - 1) * stride + draw(st.integers(1, 12))
    return Steps(draw(st.integers(-20, 60)), length, stride, bursts, period if bursts > 1 else 0)


@given(patterns(), patterns(), st.integers(1, 4), st.integers(1, 4))
def test_two_patterns_meet_where_the_cycles_that_they_hold_overlap(one: Steps, other: Steps, a: int, b: int) -> None:
    mine = {cycle + offset for cycle in one for offset in range(a)}
    theirs = {cycle + offset for cycle in other for offset in range(b)}
    found = meet(one, other, a, b)
    assert (found is not None) == bool(mine & theirs)
    if found is not None:
        assert found in mine & theirs


@given(patterns(), patterns())
def test_equal_patterns_are_the_same_cycles_in_order(one: Steps, other: Steps) -> None:
    assert equal(one, other) == (list(one) == list(other))
    assert equal(one, Steps(one.first, one.length, one.stride, one.bursts, one.period))


@given(patterns(), st.integers(-9, 9))
def test_moved_counted_and_written_out(steps: Steps, cycles: int) -> None:
    written = list(steps)
    assert list(steps.moved(cycles)) == [cycle + cycles for cycle in written]
    assert list(steps.flat()) == written == steps.array().tolist()
    assert (steps.first, steps.last, steps.count) == (written[0], written[-1], len(written))


def test_a_burst_that_is_longer_than_its_period_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than the period"):
        Steps(0, 4, 3, 2, 9)
    with pytest.raises(ValueError, match="at least 1"):
        Steps(0, 0)
