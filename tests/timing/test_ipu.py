"""Cycles of a vertex: what the threads share, what the supervisor adds, and that large work runs at the peak."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.spec.ipu import IpuPart
from accelsim.timing.ipu.vertex import Cost, elementwise, product, reduction

CHIP = catalog.chip("ipu-gc200")
assert isinstance(CHIP, IpuPart)
ROW = CHIP.peak[0]


def cycles(rows: int, blocks: int = 1) -> float:
    return product(CHIP, ROW, blocks=blocks, rows=rows, bytes_per_weight=2.0).cycles(CHIP)


def test_one_row_and_one_block_cost_what_the_library_estimates() -> None:
    # 50 of the supervisor; 19 + 6 and 512 B / 16 for the block; 31 + 2 - 7 instructions of a worker, a turn in six
    assert cycles(1) == 50 + 25 + 32 + 6 * 26


def test_six_rows_cost_as_much_as_one_since_six_threads_share_them() -> None:
    assert cycles(1) == cycles(6) < cycles(7) == cycles(12)


def test_many_rows_run_near_the_peak() -> None:
    rows, blocks = 6000, 10
    flops = 2.0 * rows * blocks * ROW.columns * ROW.depth
    assert 0.98 < flops / cycles(rows, blocks) / ROW.flops_per_clock < 1.0


@given(rows=st.integers(1, 500), blocks=st.integers(1, 300))
def test_never_faster_than_the_matrix_unit_or_its_port(rows: int, blocks: int) -> None:
    weights = blocks * ROW.columns * ROW.depth
    cost = product(CHIP, ROW, blocks=blocks, rows=rows, bytes_per_weight=2.0)
    assert cost.multiply >= 2.0 * rows * weights / ROW.flops_per_clock
    assert cost.load_bytes == 2 * weights
    assert cost.cycles(CHIP) >= cost.multiply + 2 * weights / CHIP.tile.load_bytes_per_clock


def test_sums_of_partial_results_take_half_the_lanes_of_fp16() -> None:
    one = reduction(CHIP, outputs=1200, depth=1).vector
    assert one == 1200 / 2  # fp32: two lanes
    assert reduction(CHIP, outputs=1200, depth=5).vector == 5 * one
    assert reduction(CHIP, outputs=1, depth=1).vector == 6  # one thread's turn


def test_element_wise_work_goes_by_whole_vectors_of_threads() -> None:
    many = elementwise(CHIP, elements=2400, flops=2400, special=0)
    assert many.vector == 2400 / 4
    assert elementwise(CHIP, elements=1, flops=1, special=0).vector == 6
    assert elementwise(CHIP, elements=2400, flops=2400, special=240).vector == 600 + 240
    assert elementwise(CHIP, elements=0, flops=0, special=0) == Cost()


def test_costs_add_and_multiply() -> None:
    one = product(CHIP, ROW, blocks=3, rows=8, bytes_per_weight=2.0)
    assert (one + one).cycles(CHIP) == (one * 2).cycles(CHIP) == 2 * one.cycles(CHIP)
