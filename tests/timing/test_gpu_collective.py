"""The closed form of a collective: bounds, monotony, continuity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.mapping.gpu.library import Collectives, collectives
from accelsim.mapping.gpu.links import fastest
from accelsim.spec.collective import OPERATIONS
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.collective import price, wire_bytes

GPUS = [name for name in catalog.names("arch") if isinstance(chip := catalog.chip(name), GpuChip) and chip.link]
sizes = st.integers(1, 2**32)
chips, operations = st.sampled_from(GPUS), st.sampled_from(OPERATIONS)


def known(name: str) -> tuple[Collectives, float]:
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    link = fastest(chip)
    assert link is not None
    return collectives(chip), link.bandwidth_bytes_per_s


@given(chips, operations, sizes, st.integers(2, 8))
def test_never_faster_than_the_link(name: str, operation: str, size: int, devices: int) -> None:
    found, link = known(name)
    times = price(size, devices, link, found.constants(operation))
    assert times.seconds[0] >= times.wire[0] / link + times.fixed[0] * (1 - 1e-12)
    assert times.fixed[0] > 1e-6


@given(chips, operations, sizes, st.integers(2, 8), st.floats(1.0, 3.0))
def test_more_bytes_take_longer_and_a_faster_link_does_not(
    name: str, operation: str, size: int, devices: int, factor: float
) -> None:
    found, link = known(name)
    constants = found.constants(operation)
    before = price(size, devices, link, constants).seconds[0]
    assert price(size * factor, devices, link, constants).seconds[0] >= before
    assert price(size, devices, link * factor, constants).seconds[0] <= before
    near = price(size * (1 + 1e-9), devices, link, constants).seconds[0]
    assert near == pytest.approx(before, rel=1e-8)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_many_at_once_are_the_same_as_one_by_one(operation: str) -> None:
    found, link = known("h100-sxm")
    constants = found.constants(operation)
    size, devices = np.geomspace(100, 1e9, 12), np.tile([2, 4, 8], 4)
    together = price(size, devices, link, constants)
    alone = [price(b, n, link, constants).seconds[0] for b, n in zip(size, devices, strict=True)]
    assert together.seconds.tolist() == pytest.approx(alone, rel=1e-12)
    assert set(together.protocol) == {0, 1, 2}


def test_what_each_gpu_sends() -> None:
    assert wire_bytes("all_reduce", 800, 8) == 1400
    assert wire_bytes("all_gather", 800, 8) == 700
    assert wire_bytes("reduce_scatter", 800, 2) == wire_bytes("all_to_all", 800, 2) == 400


def test_chips_without_measurements_take_those_of_their_generation() -> None:
    assert known("h100-pcie")[0].label == "h100-sxm-nccl"
    assert known("h200-sxm")[0].label == "nccl"
    assert "not measured between these chips" in known("l40s")[0].note
