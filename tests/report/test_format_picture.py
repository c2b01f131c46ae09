"""The picture of a format: labelled axes, nothing clipped, the values and errors that it should show."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest

from accelsim.formats import dataformat
from accelsim.numerics import anatomy
from accelsim.report import format_picture
from tests.contract import grids

NAMES = [
    "fp8_e4m3", "mxfp4", "nvfp4", "posit8", "flint4", "int4_g128", "lns8", "gguf_q4_k", "nf4", "bf16", "posit32",
    "olive4", "binary", "cfloat8_143", "gobo3", "hif8",
]  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    return {}


@pytest.fixture(params=NAMES)
def figure(request, drawn):
    if request.param not in drawn:
        drawn[request.param] = format_picture.draw(dataformat(request.param))
    return drawn[request.param]


def test_nothing_is_clipped_and_axes_have_labels(figure):
    figure.draw_without_rendering()
    for artist in (*figure.axes, figure._suptitle):
        box = artist.get_tightbbox()
        assert min(box.x0, box.y0) >= 0, artist
        assert box.x1 <= 1200, artist
        assert box.y1 <= 750, artist
    assert all(axes.get_xlabel() and axes.get_title() for axes in figure.axes)
    assert figure.axes[-1].get_ylabel() == "relative error"


def test_tick_labels_do_not_overlap(figure):
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_window_extent().intervalx
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = sorted((box.x0, box.x1) for box in (label.get_window_extent() for label in labels))
        inside = [box for box in boxes if low - 1 <= sum(box) / 2 <= high + 1]
        assert len(inside) >= 2
        assert all(first[1] <= second[0] + 1 for first, second in pairwise(inside)), axes


def test_a_small_grid_shows_every_value_with_its_number():
    made = dataformat("mxfp4")
    values = format_picture.draw(made).axes[0]
    (marks,) = values.collections
    drawn = sorted({segment[0][0] for segment in marks.get_segments()})
    assert drawn == dataformat("fp4_e2m1").values.tolist()
    assert {float(label.get_text()) for label in values.get_xticklabels()} >= {-6, -4, 0, 4, 6}


def test_density_counts_the_values_of_each_binade():
    density = format_picture.draw(dataformat("fp8_e4m3")).axes[1]
    counts, edges, _ = density.patches[0].get_data()
    assert list(counts) == [1, 2, 4] + [8] * 14 + [7]
    assert list(edges) == list(range(-9, 10))


def test_wide_formats_show_their_density_alone():
    figure = format_picture.draw(dataformat("bf16"))
    assert len(figure.axes) == 2
    assert "65,279 values" in figure.axes[0].get_title()


@pytest.mark.parametrize(("name", "precision"), [("fp8_e4m3", 3), ("fp16", 10), ("bf16", 7), ("fp32", 23)])
def test_the_error_of_a_float_is_half_an_ulp_in_its_normal_range(name, precision):
    curve = format_picture.error_curve(dataformat(name))
    reach = anatomy.range_of(dataformat(name).record)
    inside = (curve.magnitude > float(reach.smallest_normal)) & (curve.magnitude < float(reach.largest) / 2)
    most = 2.0 ** -(precision + 1) / (1 + 2.0 ** -(precision + 1))
    assert curve.largest[inside].max() == pytest.approx(most, rel=0.1)
    assert curve.largest[inside].max() <= most * (1 + 1e-9)
    assert (curve.rms[inside] < most).all()
    assert curve.largest[0] == 1  # below half of the smallest value nothing is left


def test_the_error_of_a_block_format_grows_towards_small_numbers():
    curve = format_picture.error_curve(dataformat("int4_g128"))
    assert curve.rms[0] == pytest.approx(1, abs=0.01)  # all of them became zero
    assert curve.rms[-1] < 0.05
    assert not curve.of_binades


def test_what_overflows_to_infinity_has_no_error():
    curve = format_picture.error_curve(dataformat("fp8_e5m2", policy="ocp-overflow"))
    assert np.isfinite(curve.rms).all()
    assert 2**15 < curve.magnitude[-1] < 61440  # where infinity begins
    assert curve.rms[-1] < 0.1


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in grids.shipped() if name not in NAMES])
def test_every_shipped_format_can_be_drawn(name):
    test_nothing_is_clipped_and_axes_have_labels(format_picture.draw(dataformat(name)))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_it_is_written_whole(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    assert format_picture.write(dataformat("nf4"), path) == path
    assert list(tmp_path.iterdir()) == [path]
    if suffix == ".png":
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[:2] == (750, 1200)
        assert np.std(pixels[..., :3]) > 0.02
