"""Achieved bandwidth as a surface over pattern, bytes in flight and share of reads, sampled from the controllers.

A surface is sampled once per memory description, kept in the process and, if there is a folder for it, in a file whose
name is the hash of the description. Between samples it is interpolated in the logarithm of the bytes in flight and in
the share of reads; beyond them it is the nearest sample, so that it never exceeds what was sampled.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, did_you_mean
from accelsim.spec.dram import Dram
from accelsim.timing.dram.controller import serve
from accelsim.timing.dram.pattern import PATTERNS, stream

CACHE: Final = "ACCELSIM_DRAM_CACHE"
"""Names the folder in which sampled surfaces are kept; without it they last as long as the process."""

IN_FLIGHT: Final = (1, 8, 64, 512, 4096)
"""Reads under way of the samples, each of one access."""
READS: Final = (0.0, 0.5, 0.75, 1.0)
_REQUESTS: Final = 12_000
_PER_READ: Final = 40
_VERSION: Final = 1


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
            bytes_in_flight: that the requester keeps under way, over all channels.
            reads: share of reads among the bytes.

        Raises:
            RequestError: an unknown pattern, no bytes in flight, or a share outside of 0 to 1.
        """
        if pattern not in self.samples:
            raise RequestError(
                f"unknown pattern {pattern!r}{did_you_mean(pattern, self.samples)}; {', '.join(PATTERNS)}"
            )
        if not bytes_in_flight > 0 or not 0 <= reads <= 1:
            raise RequestError(
                f"bytes in flight = {bytes_in_flight}, reads = {reads}: legal is more than 0, and 0 to 1"
            )
        grid = np.array(self.samples[pattern])
        at_bytes = np.array([np.interp(reads, self.reads, row) for row in grid])
        return float(np.interp(np.log(bytes_in_flight), np.log(self.bytes_in_flight), at_bytes))


def digest(dram: Dram) -> str:
    """The hash of everything in a description that a surface depends on."""
    content = dram.model_dump(mode="json", exclude={"name", "source", "status", "notes", "energy"})
    text = json.dumps([_VERSION, IN_FLIGHT, READS, _REQUESTS, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@lru_cache(maxsize=64)
def surface(dram: Dram) -> Surface:
    """The surface of a memory; sampled on first use."""
    folder = os.environ.get(CACHE)
    file = Path(folder) / f"dram-{digest(dram)}.json" if folder else None
    if file is not None and (kept := _kept(file)) is not None:
        return _made(dram, kept)
    samples = _sample(dram)
    if file is not None:
        _keep(file, samples)
    return _made(dram, samples)


def _made(dram: Dram, samples: dict[str, list[list[float]]]) -> Surface:
    return Surface(
        name=dram.name,
        peak_bytes_per_s=dram.peak_bytes_per_s,
        bytes_in_flight=tuple(float(n * dram.organization.access_bytes) for n in IN_FLIGHT),
        reads=READS,
        samples={pattern: tuple(map(tuple, grid)) for pattern, grid in samples.items()},
    )


def _sample(dram: Dram) -> dict[str, list[list[float]]]:
    found: dict[str, npt.NDArray[np.float64]] = {p: np.zeros((len(IN_FLIGHT), len(READS))) for p in PATTERNS}
    for pattern, (b, in_flight), (r, reads) in product(PATTERNS, enumerate(IN_FLIGHT), enumerate(READS)):
        requests = min(_REQUESTS, max(600, _PER_READ * in_flight))
        addresses, writes = stream(dram, pattern, requests, reads)
        found[pattern][b, r] = serve(dram, addresses, writes, in_flight=in_flight).bandwidth_bytes_per_s
    for grid in found.values():
        # more in flight never hurts: a requester may keep less under way than it could
        np.maximum.accumulate(grid, axis=0, out=grid)
    return {pattern: grid.tolist() for pattern, grid in found.items()}


def _kept(file: Path) -> dict[str, list[list[float]]] | None:
    """What a file of samples holds; None if it is absent or damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        shapes = {np.array(content[pattern], dtype=float).shape for pattern in PATTERNS}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if shapes == {(len(IN_FLIGHT), len(READS))} else None


def _keep(file: Path, samples: dict[str, list[list[float]]]) -> None:
    """Write a file whole, or not at all: a cache that cannot be written is no error."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".dram-")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(samples, out)
        Path(name).replace(file)
    except OSError:
        return
