"""The space beside the H100: what its file promises, on a part of it."""

from __future__ import annotations

import pytest

from accelsim.explore.sweep import Sweep


@pytest.fixture
def frame(tmp_path):
    whole = Sweep.read("h100_neighbours")
    spec = whole.spec
    changed = {key: axis.model_dump(exclude_defaults=True) for key, axis in spec.axes.items()}
    changed["sm.count"] = {"values": [60, 84, 132]}
    changed["clock.sm.frequency"] = {"values": ["1.6 GHz"]}
    changed["weights"] = {"values": ["bf16"]}
    part = Sweep(
        changed, name="part", fixed=spec.fixed, constraints=dict(spec.constraints), objectives=dict(spec.objectives)
    )
    part.run(workers=1, store=tmp_path / "part.sqlite")
    assert part.design.excluded > 0
    return part.load(tmp_path / "part.sqlite")


def test_stacks_bring_bandwidth_capacity_and_area(frame):
    assert (frame["memory.bandwidth"] == 670e9 * frame["memory.stacks"]).all()
    assert (frame["memory_capacity_bytes"].dropna() == 16e9 * frame["memory.stacks"]).all()
    assert frame["area_mm2"].max() <= 814
    assert (frame.groupby("sm.count")["memory.stacks"].max().diff().dropna() <= 0).all(), "SMs take room from stacks"


def test_one_sequence_wants_stacks_and_the_die_bounds_them(frame):
    """A step reads 13.5 GB of weights: 13.5 GB / 6.7 TB/s = 2.0 ms at ten stacks."""
    one = frame[frame["batch"] == 1].set_index(["sm.count", "memory.stacks"])["time_per_output_token_s"]
    assert one[84].idxmin() == 10
    assert one[84][10] == pytest.approx(13.5e9 / 6.7e12, rel=0.06)
    assert one[132].index.max() < 10
    assert one[84].min() < one[132].min()
