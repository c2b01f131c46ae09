"""Pictures of sweeps, by what stands in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.report.frames import draw, label
from accelsim.spec.sweep import Plot

WAYS = {"time_s": "min", "energy_j": "min"}


@pytest.fixture
def frame():
    batch, chip = np.meshgrid([1, 2, 4, 8], ["a", "b"], indexing="ij")
    made = pd.DataFrame({"status": "ok", "batch": batch.ravel(), "chip": chip.ravel()})
    slow = np.where(made["chip"] == "a", 1.0, 3.0)
    made["time_s"] = slow * made["batch"]
    made["energy_j"] = 10.0 / (made["batch"] * slow)
    made.loc[0, "status"] = "failed"
    made.loc[0, "time_s"] = np.nan
    made["chip"] = pd.Categorical(made["chip"])
    made.attrs["axes"] = ["batch", "chip"]
    return made


def test_lines_have_a_line_per_colour_and_only_points_that_are_ok(frame):
    axes = draw(frame, Plot(x="batch", y="time_s", color="chip"), title="a question?").axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines == {"a": [[2, 2], [4, 4], [8, 8]], "b": [[1, 3], [2, 6], [4, 12], [8, 24]]}
    assert axes.get_xlabel() == "batch"
    assert axes.get_ylabel() == "time (s)"
    assert axes.figure.get_suptitle() == "a question?"


def test_panels(frame):
    made = draw(frame, Plot(x="batch", y="time_s", facet="chip"), title="")
    assert [axes.get_title() for axes in made.axes] == ["chip: a", "chip: b"]


def test_a_heat_map_has_its_cells_in_the_order_of_numbers(frame):
    axes = draw(frame, Plot(kind="heatmap", x="batch", y="chip", value="time_s"), title="").axes[0]
    cells = axes.images[0].get_array().filled(np.nan)
    assert cells.shape == (2, 4)
    named = dict(zip([text.get_text() for text in axes.get_yticklabels()], cells.tolist(), strict=True))
    assert named["b"] == [3, 6, 12, 24]


def test_a_front_is_marked_and_labelled(frame):
    axes = draw(frame, Plot(kind="pareto", color="chip"), title="", objectives=WAYS).axes[0]
    marked = axes.collections[-1].get_offsets().tolist()
    good = frame[frame["status"] == "ok"]
    for row in good.itertuples():
        better = good[(good.time_s <= row.time_s) & (good.energy_j <= row.energy_j)]
        alone = not ((better.time_s < row.time_s) | (better.energy_j < row.energy_j)).any()
        assert ([row.time_s, row.energy_j] in marked) == alone
    assert axes.texts[0].get_text() == "2, a"


def test_parallel_coordinates_have_a_line_per_point(frame):
    axes = draw(frame, Plot(kind="parallel"), title="", objectives=WAYS).axes[0]
    assert len(axes.lines) == 7
    assert [text.get_text() for text in axes.get_xticklabels()] == ["batch", "chip", "time (s)", "energy (J)"]
    assert all(0 <= value <= 1 for line in axes.lines for value in line.get_ydata())


def test_a_tornado_has_the_widest_effect_on_top(frame):
    axes = draw(frame, Plot(kind="tornado", y="time_s"), title="").axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    good = frame[frame["status"] == "ok"]
    spread = {name: np.ptp(good.groupby(name)["time_s"].mean()) for name in ("batch", "chip")}
    assert names == sorted(spread, key=lambda name: spread[name])


def test_pictures_are_written(frame, tmp_path):
    draw(frame, Plot(x="batch", y="time_s"), title="", path=tmp_path / "lines.png")
    assert (tmp_path / "lines.png").stat().st_size > 5_000


def test_what_cannot_be_drawn(frame):
    with pytest.raises(UnknownNameError, match="nearest: time_s"):
        draw(frame, Plot(x="batch", y="tims_s"), title="")
    with pytest.raises(RequestError, match="needs x: name columns"):
        draw(frame, Plot(y="time_s", x=None, kind="heatmap", value="time_s"), title="")
    with pytest.raises(RequestError, match="no point is ok"):
        draw(frame.iloc[:1], Plot(x="batch", y="time_s"), title="")
    with pytest.raises(RequestError, match="6 panels at most"):
        draw(frame.assign(many=range(8)), Plot(x="batch", y="time_s", facet="many"), title="")


def test_labels():
    assert label("time_per_output_token_s") == "time per output token (s/token)"
    assert label("memory.bandwidth") == "memory bandwidth"
    assert label("peak_memory_bytes") == "peak memory (B)"
