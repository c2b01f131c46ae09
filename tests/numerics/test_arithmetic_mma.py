"""Presets of tensor and matrix cores against MMA-Sim, bit for bit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from accelsim.numerics import registry
from accelsim.numerics.accumulator import accumulator
from accelsim.numerics.accumulator_presets import PRESETS
from accelsim.numerics.arithmetic.compute import compute
from accelsim.numerics.arithmetic.problem import Problem
from accelsim.numerics.arithmetic.slow import everywhere
from accelsim.numerics.reference.arithmetic import Exponents
from accelsim.spec.format.names import from_name
from tests.numerics.mma_tiles import CASES, FORMATS, HARD, RANDOM, Case, tiles

RESULTS = Path(__file__).parent / "data" / "mma_sim.npz"


@cache
def table(name: str) -> np.ndarray:
    return registry.element_codec(from_name(name)).decoded


def decoded(codes: np.ndarray, name: str) -> np.ndarray:
    if name == "fp32":
        return codes.astype(np.uint32).view(np.float32).astype(np.float64)
    return table(name)[codes.astype(np.int64)]


def problems(case: Case, only: slice = slice(None)) -> list[Problem]:
    given = tiles(case)
    a, b, c = decoded(given.a[only], case.a), decoded(given.b[only], case.b), decoded(given.c[only], case.c)
    least_scale = -6 if case.scale == "ue4m3" else None
    limits = Exponents(1 - FORMATS[case.a].bias, 1 - FORMATS[case.b].bias, least_scale, least_scale)
    if not case.block:
        return [Problem(a[i : i + 1], b[i, :, None], c[i : i + 1, None], limits=limits) for i in range(len(a))]
    name = {"e8m0": "ue8m0", "ue4m3": "ue4m3"}[case.scale]
    scale_a, scale_b = decoded(given.scale_a[only], name), decoded(given.scale_b[only], name)
    bounds = tuple(range(0, case.k + 1, case.block))
    return [
        Problem(
            a[i : i + 1], b[i, :, None], c[i : i + 1, None], scale_a[i : i + 1], scale_b[i, :, None], bounds, limits
        )
        for i in range(len(a))
    ]


def expected(case: Case, only: slice = slice(None)) -> np.ndarray:
    with np.load(RESULTS) as results:
        return decoded(results[case.key][only], case.c)


def assert_equal(got: np.ndarray, want: np.ndarray) -> None:
    wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    assert not wrong.any(), f"{wrong.sum()} tiles differ, the first: {np.nonzero(wrong)[0][:5]}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_every_tile_equals_mma_sim(case: Case) -> None:
    want = expected(case)
    assert len(want) == RANDOM + HARD
    how = accumulator(case.preset)
    got = np.array([compute(problem, how)[0, 0] for problem in problems(case)])
    assert_equal(got, want)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_numpy_and_the_reference_equal_mma_sim(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    only = slice(7, None, 32)
    how, want = accumulator(case.preset), expected(case, only)
    given = problems(case, only)
    assert_equal(np.array([compute(problem, how)[0, 0] for problem in given]), want)
    assert_equal(np.array([everywhere(problem, how)[0, 0] for problem in given]), want)


def test_every_measured_preset_has_tiles() -> None:
    assert {name for name, record in PRESETS.items() if record.status == "measured"} == {case.preset for case in CASES}
    assert RANDOM >= 2_000
    assert HARD >= 200


def test_every_preset_states_its_source_and_only_anchored_ones_are_called_measured() -> None:
    for name, record in PRESETS.items():
        assert record.name == name
        assert record.source
        anchored = "MMA-Sim" in record.source
        assert record.status == ("measured" if anchored else "assumed") or name == "hopper-fp8-promote128"
