"""Power of a GPU's board: between idle and what it holds itself at, and a clock that answers its limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.evaluate.gemms import kernels
from accelsim.mapping.gpu.power import energies, supply
from accelsim.spec.calibration import Residency
from accelsim.timing.gpu import gemm
from accelsim.timing.gpu.power import Supply, throttled
from accelsim.timing.gpu.shapes import Times

BOARD = Supply(idle_w=100, held_w=700, drawn=3, response=0.4)
joules, times = st.floats(1e-6, 10), st.floats(1e-6, 1e-2)
sizes = st.integers(1, 20_000)


@given(joules, joules, times)
def test_power_lies_between_idle_and_what_the_board_holds(chip: float, memory: float, seconds: float) -> None:
    assert 100 <= BOARD.power_w(chip + memory, seconds) <= 700
    assert BOARD.power_w(chip + memory, seconds) >= BOARD.power_w(memory, seconds)
    assert BOARD.slowdown(chip, memory, seconds) >= 1
    assert BOARD.slowdown(chip, memory, seconds) >= BOARD.slowdown(chip, memory, 1.1 * seconds)


@given(joules, joules, times)
def test_the_slowed_chip_draws_what_the_board_holds(chip: float, memory: float, seconds: float) -> None:
    memory = min(memory, 0.9 * 600 * seconds / 3)
    after = seconds * BOARD.slowdown(chip, memory, seconds)
    state = BOARD.state(chip, memory, after)
    assert 0 < state <= 1
    assert 100 + 3 * (state * chip + memory) / after <= 700 * (1 + 1e-9)


def test_the_slowdown_begins_where_the_limit_is_reached_and_is_continuous() -> None:
    edge = 600 / 3  # watts of priced events
    assert BOARD.slowdown(edge * (1 - 1e-9), 0.0, 1.0) == 1
    assert BOARD.slowdown(edge * (1 + 1e-6), 0.0, 1.0) == pytest.approx(1, abs=1e-6)
    assert BOARD.slowdown(2 * edge, 0.0, 1.0) == pytest.approx(2**0.4)
    assert replace(BOARD, response=0.0).slowdown(9 * edge, 0.0, 1.0) == 1


def both(m: int, n: int, k: int, **board: float) -> tuple[Times, Times]:
    made = kernels("h200-sxm")
    shapes, constants = made.shapes(m, n, k), made.library.calibration.gemm
    cool = gemm.price(shapes, made.machine, constants, Residency())
    on = replace(supply(made.chip), **board)
    return cool, throttled(cool, shapes, made.machine, constants, energies(made.chip, made.pair), on)


@given(sizes, sizes, sizes)
def test_no_kernel_gains_from_load(m: int, n: int, k: int) -> None:
    cool, loaded = both(m, n, k)
    assert loaded.seconds[0] >= cool.seconds[0] * (1 - 1e-12)
    assert loaded.clock[0] >= cool.clock[0]
    assert loaded.seconds[0] == pytest.approx(float(loaded.candidates[0, loaded.candidate[0]]))
    unlimited = both(m, n, k, held_w=1e9)[1]
    assert np.allclose(unlimited.seconds, cool.seconds)


def test_a_lower_limit_takes_longer_and_streams_keep_their_time() -> None:
    limits = (700.0, 500.0, 350.0, 250.0)
    compute = [both(8192, 8192, 8192, held_w=limit)[1].seconds[0] for limit in limits]
    assert compute == sorted(compute)
    assert compute[-1] > 1.3 * compute[0]
    stream = [both(1, 8192, 8192, held_w=limit)[1].seconds[0] for limit in limits[:2]]
    assert stream[1] == pytest.approx(stream[0], rel=0.02)
