"""Element-wise and row-wise kernels: rows that are read twice, what L2 holds, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of
from accelsim.mapping.gpu.library import row_kernels
from accelsim.mapping.gpu.plan import GpuMapper
from accelsim.mapping.gpu.resources import L2, MEMORY
from accelsim.mapping.kernel import Kernel
from accelsim.spec.calibration import Conditions, Residency
from accelsim.spec.device import GpuChip

KINDS = ("softmax", "layernorm", "rmsnorm", "gelu", "add")


def kernel(kind: str, rows: int, columns: int, name: str = "a100-sxm-80gb", residency: str = "cold") -> Kernel:
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    op = single(kind, {"rows": rows, "columns": columns}, formats_of(chip, None, None, None))
    made = GpuMapper(chip, {}, conditions=Conditions(residency=Residency.parse(residency))).kernel(op)
    assert isinstance(made, Kernel)
    return made


@pytest.mark.parametrize(("kind", "held"), [("softmax", 1024), ("layernorm", 8192)])
def test_rows_that_are_not_held_are_read_twice(kind: str, held: int) -> None:
    within, beyond = kernel(kind, 4096, held), kernel(kind, 4096, held + 8)
    one = 2 * 4096 * held
    assert within.demand(MEMORY) == pytest.approx(2 * one, rel=0.01)
    assert beyond.demand(MEMORY) == pytest.approx(3 * one, rel=0.01)
    assert "calibration.rows" in beyond.constants
    assert kernel("gelu", 4096, held + 8).demand(MEMORY) == pytest.approx(2 * one, rel=0.01)


def test_processors_without_measured_kernels_hold_what_their_units_hold() -> None:
    cpu = catalog.chip("xeon-silver-4215-2s")
    assert isinstance(cpu, GpuChip)
    assert row_kernels(cpu) is None
    other = catalog.chip("mi300x")
    assert isinstance(other, GpuChip)
    assert row_kernels(other) is not None


def test_what_l2_holds_is_not_moved_again() -> None:
    small = {state: kernel("add", 128, 4096, residency=state) for state in ("cold", "steady")}
    assert small["steady"].demand(MEMORY) < 0.2 * small["cold"].demand(MEMORY)
    assert small["steady"].demand(L2) == small["cold"].demand(L2)
    large = {state: kernel("add", 65_536, 4096, residency=state) for state in ("cold", "steady")}
    assert large["steady"].demand(MEMORY) > 0.99 * large["cold"].demand(MEMORY)


@given(st.sampled_from(KINDS), st.integers(1, 5000), st.integers(1, 20_000), st.sampled_from(["cold", "steady"]))
def test_never_under_the_roofline_at_the_stated_residency(kind: str, rows: int, columns: int, residency: str) -> None:
    chip = catalog.chip("h100-sxm")
    assert isinstance(chip, GpuChip)
    made = kernel(kind, rows, columns, "h100-sxm", residency)
    run = accelsim.simulate_operator(kind, on=chip, rows=rows, columns=columns, residency=residency)
    least = made.demand(MEMORY) / chip.memory.bandwidth_bytes_per_s
    assert run.summary["total_time_s"] >= least + chip.timing.launch_s
