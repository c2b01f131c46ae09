"""Time of attention of a few queries over a cache on a GPU in closed form: split keys, packed heads, blocks of a table.

A thread block takes the query heads of one KV head (a packed kernel) or one query head, and a part of the positions;
positions come in whole blocks of the cache's table. Which of both kernels runs is a rule of the library,
`accelsim.spec.attention.Dispatch`; how many parts, the model's own minimum. What no data sheet says are the
`accelsim.spec.attention.DecodeConstants`.

Time grows with every dimension, but where the rule changes kernels, and continuously with every rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.spec.attention import DecodeConstants, Dispatch
from accelsim.timing.gpu.heads import Heads, Work, missed, supply, work
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES, Array, Machine, overlapped

SPLITS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
STEP: Final = 64
"""Positions of a step, and the fewest of a part that has any."""

FILL_BLOCK: Final = 128
"""Positions that count as a block where a library asks whether packed kernels fill the chip."""

STAGES: Final = 2

_SPLITS = np.array(SPLITS, dtype=float)


@dataclass(frozen=True, slots=True)
class Decode:
    """Times of the fastest split of every point, [points] each unless said otherwise.

    Attributes:
        seconds: launch, body and reduction.
        body: of the thread blocks.
        sm: of the busiest SM, had it the memory for nothing.
        memory: of the stream from and to memory alone.
        reduction: of joining the parts.
        packed: whether query heads of a KV head go together.
        candidate: index of the split in `SPLITS`.
        tiles: thread blocks.
        waves: blocks on the busiest SM, less what idle SMs recover.
        steps: steps of a block.
        positions: of a step.
        busy: seconds of a step on every unit.
        read: bytes from memory.
        written: bytes to memory.
        candidates: [points, split] seconds.
    """

    seconds: Array
    body: Array
    sm: Array
    memory: Array
    reduction: Array
    packed: npt.NDArray[np.bool_]
    candidate: npt.NDArray[np.intp]
    tiles: Array
    waves: Array
    steps: Array
    positions: Array
    busy: Work
    read: Array
    written: Array
    candidates: Array


def packs(heads: Heads, rule: Dispatch, machine: Machine, always: npt.NDArray[np.bool_] | bool) -> Array:
    """Whether the library takes a packed kernel, [points] of 0 and 1.

    Args:
        heads: the problems.
        rule: of the library.
        machine: the chip.
        always: where the filling of the chip does not matter.
    """
    blocks = np.maximum(1.0, np.floor(heads.seen / FILL_BLOCK))
    filled = heads.batch * heads.kv_heads * blocks >= rule.fill * machine.sms
    fits = (rule.least_group <= heads.group) & (heads.group <= rule.most_group)
    return np.asarray(np.where((heads.latent > 0) | (fits & (filled | always)), 1.0, 0.0))


def price(
    heads: Heads, machine: Machine, constants: DecodeConstants, rule: Dispatch,
    packed: Array, copies: int | None = None,
) -> Decode:  # fmt: skip
    """Times of all points.

    Args:
        heads: the problems.
        machine: the chip.
        constants: of the chip and its library.
        rule: of the library.
        packed: what `packs` says.
        copies: caches that are used in turn; None where L2 holds nothing of them.
    """
    c, hz, sms = constants, machine.clock_hz, machine.sms
    together = packed[:, None] > 0
    seen = heads.seen
    block = np.where(packed > 0, rule.block, rule.single_block)
    whole = np.ceil(seen / block) * block
    tiles = np.where(packed > 0, heads.kv_heads, heads.heads)[:, None] * heads.batch[:, None] * _SPLITS
    rounds = tiles / sms
    waves = np.ceil(rounds) - c.recovered_tail * (np.ceil(rounds) - np.maximum(rounds, 1.0))
    steps = np.ceil(whole[:, None] / (STEP * _SPLITS))
    positions = np.minimum(whole, STEP)[:, None]

    group = np.where(packed > 0, heads.group, 1.0) * heads.query
    rows = np.where(packed > 0, np.ceil(group / machine.tile_rows) * machine.tile_rows, group)[:, None]
    given = np.where(together, c.l2_efficiency, c.single_l2_efficiency)
    # the constants of single heads are those of the lanes, which take the place of the matrix unit
    busy = work(heads, machine, rows, positions, supply(tiles, machine) * given, c.matrix_efficiency)
    products = 2 * rows * positions * (heads.head_dim + heads.value_dim)[:, None]
    lanes = products / (machine.vector_flops_per_clock * c.vector_efficiency * hz)
    busy = Work(
        np.where(together, busy.matrix, 0.0), busy.special, np.where(together, busy.lanes, busy.lanes + lanes),
        busy.shared, np.where(together, busy.registers, 0.0), busy.load,
    )  # fmt: skip
    hidden = max(c.loaded_latency_s, max(machine.latency_s, machine.l2_latency_s) / STAGES)
    pace = np.maximum(busy.longest, hidden)
    start = np.where(together, c.tile_start_s, c.single_tile_start_s)
    sm = waves * (steps * pace + start)

    lost = missed(heads, machine, c.usable_l2, copies)
    read = lost * (heads.query_bytes + heads.kv_bytes * whole / seen)
    written = lost * heads.output_bytes
    total = read + written
    share = machine.streaming(np.divide(read, total, out=np.ones_like(total), where=total > 0))
    rate = machine.memory_bytes_per_s * share * c.memory_efficiency
    ramp = np.divide(total, total + c.ramp_s * rate, out=np.zeros_like(total), where=total > 0)
    memory = total / rate + c.ramp_s * ramp
    body = overlapped(sm, memory[:, None], c.overlap)
    partial = partial_bytes(heads)[:, None] * _SPLITS
    l2 = min(machine.port_bytes_per_clock * sms, machine.l2_bytes_per_clock) * hz
    reduction = np.where(_SPLITS > 1, max(c.reduction_s, machine.l2_latency_s) + 2 * partial / l2, 0.0)
    launch = machine.launch_s + np.where(together, c.start_s, c.single_start_s)
    # parts that get no step end at once: were they left out, a longer cache could be read faster than a shorter one
    seconds = launch + body + reduction
    best = np.argmin(seconds, axis=1)
    at = (np.arange(len(best)), best)
    return Decode(
        seconds=seconds[at], body=body[at], sm=sm[at], memory=memory, reduction=reduction[at], packed=packed > 0,
        candidate=best, tiles=tiles[at], waves=waves[at], steps=steps[at],
        positions=positions[:, 0],
        busy=Work(*(np.broadcast_to(getattr(busy, name), seconds.shape)[at] for name in Work.__slots__)),
        read=read, written=written, candidates=seconds,
    )  # fmt: skip


def partial_bytes(heads: Heads) -> Array:
    """Results of one part, with the maximum and the sum of every row, in fp32."""
    found: Array = ACCUMULATOR_BYTES * heads.batch * heads.heads * heads.query * (heads.value_dim + 2)
    return found
