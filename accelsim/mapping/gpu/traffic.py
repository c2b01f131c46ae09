"""What a tiled matrix multiplication reads from memory: each operand once, and again what L2 lost."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.mapping.gpu.events import whole


@dataclass(frozen=True, slots=True)
class Grid:
    """The output tiles of one product.

    Attributes:
        rows: tiles along m.
        columns: tiles along n.
        first_bytes: the operand that all columns share, once.
        second_bytes: the operand that all rows share, once.
        output_bytes: the result.
    """

    rows: int
    columns: int
    first_bytes: float
    second_bytes: float
    output_bytes: float


def memory_reads(grid: Grid, sms: int, l2_bytes: float) -> int:
    """Bytes read from memory for the best order of the tiles.

    A wave takes a block of tiles, `high` x `wide`. Blocks follow each other along one output axis and
    then in the next strip. What the blocks of a strip share must outlive one block in L2, what the strips
    share must outlive a whole strip; beyond the capacity the lost part grows linearly.
    """
    most = min(sms, grid.rows)
    heights = [1]
    while heights[-1] < most:
        heights.append(min(2 * heights[-1], most))
    return whole(
        min(
            walk
            for high in heights
            for walk in (
                _strips(grid, high, sms // high, l2_bytes),
                _strips(_turned(grid), sms // high, high, l2_bytes),
            )
        )
    )


def _turned(grid: Grid) -> Grid:
    return Grid(grid.columns, grid.rows, grid.second_bytes, grid.first_bytes, grid.output_bytes)


def _strips(grid: Grid, high: int, wide: int, l2_bytes: float) -> float:
    """Bytes when blocks of `high` x `wide` tiles run along the columns, strip after strip."""
    high, wide = min(high, grid.rows), min(wide, grid.columns)
    strips, blocks = -(-grid.rows // high), -(-grid.columns // wide)
    strip = grid.first_bytes * high / grid.rows
    block = grid.second_bytes * wide / grid.columns
    output = grid.output_bytes * high / grid.rows
    within = _lost(strip + block + output * wide / grid.columns, l2_bytes) if blocks > 1 else 0.0
    across = _lost(grid.second_bytes + strip + output, l2_bytes) if strips > 1 else 0.0
    return grid.first_bytes * (1 + (blocks - 1) * within) + grid.second_bytes * (1 + (strips - 1) * across)


def _lost(reuse_bytes: float, l2_bytes: float) -> float:
    """Part of a reuse over that many bytes that L2 no longer holds."""
    return max(0.0, 1.0 - l2_bytes / reuse_bytes) if reuse_bytes else 0.0
