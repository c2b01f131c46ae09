"""Axes, sampling, dependence and constraints: which points a sweep has; and what is said where it has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accelsim.errors import AccelsimError, DescriptionError
from accelsim.explore.design import expand


def cells(sweep):
    design = sweep.design
    return {column.name: column.cells().tolist() for column in design.columns}


def test_a_grid_runs_through_its_axes_the_last_fastest(make):
    assert cells(make({"batch": [1, 2], "prompt": {"range": [16, 48], "step": 16}})) == {
        "batch": [1, 1, 1, 2, 2, 2],
        "prompt": [16, 32, 48, 16, 32, 48],
    }


def test_kinds_of_axes(make):
    found = cells(
        make(
            {
                "batch": {"powers_of_two": [2, 8]},
                "memory.bandwidth": {"log_range": ["1 TB/s", "4000 GB/s"], "count": 3},
                "power.idle": {"range": ["50 W", "100 W"], "count": 2, "name": "idle"},
                "fuse": [True, False],
            }
        )
    )
    assert sorted(set(found["batch"])) == [2, 4, 8]
    assert sorted(set(found["memory.bandwidth"])) == pytest.approx([1e12, 2e12, 4e12])
    assert sorted(set(found["idle"])) == [50.0, 100.0]
    assert len(found["fuse"]) == 3 * 3 * 2 * 2


def test_axes_that_are_zipped_go_together(make):
    found = cells(make({"batch": [1, 2], "prompt": [16, 32], "seed": [1, 2, 3]}, zip=[["batch", "prompt"]]))
    assert set(zip(found["batch"], found["prompt"], strict=True)) == {(1, 16), (2, 32)}
    assert len(found["seed"]) == 6
    again = make({"batch": [1, 1, 2, 1], "prompt": [16, 32, 32, 16]}, zip=[["batch", "prompt"]])
    assert list(zip(*cells(again).values(), strict=True)) == [(1, 16), (1, 32), (2, 32)]
    assert again.design.repeated == 1


def test_an_axis_is_absent_where_its_condition_is_false_and_points_stay_single(make):
    sweep = make(
        {"fidelity": ["roofline", "event"], "streams": {"values": ["one", "graph"], "when": "fidelity == 'event'"}}
    )
    assert cells(sweep) == {"fidelity": ["roofline", "event", "event"], "streams": [None, "one", "graph"]}
    assert sweep.design.repeated == 1
    assert len(set(sweep.keys)) == 3


def test_a_value_may_follow_from_others(make):
    sweep = make({"memory.bandwidth": {"derive": "channels * 8e9"}}, parameters={"channels": [100, 200]})
    assert cells(sweep) == {"memory.bandwidth": [8e11, 1.6e12], "channels": [100, 200]}
    assert [group.figures["memory.bandwidth"].tolist() for group in sweep.groups] == [[8e11, 1.6e12]]


def test_constraints_over_inputs_exclude_before_anything_is_evaluated(make):
    sweep = make({"batch": [1, 2, 4], "prompt": [16, 64]}, constraints=["batch * prompt <= 64", "energy_j < 1"])
    assert (sweep.design.count, sweep.design.excluded) == (4, 2)
    assert list(sweep.design.outputs) == ["energy_j < 1"]


@pytest.mark.parametrize("method", ["random", "latin_hypercube", "sobol"])
def test_samples_are_spread_and_the_same_for_a_seed(make, method):
    axes = {"memory.bandwidth": {"log_range": ["1 TB/s", "8 TB/s"]}, "sm.count": {"range": [50, 200]},
            "batch": [1, 2, 4]}  # fmt: skip

    def drawn(seed):
        return cells(make(axes, sampling={"method": method, "count": 64, "seed": seed}))

    first = drawn(1)
    assert first == drawn(1)
    assert first != drawn(2)
    assert all(isinstance(count, int) and 50 <= count <= 200 for count in first["sm.count"])
    logs = np.log2(first["memory.bandwidth"])
    assert logs.min() >= np.log2(1e12)
    assert logs.max() <= np.log2(8e12)
    if method != "random":  # each third of the range has its third of the points
        thirds = np.histogram(logs, bins=3, range=(math.log2(1e12), math.log2(8e12)))[0]
        assert thirds.min() >= 20
    assert set(first["batch"]) == {1, 2, 4}


def test_chips_by_name_with_figures_of_their_own_and_as_records(make):
    from accelsim import catalog

    fat = {"base": "h100-sxm", "name": "fat", "memory.bandwidth": "5 TB/s"}
    record = catalog.chip("a100-sxm-80gb")
    assert cells(make({"chip": ["h100-sxm", fat, record]})) == {"chip": ["h100-sxm", "fat", "a100-sxm-80gb"]}


@pytest.mark.parametrize(
    ("axes", "more", "says"),
    [
        ({"memory.bandwith": ["1 TB/s"]}, {}, r"nearest: memory\.bandwidth"),
        ({"bach": [1]}, {}, "nearest: batch"),
        ({"batch": []}, {}, "the axis is empty"),
        ({"memory.bandwidth": ["3 GB"]}, {}, "expected a bandwidth"),
        ({"memory.bandwidth": ["fast"]}, {}, "expected a bandwidth"),
        ({"batch": [0]}, {}, "at least 1"),
        ({"batch": [1.5]}, {}, "whole number"),
        ({"chip": ["h100-smx"]}, {}, "nearest: h100-sxm"),
        ({"weights": ["fp8_e4m9x"]}, {}, "no format named"),
        ({"technique": ["paged"]}, {}, "cannot vary this yet"),
        ({"batch": [1, 1]}, {}, "stands twice"),
        ({"batch": {"range": [1, 8]}}, {}, "needs count or step"),
        ({"batch": {"range": [8, 1], "count": 3}}, {}, "must rise"),
        ({"batch": {"powers_of_two": [1, 6]}}, {}, "powers of two"),
        ({"batch": [1], "prompt": [1, 2]}, {"zip": [["batch", "prompt"]]}, "different lengths"),
        ({"batch": [1]}, {"constraints": ["aera_mm2 < 800"]}, "no column named 'aera_mm2'"),
        ({"batch": [1]}, {"constraints": ["batch > 4"]}, "exclude all 1 points"),
        ({"batch": [1]}, {"objectives": {"enrgy_j": "min"}}, "nearest: energy_j"),
        ({"batch": [1]}, {"derived": {"energy_j": "batch"}}, "there is a column of that name"),
        ({"batch": [1]}, {"sampling": {"method": "sobol"}}, "needs count"),
        ({"organization.rows": [1024], "chip": ["h100-sxm", "hbm-pim-64pch"]}, {}, "when"),
        ({"batch": [1]}, {"fixed": {"batch": 2}}, "both fixed and an axis"),
    ],
)
def test_what_is_wrong_is_said(make, axes, more, says):
    from accelsim.explore.sweep import Sweep

    if "fixed" in more:
        with pytest.raises(DescriptionError, match=says):
            Sweep(axes, fixed={"model": "gpt2", "chip": "h100-sxm", **more["fixed"]})
        return
    with pytest.raises(AccelsimError, match=f"(?s){says}"):
        expand(make(axes, **more).spec)


def test_a_grid_of_a_thousand_million_points_is_refused_with_what_would_do(make):
    axes = {"batch": {"range": [1, 1000], "step": 1}, "prompt": {"range": [1, 1000], "step": 1},
            "seed": {"range": [1, 1000], "step": 1}}  # fmt: skip
    with pytest.raises(AccelsimError, match=r"1,000,000,000 points.*1,000 batch x 1,000 prompt(?s:.*)sobol"):
        expand(make(axes).spec)


def test_a_sweep_needs_a_chip_and_a_model():
    from accelsim.explore.sweep import Sweep

    with pytest.raises(AccelsimError, match="names its chip once"):
        expand(Sweep({"batch": [1]}, fixed={"model": "gpt2"}).spec)
    with pytest.raises(AccelsimError, match="names its model"):
        expand(Sweep({"batch": [1]}, fixed={"chip": "h100-sxm"}).spec)
