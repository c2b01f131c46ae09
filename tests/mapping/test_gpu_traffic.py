"""Re-reads of a tiled product: none with a large L2, all with none, fewer the larger it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapping.gpu.traffic import Grid, memory_reads

MB = 1e6
GRIDS = st.builds(
    Grid,
    rows=st.integers(1, 200),
    columns=st.integers(1, 200),
    first_bytes=st.floats(1e3, 1e9),
    second_bytes=st.floats(1e3, 1e9),
    output_bytes=st.floats(1e3, 1e9),
)


@given(grid=GRIDS, sms=st.integers(1, 304))
def test_a_large_cache_reads_everything_once(grid: Grid, sms: int) -> None:
    once = grid.first_bytes + grid.second_bytes
    assert once <= memory_reads(grid, sms, 1e13) <= once + 1


@given(grid=GRIDS, sms=st.integers(1, 304), small=st.floats(0, 1e8), more=st.floats(1, 10))
def test_more_cache_never_reads_more(grid: Grid, sms: int, small: float, more: float) -> None:
    assert memory_reads(grid, sms, small * more) <= memory_reads(grid, sms, small)


def test_without_cache_square_blocks_are_best() -> None:
    """16 x 16 tiles on 16 SMs: blocks of 4 x 4 read each operand once per strip of the other, 4 times."""
    grid = Grid(16, 16, 100 * MB, 100 * MB, MB)
    assert memory_reads(grid, 16, 0) == 800 * MB
    assert memory_reads(grid, 1, 0) == 3200 * MB  # every tile reads its row and its column


def test_one_strip_reads_the_second_operand_once() -> None:
    grid = Grid(4, 64, MB, 1000 * MB, MB)
    assert memory_reads(grid, 4, 0) == 1000 * MB + 64 * MB
    assert memory_reads(grid, 4, 100 * MB) == 1001 * MB
