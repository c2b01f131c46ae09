"""Fused attention: which blocks are computed, what is read, and when the keys are split."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.graph.counts import attended_pairs
from accelsim.mapping.gpu.attention import _blocks, _Size
from accelsim.mapping.gpu.resources import L2, MEMORY, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel
from accelsim.spec.device import GpuChip
from tests.mapping.operators import Mapped

H100 = catalog.chip("h100-sxm")
assert isinstance(H100, GpuChip)
ON = Mapped(H100)


def size(query: int, past: int, group: int, *, causal: bool, window: int | None, kv: int | None = None) -> _Size:
    """The sizes that decide which blocks a tile visits."""
    return _Size(1, query, past, query + past if kv is None else kv, 1, group, 64, 64, causal, window, 0, 0, 0, 256.0)


@given(
    st.integers(1, 300),
    st.integers(0, 300),
    st.integers(1, 5),
    st.sampled_from([16, 64, 128]),
    st.sampled_from([16, 32, 128]),
    st.booleans(),
    st.none() | st.integers(1, 200),
)
def test_causal_and_windowed_blocks_are_those_that_hold_a_position_that_is_seen(
    query: int, past: int, group: int, tq: int, block: int, causal: bool, window: int | None
) -> None:
    if not causal:
        window = None
    tiles, total, longest = _blocks(size(query, past, group, causal=causal, window=window), tq, block)
    expected = []
    for tile in range(ceil(query * group / tq)):
        rows = range(tile * tq, min((tile + 1) * tq, query * group))
        seen = set()
        for position in {past + row // group for row in rows}:
            first = 0 if window is None else max(0, position - window + 1)
            seen.update(range(first // block, (position if causal else query + past - 1) // block + 1))
        expected.append(len(seen))
    assert (tiles, total, longest) == (len(expected), sum(expected), max(expected))


@given(st.integers(1, 400), st.integers(0, 400), st.integers(1, 4), st.none() | st.integers(1, 300))
def test_the_blocks_hold_every_pair_that_is_counted(query: int, past: int, group: int, window: int | None) -> None:
    _, total, _ = _blocks(size(query, past, group, causal=True, window=window), 64, 32)
    assert total * 64 * 32 >= group * attended_pairs(query, past, query + past, causal=True, window=window)


def attention(query: int, kv: int, heads: int = 32, kv_heads: int = 8, **more: object) -> Kernel:
    """Attention of one sequence on an H100."""
    return ON.kernel("attention", query=query, kv=kv, heads=heads, kv_heads=kv_heads, head_dim=128, **more)


def loads(kernel: Kernel, resource: str) -> int:
    """Units loaded in all phases."""
    return sum(d.amount for phase in kernel.phases for d in phase.load if d.resource == resource)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("kv_heads", [1, 8, 32])
def test_each_key_and_value_is_read_once_for_all_heads_that_share_it(kv_heads: int, batch: int) -> None:
    kernel = attention(1, 4096, 32, kv_heads, batch=batch)
    keys_and_values, queries = 2 * batch * 4096 * kv_heads * 128 * 2, batch * 32 * 128 * 2
    assert loads(kernel, MEMORY) == keys_and_values + queries
    assert kernel.demand(MEMORY) == keys_and_values + 2 * queries


@given(st.integers(1, 700), st.integers(0, 3000), st.sampled_from([1, 4, 8]), st.booleans())
def test_memory_moves_everything_once_and_l2_no_less(query: int, past: int, kv_heads: int, causal: bool) -> None:
    kernel = attention(query, query + past, 8, kv_heads, causal=causal)
    once = 2 * 128 * (2 * (query + past) * kv_heads + 2 * query * 8)
    assert kernel.demand(MEMORY) == once + kernel.choice["reread_bytes"]
    assert kernel.choice["reread_bytes"] >= 0
    assert loads(kernel, L2) >= loads(kernel, MEMORY)
    assert kernel.events["memory"] == kernel.demand(MEMORY)


@given(st.integers(1, 700), st.integers(0, 3000), st.booleans())
def test_the_units_do_at_least_the_counted_work(query: int, past: int, causal: bool) -> None:
    kernel = attention(query, query + past, 8, 2, causal=causal)
    pairs = 8 * attended_pairs(query, past, query + past, causal=causal, window=None)
    peak = H100.peak[0].flops_per_clock
    assert kernel.demand(TENSOR) * peak >= 4 * 128 * pairs
    assert kernel.demand(SPECIAL) * H100.vector.special_ops_per_clock >= pairs
    assert kernel.demand(VECTOR) * H100.vector.flops_per_clock >= 4 * pairs
    assert sum(v for e, v in kernel.events.items() if e.startswith("tensor:")) == 4 * 128 * pairs


def test_causal_prefill_takes_little_more_than_half_of_the_full_square() -> None:
    launch = H100.timing.launch_s
    # 33 heads of 64 tiles are 16 whole waves, so that the square loses nothing to a ragged one
    half, full = (ON.time_s(attention(8192, 8192, 33, 33, causal=causal)) - launch for causal in (True, False))
    assert 0.5 < half / full < 0.56


def test_a_window_makes_long_prompts_linear() -> None:
    launch = H100.timing.launch_s
    times = [ON.time_s(attention(n, n, causal=True, window=1024)) - launch for n in (8192, 16_384)]
    assert times[1] / times[0] == pytest.approx(2, rel=0.1)


def test_splitting_the_keys_keeps_a_single_sequence_nearly_flat_until_the_sms_are_full_then_linear() -> None:
    launch = H100.timing.launch_s
    lengths = (1024, 4096, 2**20, 2**21)
    times = {kv: ON.time_s(attention(1, kv, 8, 1)) - launch for kv in lengths}
    splits = {kv: attention(1, kv, 8, 1).choice["split"] for kv in times}
    assert splits[1024] > 1
    assert splits[4096] >= splits[1024]
    assert times[4096] < 2 * times[1024], "four times the keys, four times the SMs at work"
    assert times[2**21] / times[2**20] == pytest.approx(2, rel=0.05)


def test_a_split_is_the_faster_of_both_and_its_parts_are_combined() -> None:
    kernel = attention(1, 8192)
    assert kernel.choice["split"] > 1
    assert [phase.name for phase in kernel.phases] == ["blocks", "combine"]
    times = {alternative.label: alternative.time_s for alternative in kernel.alternatives}
    unsplit = next(seconds for label, seconds in times.items() if "split" not in label)
    assert min(times.values()) == ON.time_s(kernel) < unsplit
    # partial outputs, a maximum and a sum per row and split, in fp32: written once and read once
    tq, split = int(kernel.choice["tile"].split("x")[0]), kernel.choice["split"]
    partial = 8 * tq * (128 + 2) * 4 * split
    blocks, combine = kernel.phases
    assert (
        {d.resource: d.amount for d in blocks.store}[L2] == partial == {d.resource: d.amount for d in combine.load}[L2]
    )


def test_many_sequences_fill_the_sms_without_a_split() -> None:
    assert attention(1, 4096, batch=64).choice["split"] == 1


@given(st.integers(1, 600), st.integers(0, 2000), st.sampled_from([1, 2, 8]))
def test_time_grows_with_queries_keys_heads_and_batch(query: int, past: int, kv_heads: int) -> None:
    kv = query + past
    before = ON.time_s(attention(query, kv, 8, kv_heads))
    for larger in (
        attention(2 * query, kv, 8, kv_heads),
        attention(query, 2 * kv, 8, kv_heads),
        attention(query, kv, 16, 2 * kv_heads),
        attention(query, kv, 8, kv_heads, batch=2),
    ):
        assert ON.time_s(larger) >= before - 1e-12, dict(larger.operator.dims)


def test_narrow_keys_are_widened_on_the_vector_unit_and_the_rule_says_so() -> None:
    narrow = Mapped(H100, "bf16", "fp8_e4m3").kernel("attention", query=1, kv=4096, heads=32, kv_heads=8, head_dim=128)
    plain = attention(1, 4096)
    assert "+convert(fp8_e4m3->bf16)" in narrow.priced_by
    assert loads(narrow, MEMORY) < 0.6 * loads(plain, MEMORY)
    elements = 2 * 4096 * 8 * 128
    flops = next(row for row in H100.convert if "fp8_e4m3" in row.sources and "bf16" in row.targets).flops_per_element
    assert (narrow.demand(VECTOR) - plain.demand(VECTOR)) * H100.vector.flops_per_clock >= 0.99 * flops * elements
    assert narrow.events["vector"] >= plain.events["vector"] + 0.99 * flops * elements
