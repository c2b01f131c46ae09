"""Time of attention over a prompt on a GPU in closed form: query tiles that walk over blocks of keys.

A thread block takes some query rows of one head and visits the blocks of keys that they see: those up to the diagonal
where causal, those of the window. In a block, the matrix unit, the exponentials and the lanes mostly hide each other.
Tiles are unequal, so that the last to end is a makespan: an even share of the work and some part of the longest tile.
What no data sheet says are the `accelsim.spec.attention.PrefillConstants`.

What the measured tables time together with it, rotating queries and keys and writing the cache, is
`accelsim.timing.gpu.prologue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.spec.attention import PrefillConstants
from accelsim.timing.gpu.heads import Heads, Work, missed, supply, work
from accelsim.timing.gpu.shapes import Array, Machine, overlapped

TILES: Final = (64, 128)
"""Query rows of a tile; keys come in blocks of as many positions."""


@dataclass(frozen=True, slots=True)
class Prefill:
    """Times of the fastest tile of every point, [points] each unless said otherwise.

    Attributes:
        seconds: launch and body.
        body: of the tiles, at the clock that they run at.
        clock: nominal clock over that clock.
        sm: of the tiles at the nominal clock, had they the memory for nothing.
        memory: of the stream from and to memory alone.
        candidate: index of the tile in `TILES`.
        tiles: thread blocks.
        blocks: blocks of keys of all tiles.
        longest: blocks of the longest tile.
        pace: seconds of a block.
        busy: seconds of a block on every unit.
        read: bytes from memory.
        written: bytes to memory.
        candidates: [points, tile] seconds.
    """

    seconds: Array
    body: Array
    clock: Array
    sm: Array
    memory: Array
    candidate: npt.NDArray[np.intp]
    tiles: Array
    blocks: Array
    longest: Array
    pace: Array
    busy: Work
    read: Array
    written: Array
    candidates: Array


def price(heads: Heads, machine: Machine, constants: PrefillConstants, copies: int | None = None) -> Prefill:
    """Times of all points.

    Args:
        heads: the problems, with two query positions or more.
        machine: the chip.
        constants: of the chip and its library.
        copies: sets of operands that are used in turn; None where L2 holds nothing of them.
    """
    c, hz, sms = constants, machine.clock_hz, machine.sms
    rows = np.broadcast_to(np.array(TILES, dtype=float), (len(heads), len(TILES)))
    counted = [block_counts(heads, tile) for tile in TILES]
    of_head, visited, longest = (np.stack([count[i] for count in counted], axis=1) for i in range(3))
    number = (heads.batch * heads.heads)[:, None]
    tiles, blocks = of_head * number, visited * number
    fed = supply(tiles, machine)
    busy = work(heads, machine, rows, rows, fed, c.matrix_efficiency)
    exponentials = busy.special / c.special_efficiency
    chain = np.maximum(np.maximum(busy.matrix, exponentials), busy.lanes)
    hidden = busy.matrix + exponentials + busy.lanes - chain
    pace = np.maximum(chain + c.serial * hidden, busy.longest) + c.block_s

    ends = (heads.query_bytes + heads.output_bytes) / (heads.batch * heads.heads * heads.query)
    full = np.minimum(rows, heads.query[:, None])
    widened = rows * (heads.head_dim * heads.widen_query)[:, None] / (machine.vector_flops_per_clock * hz)
    fixed = c.tile_start_s + c.epilogue * full * ends[:, None] / fed + widened
    tile = longest * pace + fixed
    sm = np.maximum(tile, (blocks * pace + tiles * fixed) / sms + c.makespan_tail * tile)

    lost = missed(heads, machine, c.usable_l2, copies)
    read, written = lost * (heads.query_bytes + heads.kv_bytes), lost * heads.output_bytes
    total = read + written
    share = machine.streaming(np.divide(read, total, out=np.ones_like(total), where=total > 0))
    memory = total / (machine.memory_bytes_per_s * share * c.memory_efficiency)
    body = overlapped(sm, memory[:, None], c.overlap)
    products = heads.batch * heads.heads * heads.pairs * (heads.head_dim + heads.value_dim)
    ideal = (2 * products / (machine.flops_per_clock * hz * sms))[:, None]
    drop = c.clock_drop * (ideal / body) * body / (body + c.clock_ramp_s)
    seconds = machine.launch_s + c.start_s + body * (1 + drop)
    best = np.argmin(seconds, axis=1)
    at = (np.arange(len(best)), best)
    return Prefill(
        seconds=seconds[at], body=(body * (1 + drop))[at], clock=1 + drop[at], sm=sm[at], memory=memory,
        candidate=best, tiles=tiles[at], blocks=blocks[at], longest=longest[at], pace=pace[at],
        busy=Work(*(getattr(busy, name)[at] for name in Work.__slots__)), read=read, written=written,
        candidates=seconds,
    )  # fmt: skip


def block_counts(heads: Heads, tile: int) -> tuple[Array, Array, Array]:
    """Query tiles of one head, the blocks of keys that they visit together, and those of the longest, [points] each.

    Blocks hold as many positions as tiles. In closed form: tile i ends i blocks after the first, and begins as many
    after it once the window has left the start.
    """
    tiles = np.ceil(heads.query / tile)
    ahead = np.ceil(heads.past / tile)
    # tile i ends at block i + 1 + ahead, but for the last, which need not be full
    last = np.ceil(np.minimum(heads.past + heads.query, heads.kv) / tile)
    ends = (tiles - 1) * tiles / 2 + (tiles - 1) * ahead + last
    behind = np.where(np.isinf(heads.window), -np.inf, np.floor((heads.past + 1 - heads.window) / tile))
    first = np.clip(-behind, 0, tiles)  # tiles that still begin with the first block
    begun = tiles - first
    moved = np.where(begun > 0, begun * np.where(np.isinf(behind), 0, behind) + begun * (first + tiles - 1) / 2, 0.0)
    total = np.maximum(ends - moved, tiles)
    # with a window all tiles but those at the start are alike, and one that is full may be longer than the last
    start = np.maximum(0.0, behind + tiles - 1)
    before = np.where(tiles > 1, ahead + tiles - 1 - np.maximum(0.0, behind + tiles - 2), 0.0)
    longest = np.maximum(np.maximum(last - start, before), 1.0)
    across = np.ceil(np.minimum(heads.kv, heads.window + tile) / tile)
    return (
        tiles,
        np.asarray(np.where(heads.causal > 0, total, tiles * across)),
        np.asarray(np.where(heads.causal > 0, longest, across)),
    )
