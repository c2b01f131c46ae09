"""Area and cost as columns of a sweep: what constraints, objectives and derived columns can name."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.cost import area, money


def test_area_and_cost_are_those_of_each_chip_and_exclude_before_anything_runs(make):
    axes = {"chip": ["a100-sxm-80gb", "h100-sxm", "b200-sxm"], "sm.count": [80, 108], "chips": [1]}
    sweep = make(axes, constraints={"small": "area_mm2 <= 800"}, derived={"dollars_each": "cost_usd / batch"},
                 fixed={"batch": 2})  # fmt: skip
    assert sweep.run(workers=1).points == len(sweep.load())
    assert sweep.design.excluded == 6 - len(sweep.load())
    for row in sweep.load().to_dict("records"):
        chip = catalog.chip(row["chip"], {"sm.count": row["sm.count"]})
        assert row["area_mm2"] == pytest.approx(area.of(chip).total_m2 * 1e6, rel=1e-12)
        assert row["cost_usd"] == pytest.approx(money.cost(chip).total_usd, rel=1e-12)
        assert row["dollars_each"] == row["cost_usd"] / 2
        assert row["area_mm2"] <= 800
    assert set(sweep.load()["chip"]) == {"a100-sxm-80gb", "h100-sxm"}, "no area is known of a B200: no [die]"


def test_a_chip_without_a_die_costs_nan_and_several_chips_cost_several_times(make):
    axes = {"chip": ["b200-sxm", "h100-sxm"], "chips": [1, 2]}
    frame_of = make(axes, objectives={"cost_usd": "min"})
    frame_of.run(workers=1)
    frame = frame_of.load().set_index(["chip", "chips"])
    assert np.isnan(frame.loc["b200-sxm", "cost_usd"]).all()
    assert frame.loc[("h100-sxm", 2), "cost_usd"] == 2 * frame.loc[("h100-sxm", 1), "cost_usd"]
    assert frame.loc[("h100-sxm", 2), "area_mm2"] == frame.loc[("h100-sxm", 1), "area_mm2"]


def test_they_are_no_columns_of_sweeps_that_do_not_ask(make):
    sweep = make({"batch": [1]})
    sweep.run(workers=1)
    assert not {"area_mm2", "cost_usd"} & set(sweep.load().columns)
