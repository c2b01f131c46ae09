"""Achieved bandwidth as a surface over pattern, bytes in flight and share of reads, sampled from the controllers.

A surface is sampled once per memory description and kept under the hash of that description; see `kept`. Sequential and
random streams are sampled on one channel with a controller of its own, and all channels have as much of the requests:
what a memory behind many requesters comes to. A strided stream may not reach all channels, and is sampled on all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from accelsim.errors import RequestError, did_you_mean
from accelsim.spec.dram import Dram
from accelsim.timing.dram import kept
from accelsim.timing.dram.curve import Curves, curves
from accelsim.timing.dram.pattern import PATTERNS, stream

IN_FLIGHT: Final = (1, 4, 16, 64, 256, 1024)
"""Reads under way of the samples, each of one access, per channel."""
READS: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
_LONGEST: Final = 20_000
"""Accesses of a sample per data bus: several periods of refresh, beside which the start does not count."""
_SHORTEST: Final = 2000
_PER_READ: Final = 200
_VERSION: Final = 2
_NO_FIGURES: Final = {"name", "source", "status", "notes"}


@dataclass(frozen=True, slots=True)
class Surface:
    """Bandwidth of a memory in bytes per second.

    Attributes:
        name: of the memory.
        peak_bytes_per_s: of its data buses.
        bytes_in_flight: [b] of the samples, growing.
        reads: [r] shares of the samples, growing.
        samples: pattern -> [b, r] bytes per second.
    """

    name: str
    peak_bytes_per_s: float
    bytes_in_flight: tuple[float, ...]
    reads: tuple[float, ...]
    samples: dict[str, tuple[tuple[float, ...], ...]]

    def bandwidth_bytes_per_s(self, pattern: str, bytes_in_flight: float, reads: float = 1.0) -> float:
        """Achieved bandwidth.

        Args:
            pattern: one of `pattern.PATTERNS`.
            bytes_in_flight: of reads, that the requester keeps under way in the memory, over all channels.
            reads: share of reads among the bytes.

        Raises:
            RequestError: an unknown pattern, no bytes in flight, or a share outside of 0 to 1.
        """
        if not bytes_in_flight > 0 or not 0 <= reads <= 1:
            raise RequestError(
                f"bytes in flight = {bytes_in_flight}, reads = {reads}: legal is more than 0, and 0 to 1"
            )
        return self.curves(pattern).rate(bytes_in_flight, reads)

    def curves(self, pattern: str, latency_s: float = 0.0) -> Curves:
        """The surface of one pattern for a requester that waits `latency_s` for the first byte on an idle machine.

        Raises:
            RequestError: an unknown pattern.
        """
        if pattern not in self.samples:
            raise RequestError(
                f"unknown pattern {pattern!r}{did_you_mean(pattern, self.samples)}; {', '.join(PATTERNS)}"
            )
        return curves(self.bytes_in_flight, self.reads, self.samples[pattern], latency_s)


def digest(dram: Dram) -> str:
    """The hash of everything in a description that a surface depends on."""
    content = [
        _VERSION,
        (PATTERNS, IN_FLIGHT, READS, _LONGEST, _SHORTEST, _PER_READ),
        dram.organization.model_dump(mode="json", exclude=_NO_FIGURES),
        (dram.timing.tck_ps, sorted(dram.timing.cycles.items())),
        dram.controller.model_dump(mode="json", exclude=_NO_FIGURES),
        dram.protocol.model_dump(mode="json", exclude=_NO_FIGURES),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


@lru_cache(maxsize=64)
def surface(dram: Dram, patterns: tuple[str, ...] = PATTERNS) -> Surface:
    """The surface of a memory; what is not kept yet is sampled, which takes a second or so.

    Args:
        dram: the memory.
        patterns: those that are wanted.
    """
    per_channel = dram.organization.channels * dram.organization.access_bytes
    return Surface(
        name=dram.name,
        peak_bytes_per_s=dram.peak_bytes_per_s,
        bytes_in_flight=tuple(float(n * per_channel) for n in IN_FLIGHT),
        reads=READS,
        samples={pattern: tuple(map(tuple, _grid(dram, pattern))) for pattern in patterns},
    )


def _grid(dram: Dram, pattern: str) -> kept.Grid:
    key = digest(dram)
    grid = kept.find(key, pattern, (len(IN_FLIGHT), len(READS)))
    if grid is None:
        grid = sampled(dram, pattern)
        kept.keep(key, pattern, grid)
    return grid


def sampled(dram: Dram, pattern: str) -> kept.Grid:
    """Samples of a memory: [in flight, reads] bytes per second."""
    grid = np.array([[sample(dram, pattern, in_flight, reads) for reads in READS] for in_flight in IN_FLIGHT])
    # more in flight never hurts: a requester may keep less under way than it could
    found: kept.Grid = np.maximum.accumulate(grid, axis=0).tolist()
    return found


def sample(dram: Dram, pattern: str, in_flight: int, reads: float) -> float:
    """Bandwidth of a memory in bytes per second, with so many reads under way per channel."""
    from accelsim.timing.dram.controller import serve  # controllers and their kernels: not before something is sampled

    channels, buses = dram.organization.channels, dram.organization.pseudo_channels
    alone = dram if pattern == "strided" or channels == 1 else _one_channel(dram)
    requests = min(_LONGEST * buses, max(_SHORTEST, _PER_READ * in_flight))
    addresses, writes = stream(alone, pattern, requests, reads)
    served = serve(alone, addresses, writes, in_flight=in_flight * alone.organization.channels)
    return served.bandwidth_bytes_per_s * channels / alone.organization.channels


@lru_cache(maxsize=8)
def _one_channel(dram: Dram) -> Dram:
    at = dram.organizations.index(dram.organization)
    return dram.with_({f"organization.{at}.channels": 1})
