"""What a figure hangs on: against functions whose indices are known, and against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore.importance import importance
from accelsim.explore.sensitivity import grid, of_function, saltelli, sobol


def ishigami(cube):
    x = np.pi * (2 * cube - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_ishigami_s_indices():
    """a = 7, b = 0.1: S = 0.3139, 0.4424, 0; T = 0.5576, 0.4424, 0.2437, by the closed forms of its integrals."""
    parts = np.pi**4 / 5, np.pi**8 / 18, np.pi**8 / 50
    variance = 7**2 / 8 + 0.1 * parts[0] + 0.1**2 * parts[1] + 0.5
    first = np.array([0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 7**2 / 8, 0]) / variance
    together = 0.1**2 * (parts[1] - parts[2]) / variance
    total = first + np.array([together, 0, together])
    assert first == pytest.approx([0.3139, 0.4424, 0.0], abs=1e-4)
    assert total == pytest.approx([0.5576, 0.4424, 0.2437], abs=1e-4)
    for seed in range(3):
        alone, all_ = of_function(ishigami, 3, 4096, seed)
        assert alone == pytest.approx(first, abs=0.02)
        assert all_ == pytest.approx(total, abs=0.02)


def test_every_axis_is_taken_from_the_other_sample_once():
    cube = saltelli(3, 64).reshape(5, 64, 3)
    for axis in range(3):
        for other in range(3):
            assert (cube[2 + axis, :, other] == cube[int(other == axis), :, other]).all()


def test_a_grid_is_decomposed_exactly():
    a, b = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0], indexing="ij")
    frame = pd.DataFrame({"a": a.ravel(), "b": b.ravel()})
    frame["sum"] = frame["a"] + 3 * frame["b"]
    frame["product"] = (frame["a"] - 1) * (frame["b"] - 0.5)
    found = grid(frame.sample(frac=1, random_state=1), "sum", ["a", "b"]).set_index("axis")
    parts = {"a": 2 / 3, "b": 9 / 4}
    for name, part in parts.items():
        assert found.loc[name].to_list() == pytest.approx([part / sum(parts.values())] * 2)
    alone = grid(frame, "product", ["a", "b"])
    assert alone["first_order"].to_list() == pytest.approx([0, 0])
    assert alone["total"].to_list() == pytest.approx([1, 1])
    with pytest.raises(UnknownNameError, match="nearest: product"):
        grid(frame, "produkt", ["a", "b"])
    with pytest.raises(RequestError, match="no axis has two values"):
        grid(frame[(frame["a"] == 1) & (frame["b"] == 1)], "sum", ["a", "b"])
    holed = frame.assign(sum=frame["sum"].where(frame["a"] < 2), status="ok", reason="")
    holed.loc[frame["a"] == 2, ["status", "reason"]] = ["infeasible", "14 GB do not fit"]
    with pytest.raises(RequestError, match="2 points have no sum, such as: 14 GB do not fit"):
        grid(holed, "sum", ["a", "b"])
    with pytest.raises(RequestError, match="no full grid of 3 x 2"):
        grid(frame.iloc[1:], "sum", ["a", "b"])


def test_a_roofline_hangs_on_what_bounds_it(make):
    """Decoding one sequence streams weights: its time follows the bandwidth, and a little the number of SMs."""
    axes = {"memory.bandwidth": {"log_range": ["1 TB/s", "4 TB/s"]}, "sm.count": {"range": [100, 132]},
            "prompt": {"range": [16, 64]}}  # fmt: skip
    sweep = make(axes)
    found = sobol(sweep, "time_per_output_token_s", count=128, workers=1)
    assert found.attrs["points"] == 5 * 128
    first = found.set_index("axis")
    assert first.loc["memory.bandwidth", "total"] > 0.95
    assert first.loc[["sm.count", "prompt"], "total"].max() < 0.05
    assert sobol(sweep, "time_per_output_token_s", count=128, workers=1).equals(found), "from the store"
    with pytest.raises(UnknownNameError, match="no column named 'nothing'"):
        sobol(sweep, "nothing", count=128, workers=1)
    with pytest.raises(RequestError, match="power of two"):
        sobol(sweep, "energy_j", count=100)
    with pytest.raises(RequestError, match="depend on each other"):
        sobol(make(axes, zip=[["sm.count", "prompt"]]), "energy_j")


def test_importance_finds_what_matters_and_refuses_a_surrogate_that_does_not_describe_the_rows():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"a": random.uniform(1, 9, 200), "b": random.uniform(1, 9, 200),
                         "c": random.choice(["x", "y"], 200), "status": "ok"})  # fmt: skip
    rows["good"] = rows["a"] ** 2 * np.where(rows["c"] == "x", 2.0, 1.0)
    rows["noise"] = random.normal(size=200)
    found = importance(rows, "good", ["a", "b", "c"])
    assert found.attrs["r2"] > 0.99
    assert found["axis"].to_list() == ["a", "c", "b"]
    assert abs(found["importance"].iloc[-1]) < 0.01
    with pytest.raises(RequestError, match=r"less than 0\.5"):
        importance(rows, "noise", ["a", "b", "c"])
    with pytest.raises(RequestError, match="at least 20"):
        importance(rows.iloc[:10], "good", ["a", "b"])
