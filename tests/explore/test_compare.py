"""Comparisons of frames and runs: what is matched, what moved, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from accelsim.errors import RequestError
from accelsim.explore.batches import METRICS
from accelsim.explore.compare_frames import compare_frames
from accelsim.explore.compare_runs import compare_runs


@pytest.fixture
def frame():
    made = pd.DataFrame(
        {"key": list("abcd"), "status": "ok", "reason": "", "batch": [1, 1, 2, 2], "chip": list("xyxy")}
    )
    for name in METRICS:
        made[name] = np.arange(1.0, 5.0)
    made["model_version"] = "old"
    made.attrs = {"axes": ["batch", "chip"], "fixed": {"prompt": 8}}
    return made


def test_other_code_is_matched_by_axes_and_every_move_is_told(frame):
    new = frame.iloc[::-1].assign(key=list("efgh"), model_version="new")
    new["energy_j"] = new["energy_j"] * np.array([1.0, 1.0, 1.5, 0.5])
    new.loc[new["batch"] == 1, "status"] = ["ok", "infeasible"]
    new.attrs = {"axes": ["batch", "chip"], "fixed": {"prompt": 16, "seed": 1}}
    found = compare_frames(frame, new)
    assert (found.both, found.only_a, found.only_b) == (4, 0, 0)
    (moved,) = found.metrics.to_dict("records")
    assert (moved["metric"], moved["points"], moved["least"], moved["most"]) == ("energy_j", 2, 0.5, 1.5)
    assert moved["at"] == "batch = 1, chip = x", "halved is further than one and a half times"
    assert len(found.equal) == len(METRICS) - 1
    assert found.statuses[["status_a", "status_b"]].to_numpy().tolist() == [["ok", "infeasible"]]
    assert dict(found.inputs[["input", "b"]].to_numpy()) == {"prompt": "16", "seed": "1"}
    assert "other code: old -> new" in found.lines()
    assert compare_frames(frame, frame).lines()[-1] == f"all {len(METRICS)} metrics are the same, bit for bit"


def test_an_axis_that_one_lacks_is_an_input(frame):
    less = frame[frame["chip"] == "x"].drop(columns="chip")
    less.attrs = {"axes": ["batch"], "fixed": {"prompt": 8, "chip": "x"}}
    with pytest.raises(RequestError, match="first has several points with batch = 1"):
        compare_frames(frame, less)
    part = frame[frame["chip"] == "x"]
    part.attrs = frame.attrs
    found = compare_frames(part, less)
    assert (found.both, len(found.metrics)) == (2, 0)
    assert found.inputs.to_numpy().tolist() == [["chip", "1 values", "x"]]


def test_frames_that_have_nothing_in_common_are_refused(frame):
    other = frame.rename(columns={"batch": "a", "chip": "b"})
    other.attrs = {"axes": ["a", "b"]}
    with pytest.raises(RequestError, match="no axis in common: batch, chip and a, b"):
        compare_frames(frame, other)
    with pytest.raises(RequestError, match="no metric in common"):
        compare_frames(frame[["batch", "chip"]], frame[["batch", "chip"]])


def test_runs_are_told_apart_by_inputs_figures_and_operators():
    def run(batch, **times):
        rows = [{"phase": "decode", "name": name, "kind": "matmul", "time_s": time, "bound": bound}
                for name, (time, bound) in times.items()]  # fmt: skip
        total = sum(time for time, _ in times.values())
        return {"request": {"batch": batch, "prompt": 1}, "summary": {"total_time_s": total, "flops": 5.0},
                "operators": rows}  # fmt: skip

    found = compare_runs(run(1, a=(4.0, "memory"), b=(1.0, "memory")), run(2, a=(1.0, "compute"), c=(1.0, "memory")))
    assert found.inputs.to_numpy().tolist() == [["batch", 1, 2]]
    assert found.metrics.to_dict("records") == [
        {"metric": "total_time_s", "a": 5.0, "b": 2.0, "difference": -3.0, "ratio": 0.4}
    ]
    assert found.same == 1
    moved = {row["name"]: row for row in found.operators.to_dict("records")}
    assert [moved[name]["difference_s"] for name in "abc"] == [-3.0, -1.0, 1.0]
    assert moved["a"]["share"] == 1.0
    assert (moved["b"]["bound_b"], moved["c"]["bound_a"]) == ("", "")
    assert any("a (decode): memory -> compute" in line for line in found.lines())
    with pytest.raises(RequestError, match="the second document is no run"):
        compare_runs(run(1), {"summary": {}})
    failed = {**run(1), "infeasible": {"reason": "too large"}}
    with pytest.raises(RequestError, match="the first run did not take place: too large"):
        compare_runs(failed, run(1))
