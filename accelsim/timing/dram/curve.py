"""A surface as curves: bandwidth over the bytes in flight for each sampled share of reads.

Between samples a curve is a power of the bytes in flight, which is exact where latency limits (bandwidth is in
proportion to what is under way) and where the bus does (it is constant). Below the first sample it is in proportion,
beyond the last one constant. Between shares of reads the time per byte is linear, since times of reads and of writes
add up. So nothing exceeds what was sampled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import log
from typing import NamedTuple


class Curves(NamedTuple):
    """One pattern of a surface, as somebody sees it who is some way off.

    Attributes:
        reads: [r] shares of reads, growing.
        bytes_in_flight: [r] of [b] bytes that the requester has under way.
        rates: [r] of [b] bytes per second, not falling.
    """

    reads: tuple[float, ...]
    bytes_in_flight: tuple[tuple[float, ...], ...]
    rates: tuple[tuple[float, ...], ...]

    def rate(self, bytes_in_flight: float, reads: float) -> float:
        """Bandwidth in bytes per second for more than 0 bytes in flight, and a share of reads from 0 to 1."""
        row = bisect_right(self.reads, reads) - 1
        below = _along(self.bytes_in_flight[row], self.rates[row], bytes_in_flight)
        if reads == self.reads[row]:
            return below
        above = _along(self.bytes_in_flight[row + 1], self.rates[row + 1], bytes_in_flight)
        weight = (reads - self.reads[row]) / (self.reads[row + 1] - self.reads[row])
        return min(max(below, above), 1 / ((1 - weight) / below + weight / above))


def curves(
    bytes_in_flight: Sequence[float], reads: Sequence[float], rates: Sequence[Sequence[float]], latency_s: float = 0.0
) -> Curves:
    """Curves of sampled bandwidths.

    Args:
        bytes_in_flight: [b] under way in the memory, growing.
        reads: [r] shares, growing.
        rates: [b, r] bytes per second, not falling in [b].
        latency_s: what a requester waits for the first byte of a read on an idle machine, the memory's own part
            included; 0 for somebody at the memory. What it has under way is then also on the way there and back, for
            the part of that latency that is not the memory's: bandwidth x time, by Little's law. Nothing is slower
            than the memory itself.
    """
    unloaded_s = bytes_in_flight[0] / rates[0][-1]
    outside_s = max(0.0, latency_s - unloaded_s)
    all_bytes, all_rates = [], []
    for column in range(len(reads)):
        found: list[tuple[float, float]] = []
        for held, row in zip(bytes_in_flight, rates, strict=True):
            rate = row[column]
            if found:  # more under way does not shorten the wait: the memory's times scatter a little
                before, slower = found[-1]
                rate = max(slower, min(rate, slower * held / before))
            found.append((held, rate))
        all_bytes.append(tuple(held + rate * outside_s for held, rate in found))
        all_rates.append(tuple(rate for _, rate in found))
    return Curves(tuple(reads), tuple(all_bytes), tuple(all_rates))


def _along(bytes_: tuple[float, ...], rates: tuple[float, ...], at: float) -> float:
    """Bandwidth of one curve."""
    if at <= bytes_[0]:
        return rates[0] * at / bytes_[0]
    if at >= bytes_[-1]:
        return rates[-1]
    right = bisect_right(bytes_, at)
    low, high = rates[right - 1], rates[right]
    if low == high:
        return low
    part: float = log(at / bytes_[right - 1]) / log(bytes_[right] / bytes_[right - 1])
    return min(high, low * float((high / low) ** part))
