"""What kernels of a GPU draw from its memory: the DRAM's surface behind the latency of the chip.

Weights, activations and KV caches are streams. A kernel has so many bytes under way, and some share of what it moves
are reads; the command-level channel says what the memory makes of that. Shares are told against the peak of the
description.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from accelsim.mapping.gpu.resources import MEMORY
from accelsim.mapping.kernel import Demand
from accelsim.spec.base import STATUSES
from accelsim.spec.device import GpuChip, Memory
from accelsim.spec.dram import Dram
from accelsim.timing.dram.attached import attached
from accelsim.timing.dram.surface import surface

PATTERN = "sequential"
"""Of the surface: each channel sees a stream."""

FIGURE = "memory.dram"
"""Name of the achieved bandwidth among the figures of a kernel; it is no key of a description."""


class MemoryPort:
    """The memory of one chip as its kernels find it.

    Args:
        dram: one of its channels.
        memory: of the chip.
        latency_s: first byte of a read that misses the caches, on an idle chip.

    Attributes:
        dram: the channel.
        channels: how many of them make up the bandwidth.
    """

    def __init__(self, dram: Dram, memory: Memory, latency_s: float) -> None:
        self.dram = dram
        self._memory = memory
        self._peak, self._channel_peak = memory.bandwidth_bytes_per_s, dram.peak_bytes_per_s
        self.channels = self._peak / self._channel_peak
        self._curves = surface(dram, (PATTERN,)).curves(PATTERN, latency_s)
        self._enough = self.channels * max(row[-1] for row in self._curves.bytes_in_flight)
        self._reads = self._curves.reads
        self._full = tuple(row[-1] / self._channel_peak for row in self._curves.rates)
        self._slowness = tuple(1 / share for share in self._full)

    def load(self, read: int, under_way: float) -> Demand:
        """What loads with so many bytes under way demand of the memory."""
        return Demand(MEMORY, read, self.share(under_way, 1.0))

    def store(self, written: int, under_way: float) -> Demand:
        """What stores with so many bytes under way demand of the memory."""
        return Demand(MEMORY, written, self.share(under_way, 0.0))

    def mixed(self, read: int, written: int) -> Mapping[str, float]:
        """What loads and stores can draw together, as `Phase.most`; a memory that turns its bus around is slower."""
        return {MEMORY: self.streaming(read / (read + written) if read + written else 1.0)}

    def share(self, bytes_in_flight: float, reads: float = 1.0) -> float:
        """The largest share of the peak that a stream can draw with so much under way; not 0, whatever there is."""
        if bytes_in_flight >= self._enough:
            return self.streaming(reads)
        return self._curves.rate(max(1.0, bytes_in_flight) / self.channels, reads) / self._channel_peak

    def streaming(self, reads: float = 1.0) -> float:
        """The share that a stream draws with as much under way as helps."""
        row = bisect_right(self._reads, reads) - 1
        below = self._full[row]
        if reads == self._reads[row]:
            return below
        above = self._full[row + 1]
        part = (reads - self._reads[row]) / (self._reads[row + 1] - self._reads[row])
        return min(max(below, above), 1 / ((1 - part) / below + part / above))

    def streamings(self, reads: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """`streaming` of many shares of reads at once."""
        found: npt.NDArray[np.float64] = 1 / np.interp(reads, self._reads, self._slowness)
        return found

    @property
    def streaming_bytes_per_s(self) -> float:
        """What reads achieve with as much under way as helps."""
        return self._peak * self.streaming()

    @property
    def source(self) -> str:
        """The sheet and its timing, and where their figures come from."""
        dram, controller = self.dram, self._memory.controller
        timing = f"{self.label}: {_plain(dram.timing.source)}"
        return f"{timing}; controller: {controller.source if controller else _plain(dram.controller.source)}"

    @property
    def label(self) -> str:
        """The sheet, its timing and the clock."""
        return f"{self.dram.name} {self.dram.timing.name} at a clock of {self.dram.timing.tck_ps / 1e3:.4g} ns"

    @property
    def status(self) -> str:
        """The weakest status among what it is made of."""
        dram = self.dram
        parts = (dram, dram.protocol, dram.organization, dram.timing, dram.controller)
        return max((part.status for part in parts), key=STATUSES.index)


def port(chip: GpuChip) -> MemoryPort:
    """The memory of a chip; one object as long as nothing of it changes.

    Raises:
        UnknownNameError: the standard names no DRAM sheet.
        DescriptionError: a sheet that is not valid.
    """
    return _port(channel(chip.memory), chip.memory, chip.timing.memory_latency_s)


@lru_cache(maxsize=256)
def _port(dram: Dram, memory: Memory, latency_s: float) -> MemoryPort:
    return MemoryPort(dram, memory, latency_s)


def channel(memory: Memory) -> Dram:
    """One channel of a memory, with the controllers of the chip."""
    given = memory.controller.given if memory.controller else {}
    return attached(memory.standard, memory.pin_rate_bytes_per_s, given)


def _plain(source: str) -> str:
    """A source without what overrides have added to it: the clock and the queues follow from the chip."""
    return source.partition("; overridden: ")[0]
