"""Published figures of IPUs: the fitted constant comes from its row alone, and the rest is predicted."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import pytest

from accelsim import catalog
from accelsim.simulation import simulate
from accelsim.spec.ipu import IpuPart
from accelsim.validation import ipu
from accelsim.validation.published import Case, Row, row

ROWS = ipu.rows()
ROOT = Path(__file__).resolve().parents[2]
DEVIATIONS = (ROOT / "DEVIATIONS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("found", ROWS, ids=lambda found: found.case.on)
def test_figures_are_as_near_as_asked(found: Row) -> None:
    assert found.met


def test_at_most_two_constants_are_fitted_and_the_rest_is_predicted() -> None:
    roles = [found.case.role for found in ROWS]
    assert roles.count("fit") == 1
    assert roles.count("predict") >= 1


@pytest.mark.long
def test_the_fit_gives_the_figure_of_every_description() -> None:
    cycles = ipu.fitted_superstep()
    assert ipu.PLAUSIBLE[0] < cycles < ipu.PLAUSIBLE[1]
    for name in catalog.names("arch"):
        part = catalog.chip(name)
        if isinstance(part, IpuPart):
            assert part.timing.superstep == cycles, name


def test_the_deviation_of_the_prediction_is_told() -> None:
    predicted = next(found for found in ROWS if found.case.role == "predict")
    told = re.search(r"ChatGLM-6B on 32 Mk2 at ([\d.]+) of the published time", DEVIATIONS)
    assert told
    assert predicted.ours / predicted.case.published == pytest.approx(float(told[1]), abs=0.006)


@pytest.mark.parametrize("case", ipu.CASES, ids=lambda case: case.on)
def test_published_configurations_take_less_than_two_seconds_of_the_processor(case: Case) -> None:
    start = process_time()
    row(case)
    assert process_time() - start < 2


def test_predictions_that_the_page_prints_are_those_of_today() -> None:
    def token(on: str = "ipu-mk2-8", batch: int = 1, generate: int = 264) -> float:
        done = simulate("gpt2-xl", on, batch=batch, prompt=1, generate=generate)
        return float(done.summary["total_time_s"]) / generate

    page = " ".join((ROOT / "docs" / "ipu.md").read_text(encoding="utf-8").split())
    usual = token()
    batches = [token(batch=batch) / usual for batch in (2, 4, 8, 16)]
    lengths = [token(generate=length) / usual for length in (128, 512, 1024)]
    assert "takes {:.2f}, {:.2f}, {:.2f} and {:.2f} times the time of one sequence".format(*batches) in page
    assert "takes {:.2f}, {:.2f} and {:.2f} times".format(*lengths) in page
    assert f"shortens a token by its ratio, {usual / token('ipu-c600-8'):.3f}" in page
