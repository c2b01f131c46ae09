"""Fronts against the definition, point by point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore.pareto import front


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30))
def test_a_point_is_on_the_front_unless_another_dominates_it(points):
    costs = np.array(points, dtype=float)
    expected = [not any(np.all(other <= mine) and np.any(other < mine) for other in costs) for mine in costs]
    assert front(costs).tolist() == expected


def test_rows_that_are_not_ok_are_ignored_ties_stay_and_groups_have_their_own():
    frame = pd.DataFrame(
        {
            "status": ["ok", "ok", "ok", "failed", "ok", "ok"],
            "time_s": [1.0, 2.0, 1.0, 0.1, np.nan, 3.0],
            "tokens_per_s": [5.0, 9.0, 5.0, 99.0, 99.0, 1.0],
            "chip": ["a", "a", "a", "a", "a", "b"],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    ways = {"time_s": "min", "tokens_per_s": "max"}
    found = accelsim.pareto(frame, ways)
    assert found.tolist() == [True, True, True, False, False, False]
    assert found.index.tolist() == [10, 11, 12, 13, 14, 15]
    assert accelsim.pareto(frame, ways, by="chip").tolist() == [True, True, True, False, False, True]


def test_objectives_that_are_none():
    frame = pd.DataFrame({"time_s": [1.0]})
    with pytest.raises(UnknownNameError, match="nearest: time_s"):
        accelsim.pareto(frame, {"tim_s": "min"})
    with pytest.raises(RequestError, match="neither"):
        accelsim.pareto(frame, {"time_s": "least"})
    with pytest.raises(RequestError, match="needs objectives"):
        accelsim.pareto(frame, {})
