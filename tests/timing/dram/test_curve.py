"""Curves between samples: exact where latency or the bus limits, never above what was sampled, and monotone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.timing.dram.curve import curves

HELD = (32.0, 128.0, 512.0, 2048.0)
READS = (0.0, 0.5, 1.0)
rates = st.lists(st.lists(st.floats(1e9, 1e12), min_size=3, max_size=3), min_size=4, max_size=4).map(
    lambda rows: [[max(row[c] for row in rows[: b + 1]) for c in range(3)] for b in range(4)]
)
held = st.floats(0.1, 1e7)
shares = st.floats(0, 1)
latencies = st.floats(0, 1e-6)


@given(rates, latencies, held, shares)
def test_nothing_exceeds_the_samples_or_little_s_law(sampled, latency_s, under_way, reads):
    made = curves(HELD, READS, sampled, latency_s)
    assert 0 < made.rate(under_way, reads) <= max(map(max, sampled))
    unloaded_s = HELD[0] / sampled[0][-1]
    assert made.rate(under_way, 1.0) <= under_way / max(latency_s, unloaded_s) * (1 + 1e-9)


@given(rates, latencies, held, st.floats(1, 100), shares)
def test_more_under_way_never_hurts_and_never_more_than_in_proportion(sampled, latency_s, under_way, factor, reads):
    made = curves(HELD, READS, sampled, latency_s)
    before, after = made.rate(under_way, reads), made.rate(under_way * factor, reads)
    assert before * (1 - 1e-9) <= after <= before * factor * (1 + 1e-9)


@given(rates, held, shares, st.floats(0, 1e-6), st.floats(0, 1e-6))
def test_who_is_further_off_gets_no_more(sampled, under_way, reads, first, second):
    near, far = (curves(HELD, READS, sampled, latency_s) for latency_s in sorted((first, second)))
    assert far.rate(under_way, reads) <= near.rate(under_way, reads) * (1 + 1e-9)


@given(rates, st.floats(0, 1e12), st.floats(0, 1e12), st.floats(0, 1e12))
def test_moving_more_never_takes_less_time(sampled, read, written, more):
    """Where the memory is saturated; time per byte is linear between shares of reads."""
    made = curves(HELD, READS, [[1e9, 9e8, 1.1e9]] * 4)

    def time_s(read: float, written: float) -> float:
        total = read + written
        return total / made.rate(1e9, read / total) if total else 0.0

    assert time_s(read + more, written) >= time_s(read, written) * (1 - 1e-9)
    assert time_s(read, written + more) >= time_s(read, written) * (1 - 1e-9)


def test_by_hand():
    sampled = [[1e9, 1e9, 1e9], [4e9, 4e9, 4e9], [8e9, 8e9, 8e9], [8e9, 8e9, 10e9]]
    at_memory = curves(HELD, READS, sampled)
    assert at_memory.rate(16.0, 1.0) == 0.5e9
    assert at_memory.rate(64.0, 1.0) == pytest.approx(2e9)  # latency rules: in proportion
    assert at_memory.rate(1e9, 1.0) == 10e9
    assert at_memory.rate(1e9, 0.75) == pytest.approx(1 / (0.5 / 8e9 + 0.5 / 10e9))
    # 32 B / 1 GB/s = 32 ns at the memory; 132 ns on the whole are 100 ns on the way
    far = curves(HELD, READS, sampled, 132e-9)
    assert far.rate(13.2, 1.0) == pytest.approx(13.2 / 132e-9)
    assert far.rate(128 + 4e9 * 100e-9, 1.0) == pytest.approx(4e9)
