"""The timeline picture: a row per resource, one pass of each phase, repeated layers once."""

from __future__ import annotations

import pytest
from matplotlib.collections import PatchCollection

from accelsim.errors import RequestError
from accelsim.report import timeline


def _passes(run, phase):
    return timeline.stages(row for row in run.rows("timeline") if row["phase"] == phase)


@pytest.mark.parametrize("name", ["event", "unfolded", "experts", "encoder"])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_one_pass_lasts_as_long_as_its_stages(runs, name, phase):
    run = runs(name)
    if phase not in set(run.phases["phase"]):
        return
    found = _passes(run, phase)
    row = run.phases.set_index("phase").loc[phase]
    whole = sum(stage.repeat * stage.period_ps for stage in found)
    if phase == "prefill":
        assert whole == round(row["time_s"] * 1e12)
    else:  # later steps attend to a token more and take as long or longer
        mean_ps = round(row["time_s"] * 1e12) / row["steps"]
        assert 0.99 * mean_ps < whole <= mean_ps


def test_what_is_drawn_of_one_pass_is_all_of_it(runs):
    run = runs("event")
    first_step = [row for row in run.rows("timeline") if row["phase"] == "prefill" and row["resource"] != "chip.static"]
    found = _passes(run, "prefill")
    assert sum(len(stage.rows) for stage in found) == len(first_step)
    assert [stage.repeat for stage in found if stage.repeat > 1] == [32]  # layers of Llama-2-7B


def test_a_folded_and_an_unfolded_pass_take_the_same_time(runs):
    assert all(stage.repeat == 1 for stage in _passes(runs("unfolded"), "decode"))
    names = [row["name"] for stage in _passes(runs("unfolded"), "decode") for row in stage.rows]
    assert names.count("lm_head") == [row["name"] for row in _passes(runs("event"), "decode")[-1].rows].count("lm_head")


def test_rows_are_the_kernels_and_every_busy_resource(runs, pictures):
    run = runs("event")
    figure = pictures("timeline", "event")
    assert len(figure.axes) == 2
    resources = run.resources[(run.resources["busy_s"] > 0) & (run.resources["resource"] != "chip.static")]
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_yticklabels()] == ["kernels", *resources["resource"]]
        assert axes.get_xlabel().startswith("time (")
        assert "× 32" in [text.get_text() for text in axes.texts]
    assert figure.axes[1].get_title(loc="left") == "decode, step 1 of 3"
    assert "µs" in figure.axes[1].get_xlabel()


def test_a_single_phase_and_fewer_rows_on_request(runs):
    figure = runs("event").plot.timeline(phase="decode", max_rows=2)
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 3
    busiest = runs("event").resources.query("resource != 'chip.static'").nlargest(2, "busy_s")["resource"]
    assert set(labels[1:]) == set(busiest)


def test_bars_lie_in_their_rows_and_inside_the_axis(pictures):
    for axes in pictures("timeline", "experts").axes:
        rows = len(axes.get_yticks())
        for collection in axes.collections:
            assert isinstance(collection, PatchCollection)
            for path in collection.get_paths():
                extent = path.get_extents()
                assert extent.x0 >= 0
                assert extent.x1 <= axes.get_xlim()[1] * (1 + 1e-9)
                place = round((extent.y0 + extent.y1) / 2 - 0.2)
                assert 0 <= place < rows
                assert place - 0.41 <= extent.y0 <= extent.y1 <= place + 0.41


def test_a_phase_that_the_run_has_not_is_refused(runs):
    with pytest.raises(RequestError, match=r"no phase 'decoding': there are prefill, decode.*did you mean 'decode'"):
        runs("event").plot.timeline(phase="decoding")
    with pytest.raises(RequestError, match="max_rows = 0: expected at least 1"):
        runs("event").plot.timeline(max_rows=0)
