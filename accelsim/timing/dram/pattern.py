"""Request streams by a word: sequential, strided or random addresses, with a share of reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, did_you_mean
from accelsim.spec.dram import Dram

if TYPE_CHECKING:
    from accelsim.timing.dram.table import Ints

Pattern = Literal["sequential", "random", "strided"]
PATTERNS: Final[tuple[str, ...]] = get_args(Pattern)
_GOLDEN: Final = (5**0.5 - 1) / 2


def stream(
    dram: Dram, pattern: str, requests: int, reads: float = 1.0, *, stride: int = 16, seed: int = 0
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Addresses and writes of a stream.

    Args:
        dram: the memory.
        pattern: one access after the other, one of every `stride` accesses, or uniformly random over the capacity.
        requests: how many.
        reads: share of reads; writes are spread evenly among them, without a period that would give them to one bank.
        stride: accesses from one to the next of a strided stream.
        seed: of random addresses.

    Returns:
        [n] byte addresses and [n] whether each is a write.

    Raises:
        RequestError: an unknown pattern, or a number outside of what is allowed.
    """
    if pattern not in PATTERNS:
        raise RequestError(f"unknown pattern {pattern!r}{did_you_mean(pattern, PATTERNS)}; {', '.join(PATTERNS)}")
    if requests < 1 or stride < 1:
        raise RequestError(f"requests = {requests} and stride = {stride}: legal is 1 or more")
    if not 0 <= reads <= 1:
        raise RequestError(f"reads = {reads}: legal is a share from 0 to 1")
    accesses = dram.organization.capacity_bytes // dram.organization.access_bytes
    if pattern == "random":
        places = np.random.default_rng(seed).integers(0, accesses, requests)
    else:
        places = np.arange(requests) * (stride if pattern == "strided" else 1) % accesses
    # multiples of the golden ratio fill the unit interval evenly, and never come back to a place
    order = np.argsort(np.arange(requests) * _GOLDEN % 1.0, kind="stable")
    writes = np.zeros(requests, dtype=bool)
    writes[order[: int(requests * (1 - reads))]] = True
    return places * dram.organization.access_bytes, writes
