"""Pictures of sweeps, by what stands in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.report.columns import label, ruler
from accelsim.report.frames import draw
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
    names = ["batch", "chip", "time (s)", "energy (J)"]
    lines = [line for line in axes.lines if len(line.get_xdata()) == len(names)]
    assert len(lines) == 7
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert all(0 <= value <= 1 for line in lines for value in line.get_ydata())


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


def test_columns_are_named_in_words_and_units_with_a_prefix():
    made = pd.DataFrame(
        {"time_per_output_token_s": [0.002], "memory.bandwidth": [3.35e12], "peak_memory_bytes": [14e9],
         "tokens_per_s": [90.0], "area_mm2": [814.0], "sm.count": [132]}
    )  # fmt: skip
    made.attrs["axis_units"] = {"memory.bandwidth": "B/s"}
    assert [label(made, name) for name in made] == [
        "time per output token (ms/token)", "memory bandwidth (TB/s)", "peak memory (GB)", "tokens per s",
        "area (mm²)", "sm count",
    ]  # fmt: skip
    assert ruler(made, "memory.bandwidth").text(3.35e12, unit=True) == "3.35 TB/s"
    assert ruler(made, "sm.count").text(132, unit=True) == "132"


def test_what_breaks_a_constraint_is_on_no_front(frame):
    frame["meets_constraints"] = frame["batch"] > 1
    axes = draw(frame, Plot(kind="pareto"), title="", objectives=WAYS).axes[0]
    marked = axes.collections[-1].get_offsets()
    assert len(marked)
    assert set(marked[:, 0].tolist()) <= set(frame[frame["meets_constraints"]]["time_s"])


def test_many_numbers_are_a_family_of_shades_and_panels_share_one_legend(frame):
    many = pd.concat([frame.assign(batch=frame["batch"] * factor) for factor in (1, 16)])
    many.attrs = frame.attrs
    made = draw(many, Plot(x="energy_j", y="time_s", color="batch", facet="chip"), title="")
    first = [line.get_color() for line in made.axes[0].lines]
    assert len(set(first)) == len(first) == 8
    assert len(made.legends) == 1


def test_shares_stand_in_order(tmp_path):
    from accelsim.report import shares

    rows = pd.DataFrame({"axis": ["a.b", "c"], "first_order": [0.7, 0.1], "total": [0.9, 0.3]})
    axes = shares.draw(rows, title="", path=tmp_path / "shares.png").axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["c", "a b"]
    assert sorted(round(bar.get_width(), 3) for bar in axes.patches) == [0.1, 0.3, 0.7, 0.9]
