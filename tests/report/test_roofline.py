"""The roofline picture: every operator has its point, below the roofs, and labels do not overlap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from accelsim.graph.operator import Kind
from accelsim.report import roofline, style

RUNS = ["event", "two pairs", "experts", "unfused", "encoder", "operator", "roofline", "llm-viewer"]


@pytest.fixture(params=RUNS)
def name(request):
    return request.param


@pytest.fixture
def run(runs, name):
    return runs(name)


@pytest.fixture
def figure(pictures, name):
    return pictures("roofline", name)


def _scattered(axes) -> np.ndarray:
    return np.vstack([collection.get_offsets() for collection in axes.collections])


def test_every_operator_is_a_point_or_named_as_having_no_arithmetic(run, figure):
    (axes,) = figure.axes
    operators = run.operators
    computing = operators[operators["flops"] > 0]
    drawn = _scattered(axes)
    assert len(drawn) == len(computing)
    expected = np.sort((computing["flops"] / computing["time_s"]).to_numpy())
    assert np.allclose(np.sort(drawn[:, 1]), expected, rtol=1e-12)
    assert np.allclose(np.sort(drawn[:, 0]), np.sort(computing["flops"] / computing["dram_bytes"]), rtol=1e-12)
    idle = set(operators["name"]) - set(computing["name"])
    notes = " ".join(text.get_text() for text in axes.texts)
    assert ("no arithmetic, not drawn" in notes) is bool(idle)
    assert all(name in notes for name in style.short(idle).values())


def test_points_lie_inside_the_axes_and_below_the_roofs(run, figure):
    (axes,) = figure.axes
    roofs = dict(run.roofs)
    bandwidth = roofs.pop("memory")
    for x, y in _scattered(axes):
        assert y <= min(max(roofs.values()), x * bandwidth) * (1 + 1e-9)
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def test_axes_are_logarithmic_and_have_units(figure):
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "FLOP per byte" in axes.get_xlabel()
    assert "FLOP/s" in axes.get_ylabel()


def test_roofs_are_drawn_at_their_rates_and_the_ridge_is_named(runs, pictures):
    run = runs("two pairs")
    (axes,) = pictures("roofline", "two pairs").axes
    level = {float(line.get_ydata()[0]) for line in axes.get_lines() if line.get_ydata()[0] == line.get_ydata()[1]}
    rates = {name: rate for name, rate in run.roofs.items() if name != "memory"}
    assert len(rates) == 3
    assert level == set(rates.values())
    words = [text.get_text() for text in axes.texts]
    assert "matrix units, fp8_e4m3 × fp8_e4m3: 1.98 PFLOP/s" in words
    assert "matrix units, bf16 × bf16: 989 TFLOP/s" in words
    assert "vector units: 61.8 TFLOP/s" in words
    assert "device memory: 3.35 TB/s" in words
    assert {"ridge 295 FLOP/B", "ridge 591 FLOP/B"} <= set(words)  # 989.4e12 / 3.35e12, and twice that


def test_area_is_the_share_of_the_phase(runs):
    found, _ = roofline.points(runs("event"))
    for phase in ("prefill", "decode"):
        shares = [point.share for point in found if point.phase == phase]
        assert 0.9 < sum(shares) <= 1.0
    largest = max(found, key=lambda point: point.share)
    assert largest.area == max(point.area for point in found)


def test_the_most_expensive_operators_are_labelled_without_overlap(run, figure):
    (axes,) = figure.axes
    figure.draw_without_rendering()
    texts = [text for text in axes.texts if text.get_rotation() == 0]
    boxes = [Text.get_window_extent(text) for text in texts]  # of the words alone, without the line to the point
    legend = axes.get_legend().get_window_extent()
    for one, other in itertools.combinations([*boxes, legend], 2):
        assert not one.overlaps(other), (one, other)
    labelled = {text.get_text().rsplit(" ", 2)[0] for text in texts if text.get_text().endswith(" %")}
    found, _ = roofline.points(run)
    names = style.short(point.name for point in found)
    for phase in {point.phase for point in found}:
        first = max((point for point in found if point.phase == phase), key=lambda point: point.share)
        assert names[first.name] in labelled


def test_phases_have_marks_and_families_colours_in_the_legend(pictures):
    words = [text.get_text() for text in pictures("roofline", "event").axes[0].get_legend().get_texts()]
    assert {"prefill", "decode", "matrix multiplication", "attention"} <= set(words)
    words = [text.get_text() for text in pictures("roofline", "llm-viewer").axes[0].get_legend().get_texts()]
    assert words[:2] == ["prefill", "decode"]


def test_every_kind_of_operator_belongs_to_a_family():
    assert set(style.FAMILIES) == {str(kind) for kind in Kind}
