"""What libraries run before fused attention and measure with it: rotating, writing the cache, converting queries.

The graph has these as operators of their own. Where a table times them together with attention, this is their part: a
launch, the first byte, and one pass over queries, keys and values, of which L2 holds what it can.
"""

from __future__ import annotations

import numpy as np

from accelsim.timing.gpu.heads import Heads
from accelsim.timing.gpu.shapes import Array, Machine

INPUT_BYTES = 2
"""Of an element of the projections that are read: 16-bit formats."""


def seconds(heads: Heads, machine: Machine, lost: Array, cache_bytes: Array, memory_efficiency: float) -> Array:
    """Time of the pass, [points].

    Args:
        heads: the problems.
        machine: the chip.
        lost: part of the bytes that comes from memory.
        cache_bytes: of an element of the cache.
        memory_efficiency: part of what plain streams draw from the memory.
    """
    positions = heads.batch * heads.query
    new = positions * heads.kv_heads * (heads.head_dim + heads.value_dim)
    read = INPUT_BYTES * (positions * heads.heads * heads.head_dim + new)
    written = heads.query_bytes + new * cache_bytes
    rate = machine.memory_bytes_per_s * machine.streaming(read / (read + written)) * memory_efficiency
    found: Array = machine.launch_s + machine.latency_s + lost * (read + written) / rate
    return np.asarray(found)
