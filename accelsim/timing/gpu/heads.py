"""Attention problems and the units that they meet on a GPU, as arrays over points."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES, Array, Machine


@dataclass(frozen=True, slots=True)
class Heads:
    """Attention of query heads over the keys and values of the KV heads that they share, [points] each.

    Attributes:
        batch: sequences.
        query: new positions of a sequence.
        past: positions before them.
        kv: positions that keys are there for; past + query where causal.
        heads: query heads.
        kv_heads: KV heads.
        head_dim: width of queries and keys.
        value_dim: width of values.
        causal: 1 where a position sees those up to itself, 0 where it sees all.
        window: positions that it sees at most; infinite for all.
        query_bytes: all queries, once.
        kv_bytes: all keys and values that are seen, once.
        output_bytes: all results, once.
        staged: bytes of keys and values of one position and KV head.
        widen: vector operations that widen these to what the matrix unit takes.
        widen_query: vector operations that widen one element of a query.
        latent: 1 where the values are part of the keys and all heads share them, 0 otherwise.
    """

    batch: Array
    query: Array
    past: Array
    kv: Array
    heads: Array
    kv_heads: Array
    head_dim: Array
    value_dim: Array
    causal: Array
    window: Array
    query_bytes: Array
    kv_bytes: Array
    output_bytes: Array
    staged: Array
    widen: Array
    widen_query: Array
    latent: Array

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def group(self) -> Array:
        """Query heads of a KV head."""
        return self.heads / self.kv_heads

    @property
    def seen(self) -> Array:
        """Positions that some query sees."""
        first = np.where(self.causal > 0, np.maximum(0.0, self.past + 1 - self.window), 0.0)
        return np.asarray(np.maximum(1.0, self.kv - np.minimum(first, self.kv - 1)))

    @property
    def pairs(self) -> Array:
        """(query, key) pairs of one head and sequence."""
        whole = np.minimum(self.kv, self.window)
        growing = np.clip(self.window - self.past, 0, self.query)
        # an infinite window has no queries beyond it
        beyond = np.where(np.isinf(self.window), 0.0, (self.query - growing) * np.minimum(self.window, self.kv))
        causal = growing * self.past + growing * (growing + 1) / 2 + beyond
        return np.asarray(np.where(self.causal > 0, causal, self.query * whole))

    def where(self, chosen: Any) -> Heads:
        """Some of the points."""
        return Heads(**{f.name: getattr(self, f.name)[chosen] for f in fields(Heads)})

    @staticmethod
    def of(**given: Any) -> Heads:
        """From numbers or arrays of any shapes that fit together."""
        names = [f.name for f in fields(Heads)]
        columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(given[name], dtype=float)) for name in names))
        return Heads(**dict(zip(names, columns, strict=True)))


@dataclass(frozen=True, slots=True)
class Work:
    """Seconds that one block of keys keeps the units of an SM busy, [points, candidates] each."""

    matrix: Array
    special: Array
    lanes: Array
    shared: Array
    registers: Array
    load: Array

    @property
    def longest(self) -> Array:
        """The unit that sets the pace, if nothing else does."""
        units = (self.matrix, self.special, self.lanes, self.shared, self.registers, self.load)
        found = units[0]
        for other in units[1:]:
            found = np.maximum(found, other)
        return found


def missed(heads: Heads, machine: Machine, usable_l2: float, copies: int | None) -> Array:
    """Part of the operands that comes from memory, because L2 lost it since they were used last.

    Args:
        heads: the problems.
        machine: the chip.
        usable_l2: part of L2 that holds operands.
        copies: sets of keys and values that are gone through in turn; None where nothing was used before.
    """
    if copies is None:
        return np.ones(len(heads))
    reused = heads.query_bytes + heads.output_bytes + copies * heads.kv_bytes
    ratio = (reused / (usable_l2 * machine.l2_bytes)) ** 4
    return np.asarray(ratio / (1 + ratio))


def supply(tiles: Array, machine: Machine) -> Array:
    """Bytes per second that an SM gets from L2 when so many thread blocks run."""
    active = np.minimum(tiles, machine.sms)
    found: Array = np.minimum(machine.port_bytes_per_clock, machine.l2_bytes_per_clock / active) * machine.clock_hz
    return found


SOFTMAX_FLOPS = 4
"""Maximum, difference, sum and rescaling of a score."""

SLOT_FLOPS = 2
"""Of the vector rate, which counts a multiply-add as two: what one of these fills."""

LANE_REGISTER_BYTES = 6
"""Register bytes per vector FLOP."""


def work(heads: Heads, machine: Machine, rows: Array, block: Array, fed_bytes_per_s: Array, matrix: float) -> Work:
    """What a block of keys costs a tile of query rows on each unit.

    Args:
        heads: the problems.
        machine: the chip.
        rows: query rows, as the matrix unit takes them, [points, candidates], as the next two.
        block: positions of the block.
        fed_bytes_per_s: bytes that the SM gets from L2.
        matrix: part of the nominal rate of the matrix unit.
    """
    hz, scores = machine.clock_hz, rows * block
    products = scores * (heads.head_dim + heads.value_dim)[:, None]
    staged = block * heads.staged[:, None]
    vector = scores * SOFTMAX_FLOPS * SLOT_FLOPS + block * heads.widen[:, None]
    accumulated = 2 * ACCUMULATOR_BYTES * products / MMA_DEPTH + scores * SOFTMAX_FLOPS * LANE_REGISTER_BYTES
    return Work(
        matrix=2 * products / (machine.flops_per_clock * matrix * hz),
        special=scores / (machine.special_ops_per_clock * hz),
        lanes=vector / (machine.vector_flops_per_clock * hz),
        shared=(1 + machine.operand_reads) * staged / (machine.shared_bytes_per_clock * hz),
        registers=accumulated / (machine.register_bytes_per_clock * hz),
        load=staged / fed_bytes_per_s,
    )
