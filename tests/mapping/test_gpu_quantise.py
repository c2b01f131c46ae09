"""The pass over activations that goes before a product in a narrow format."""

from __future__ import annotations

import pytest

import accelsim
from accelsim import catalog
from accelsim.mapping.gpu.resources import MEMORY
from accelsim.spec.device import GpuChip
from tests.mapping.operators import Mapped


@pytest.mark.parametrize("name", ["h100-sxm", "b200-sxm"])
@pytest.mark.parametrize("rows", [1, 256, 8192])
def test_it_takes_the_fixed_time_and_the_bytes_of_the_calibration(name: str, rows: int) -> None:
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    on = Mapped(chip, "fp8_e4m3")
    kernel = on.kernel("quantize", rows=rows, columns=4096)
    told = on.mapper.library.calibration.row("fp8_e4m3", "fp8_e4m3")
    assert told is not None
    expected = told.prepass_s + told.prepass_bytes * rows * 4096 / chip.memory.bandwidth_bytes_per_s
    assert on.time_s(kernel) == pytest.approx(expected, rel=0.03, abs=1e-6)
    assert kernel.priced_by.endswith(f"@{on.mapper.library.label}")


def test_without_measured_kernels_it_is_one_stream() -> None:
    chip = catalog.chip("h100-sxm")
    assert isinstance(chip, GpuChip)
    on = Mapped(chip, "int8")
    kernel = on.kernel("quantize", rows=4096, columns=4096)
    assert kernel.demand(MEMORY) == 3 * 4096 * 4096
    assert "@" not in kernel.priced_by


def test_a_wider_input_is_read_and_the_scale_is_counted() -> None:
    run = accelsim.simulate_operator("quantize", on="a100-sxm-80gb", rows=64, columns=4096, format="int8")
    row = run.operators.iloc[0]
    assert (row["bytes"], row["flops"]) == (3 * 64 * 4096, 2 * 64 * 4096)
    assert run.summary["energy_vector_j"] > 0
