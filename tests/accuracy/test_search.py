"""Formats by operator: against enumeration, and never worse than one format for all."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from accelsim import catalog
from accelsim.accuracy.combinations import combinations
from accelsim.accuracy.run import Bench, accuracy, assign
from accelsim.accuracy.search import search
from accelsim.accuracy.subject import subject
from accelsim.errors import RequestError
from tests.execution.families import CONFIGS


def made_up(seed: int) -> tuple[list[list[float]], list[list[float]]]:
    draw = np.random.default_rng(seed)
    errors = np.sort(draw.exponential(size=(6, 3)) * [0.1, 1.0, 6.0], axis=1)
    return errors.tolist(), np.sort(draw.uniform(1, 9, size=(6, 3)), axis=1)[:, ::-1].tolist()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [1.0, 4.0, 12.0])
def test_sums_are_searched_to_the_optimum(seed: int, budget: float) -> None:
    errors, costs = made_up(seed)

    def of(table: list[list[float]], each: tuple[int, ...]) -> float:
        return sum(row[form] for row, form in zip(table, each, strict=True))

    every = list(product(range(3), repeat=6))
    within = [each for each in every if of(errors, each) <= budget]
    found = search(6, 3, budget, lambda each: of(errors, each), lambda each: of(costs, each), trials=10_000)
    assert found.fits == bool(within)
    if within:
        assert found.energy == pytest.approx(min(of(costs, each) for each in within))
    for form in range(3):
        uniform = (form,) * 6
        assert of(costs, uniform) > found.energy or of(errors, uniform) >= found.error


def test_bad_input() -> None:
    with pytest.raises(RequestError, match="positive"):
        search(2, 2, 0.0, lambda _: 0.0, lambda _: 0.0)
    with pytest.raises(RequestError, match="fewer formats"):
        search(8, 9, 1.0, lambda _: 0.0, lambda _: 0.0)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "config.json"
    path.write_text(json.dumps({**CONFIGS["opt"], "num_hidden_layers": 1}))
    return path


def test_an_assignment_is_a_row_that_was_executed_on_other_text(config: Path) -> None:
    found = accuracy(config, "bf16,int8_channel,int3_channel", on="h100-sxm", limit=32, window=32, search=2e-3)
    row = found.rows[-1]
    assert row.name == "search"
    assert row.measured is not None
    assert row.price is not None
    assert {op for op, _ in row.assigned} >= {"attention.o_proj", "mlp.up_proj", "mlp.down_proj"}
    for other in found.rows[:-1]:
        assert other.measured is not None
        assert other.price is not None
        assert other.price.energy_j > row.price.energy_j or other.measured.kl >= row.measured.kl


@pytest.mark.long
def test_six_operators_and_three_formats_against_all_729(config: Path) -> None:
    judged = subject(config, limit=32, window=32)
    bench = Bench(judged, catalog.model(config))
    group = combinations("int8_channel,int4_channel,int3_channel")
    budget = 0.5 * bench.row(None, group[2]).measured.kl  # type: ignore[union-attr]
    found, names = assign(bench, None, group, budget, fuse=False)
    assert len(names) == 6
    best = np.inf
    for each in product(range(3), repeat=6):
        chosen = {op: group[form].weights for op, form in zip(names, each, strict=True)}
        row = bench.row(None, group[0], chosen)
        assert row.measured is not None
        if row.measured.kl <= budget:
            best = min(best, row.bits_per_weight)
    assert found.fits
    assert found.energy <= 1.02 * best
