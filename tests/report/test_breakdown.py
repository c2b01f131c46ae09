"""The breakdown picture: bars that add up to the phase, and energy where it is known."""

from __future__ import annotations

import math

import pytest

from accelsim.report import breakdown
from accelsim.results import BOUNDS

RUNS = ["event", "experts", "unfused", "encoder", "operator", "roofline"]
FACTOR = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}
JOULES = {"J": 1.0, "mJ": 1e3, "µJ": 1e6}


def _unit(label: str) -> str:
    return label.rpartition("(")[2].rstrip(")")


@pytest.fixture(params=RUNS)
def name(request):
    return request.param


@pytest.fixture
def run(runs, name):
    return runs(name)


def test_bars_of_a_phase_add_up_to_its_time_and_its_energy(run, pictures, name):
    axes = pictures("breakdown", name).axes
    phases = run.rows("phases")
    assert len(axes) == 2 * len(phases)
    for phase, time, energy in zip(phases, axes[: len(phases)], axes[len(phases) :], strict=True):
        assert time.get_xlabel().startswith("time (")
        assert energy.get_xlabel().startswith("energy (")
        seconds = math.fsum(bar.get_width() for bar in time.patches) / FACTOR[_unit(time.get_xlabel())]
        joules = math.fsum(bar.get_width() for bar in energy.patches) / JOULES[_unit(energy.get_xlabel())]
        assert seconds == pytest.approx(phase["time_s"], rel=1e-9)
        assert joules == pytest.approx(phase["energy_j"], rel=1e-9)
        assert phase["phase"] in time.get_title()


def test_small_operators_stand_together_and_none_is_lost(run):
    bars = breakdown.groups(run)
    members = [name for names in bars.values() for name in names]
    assert sorted(members) == sorted(set(run.operators["name"]))
    assert len(bars) <= 14
    *_, last = bars
    assert (len(bars[last]) > 1) is last.startswith("other (")


def test_colours_are_explained(run, pictures, name):
    figure = pictures("breakdown", name)
    words = {text.get_text() for text in figure.legends[0].get_texts()}
    assert words == set(run.operators["bound"])
    assert words <= set(BOUNDS)


def test_unknown_energy_is_left_out_and_not_drawn_as_zero(pictures):
    axes = pictures("breakdown", "llm-viewer").axes
    assert len(axes) == 2
    assert all(panel.get_xlabel().startswith("time (") for panel in axes)
