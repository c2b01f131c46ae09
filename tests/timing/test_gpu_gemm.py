"""The closed form of a GEMM: bounds, monotony, continuity, speed, and the residency and clock that it is told."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.evaluate.gemms import Kernels, kernels
from accelsim.spec.calibration import Conditions, Residency
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu import gemm

GPUS = [name for name in catalog.names("arch") if isinstance(catalog.chip(name), GpuChip)]
RESIDENCIES = ("cold", "steady", "harness", "harness(3)")
MADE: dict[str, Kernels] = {}

sizes = st.integers(1, 20_000)
chips = st.sampled_from(GPUS)


def made(name: str) -> Kernels:
    if name not in MADE:
        MADE[name] = kernels(name, "fp16")
    return MADE[name]


def seconds(on: Kernels, m: int, n: int, k: int, residency: str = "cold", clock: str = "burst") -> float:
    on = replace(on, library=replace(on.library, conditions=Conditions(None, Residency.parse(residency), clock)))
    return float(on.price(m, n, k).seconds[0])


@given(chips, sizes, sizes, sizes, st.sampled_from(RESIDENCIES))
def test_never_under_the_roofline_at_the_stated_residency(name: str, m: int, n: int, k: int, residency: str) -> None:
    on = made(name)
    size, state = on.shapes(m, n, k), Residency.parse(residency)
    moved = gemm.traffic(size, on.machine.l2_bytes, on.library.calibration.gemm, state)
    compute, memory = on.bounds_s(m, n, k)
    left = (moved.read + moved.written) / on.machine.memory_bytes_per_s
    assert left[0] <= memory[0] * (1 + 1e-12)
    assert seconds(on, m, n, k, residency) >= max(compute[0], left[0])
    if residency == "cold":
        assert left[0] == pytest.approx(memory[0], rel=1e-12)


@given(chips, sizes, sizes, sizes, st.sampled_from([name for name in RESIDENCIES if name != "harness"]))
def test_time_grows_with_k(name: str, m: int, n: int, k: int, residency: str) -> None:
    on = made(name)
    before = seconds(on, m, n, k, residency)
    for more in (1, 64, k):
        assert seconds(on, m, n, k + more, residency) >= before * (1 - 1e-9)


@given(st.sampled_from([name for name in GPUS if made(name).machine.sharing == 1]), sizes, sizes, sizes, sizes)
def test_time_grows_with_rows_and_columns(name: str, m: int, n: int, k: int, more: int) -> None:
    on = made(name)
    before = seconds(on, m, n, k)
    assert seconds(on, m + more, n, k) >= before * (1 - 1e-9)
    assert seconds(on, m, n + more, k) >= before * (1 - 1e-9)


@given(chips, sizes, sizes, sizes, st.sampled_from(["memory.bandwidth", "clock.sm.frequency"]), st.floats(0.3, 3))
def test_time_is_continuous_in_bandwidth_and_clock(
    name: str, m: int, n: int, k: int, figure: str, factor: float
) -> None:
    on = made(name)
    key = {"memory.bandwidth": "memory_bytes_per_s", "clock.sm.frequency": "clock_hz"}[figure]
    at = getattr(on.machine, key) * factor
    near, far = (replace(on, machine=replace(on.machine, **{key: at * f})) for f in (1.0, 1.0001))
    first, second = seconds(near, m, n, k), seconds(far, m, n, k)
    assert second <= first * (1 + 1e-12)
    assert second >= first / 1.0003


@pytest.mark.parametrize("name", ["h100-sxm", "l40s"])
def test_what_l2_still_holds_is_not_read_again(name: str) -> None:
    on = made(name)
    cold, steady, copies = (seconds(on, 16, 4096, 1024, state) for state in ("cold", "steady", "harness(100)"))
    assert steady < 0.95 * cold
    streamed = Residency("cold", "steady", "steady")
    assert copies == pytest.approx(float(on.price(16, 4096, 1024, residency=streamed).seconds[0]), rel=1e-3)
    only = Residency.parse({"weights": "steady"})
    assert (only.weights, only.activations, only.output) == ("steady", "cold", "cold")


@pytest.mark.parametrize("given_", ["warm", "harness(0)", {"bias": "cold"}, 0, True])
def test_a_residency_that_does_not_exist_is_refused(given_: object) -> None:
    with pytest.raises(RequestError, match="residency"):
        Residency.parse(given_)  # type: ignore[arg-type]


def test_the_clock_falls_in_long_kernels_and_under_sustained_load() -> None:
    on = made("h200-sxm")
    short, long = ((m, 8192, 8192) for m in (256, 8192))
    for shape in (short, long):
        burst, sustained = (seconds(on, *shape, clock=clock) for clock in ("burst", "sustained"))
        assert sustained > burst
    assert on.price(*long).clock[0] > on.price(*short).clock[0] > 1


def test_a_made_up_chip_lies_where_it_should() -> None:
    """Half of the SMs and twice the memory: arithmetic takes about twice as long, streams about half."""
    usual = catalog.chip("h100-sxm")
    assert isinstance(usual, GpuChip)
    odd = usual.with_({"sm.count": 66, "memory.bandwidth": 2 * usual.memory.bandwidth_bytes_per_s})
    on, other = kernels(usual), kernels(odd)
    large, stream = (8192, 8192, 8192), (1, 65_536, 16_384)
    assert 1.8 < seconds(other, *large) / seconds(on, *large) < 2.05
    assert 0.45 < seconds(other, *stream) / seconds(on, *stream) < 0.75


def test_many_shapes_at_once_are_those_of_one_at_a_time() -> None:
    on, draw = made("b200-sxm"), np.random.default_rng(0)
    m, n, k = (draw.integers(1, 9000, 1200) for _ in range(3))
    together = on.price(m, n, k).seconds
    for index in (0, 499, 500, 1199):
        assert together[index] == on.price(m[index], n[index], k[index]).seconds[0]


@pytest.mark.long
def test_two_hundred_thousand_in_a_second_and_one_in_two_milliseconds() -> None:
    on, draw = made("h100-sxm"), np.random.default_rng(0)
    m, n, k = (draw.integers(1, 16_384, 20_000) for _ in range(3))
    on.price(m, n, k)
    start = time.process_time()
    on.price(m, n, k)
    assert 20_000 / (time.process_time() - start) > 200_000
    start = time.process_time()
    for index in range(100):
        on.price(m[index], n[index], k[index])
    assert (time.process_time() - start) / 100 < 2e-3
