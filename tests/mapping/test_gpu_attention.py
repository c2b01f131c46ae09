"""Fused attention: what is read and computed, when the keys are split, and which kernel a library takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.graph.counts import attended_pairs
from accelsim.mapping.gpu import attention as attending
from accelsim.mapping.gpu.resources import L2, MEMORY, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel
from accelsim.spec.calibration import Conditions, Residency
from accelsim.spec.device import GpuChip
from accelsim.units import PS_PER_S
from tests.mapping.operators import Mapped

H100 = catalog.chip("h100-sxm")
assert isinstance(H100, GpuChip)
ON = Mapped(H100)


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


@given(st.integers(2, 700), st.integers(0, 3000), st.sampled_from([1, 4, 8]), st.booleans())
def test_memory_moves_everything_once_and_l2_no_less(query: int, past: int, kv_heads: int, causal: bool) -> None:
    kernel = attention(query, query + past, 8, kv_heads, causal=causal)
    once = 2 * 128 * (2 * (query + past) * kv_heads + 2 * query * 8)
    # a table of blocks is read in whole ones
    assert once <= kernel.demand(MEMORY) <= once + 2 * 128 * 2 * 127 * kv_heads
    assert loads(kernel, L2) >= loads(kernel, MEMORY)
    assert kernel.events["memory"] == kernel.demand(MEMORY)


@given(st.integers(1, 700), st.integers(0, 3000), st.booleans())
def test_the_units_do_at_least_the_counted_work(query: int, past: int, causal: bool) -> None:
    kernel = attention(query, query + past, 8, 2, causal=causal)
    pairs = 8 * attended_pairs(query, past, query + past, causal=causal, window=None)
    peak, lanes = H100.peak[0].flops_per_clock, H100.vector.flops_per_clock
    single = "single" in kernel.priced_by
    products = kernel.demand(VECTOR) * lanes if single else kernel.demand(TENSOR) * peak
    assert products >= 4 * 128 * pairs
    assert kernel.demand(SPECIAL) * H100.vector.special_ops_per_clock >= pairs
    assert kernel.demand(VECTOR) * lanes >= 4 * pairs
    charged = sum(v for e, v in kernel.events.items() if e.startswith("tensor:"))
    assert charged == (0 if single else 4 * 128 * pairs)
    assert kernel.events["vector"] >= (4 * 128 * pairs if single else 0)


shapes = st.fixed_dictionaries(
    {
        "batch": st.sampled_from([1, 2, 3, 8, 32, 100]),
        "query": st.sampled_from([1, 1, 2, 9, 16, 17, 100, 1000, 2048, 4000]),
        "past": st.sampled_from([0, 1, 63, 128, 1000, 8191, 40_000]),
        "group": st.sampled_from([1, 2, 5, 8, 32, 64]),
        "kv_heads": st.sampled_from([1, 2, 8, 16]),
        "head_dim": st.sampled_from([64, 80, 128, 192, 256]),
        "window": st.sampled_from([None, None, 128, 1024]),
        "form": st.sampled_from(["bf16", "fp8_e4m3", "int4"]),
        "chip": st.sampled_from(["a100-sxm-80gb", "h100-sxm", "b200-sxm", "l40s", "mi300x", "xeon-silver-4215-2s"]),
        "residency": st.sampled_from(["cold", "steady", 3]),
    }
)
MAPPED: dict[tuple[str, str], Mapped] = {}


def made(d: dict[str, Any]) -> tuple[Mapped, Kernel, float]:
    """A kernel, on what, and its time in closed form."""
    key = (d["chip"], d["form"])
    if key not in MAPPED:
        chip = catalog.chip(d["chip"])
        assert isinstance(chip, GpuChip)
        MAPPED[key] = Mapped(chip, "bf16", d["form"])
    on = MAPPED[key]
    mapper = on.mapper
    op = on.operator(
        "attention", batch=d["batch"], query=d["query"], kv=d["query"] + d["past"], heads=d["group"] * d["kv_heads"],
        kv_heads=d["kv_heads"], head_dim=d["head_dim"], window=d["window"], causal=True,
    )  # fmt: skip
    lib = replace(mapper.library, conditions=Conditions(residency=Residency.parse(residency(d["residency"]))))
    pair = attending_pair(on, op)
    kernel = attending.kernel(
        op, on.chip, pair, attending.Steps(), memory=mapper.memory, resources=mapper.resources, library=lib
    )
    return on, kernel, min(alternative.time_s for alternative in kernel.alternatives)


def residency(state: str | int) -> str:
    """In the words of a request."""
    return f"harness({state})" if isinstance(state, int) else state


def attending_pair(on: Mapped, op: Any) -> Any:
    """How its operands meet."""
    from accelsim.mapping.gpu.pairs import Pair, resolve

    pair = resolve(on.chip, *op.operand_formats())
    assert isinstance(pair, Pair)
    return pair


@given(shapes)
def test_alone_a_kernel_takes_the_time_of_the_closed_form(d: dict[str, Any]) -> None:
    on, kernel, seconds = made(d)
    assert on.time_s(kernel) == pytest.approx(seconds, rel=0.01)


@given(shapes)
def test_no_kernel_beats_its_units_or_the_bytes_that_memory_moves(d: dict[str, Any]) -> None:
    on, kernel, seconds = made(d)
    for name, resource in on.mapper.resources.items():
        assert seconds >= (1 - 1e-6) * kernel.demand(name) / resource.rate - 1 / PS_PER_S, name


def test_causal_prefill_takes_little_more_than_half_of_the_full_square() -> None:
    # 33 heads of 64 tiles are 16 whole waves, so that the square loses nothing to a ragged one
    half, full = (rest(attention(8192, 8192, 33, 33, causal=causal)) for causal in (True, False))
    assert 0.5 < half / full < 0.56


def rest(kernel: Kernel) -> float:
    """Its time without the launch."""
    return ON.time_s(kernel) - kernel.launch_s


def test_a_window_makes_long_prompts_linear() -> None:
    times = [rest(attention(n, n, causal=True, window=1024)) for n in (16_384, 32_768)]
    assert times[1] / times[0] == pytest.approx(2, rel=0.1)


def test_splitting_the_keys_keeps_a_single_sequence_nearly_flat_until_the_sms_are_full_then_linear() -> None:
    lengths = (4096, 16_384, 2**20, 2**21)
    kernels = {kv: attention(1, kv, 64, 8) for kv in lengths}
    assert min(kernels[kv].choice["split"] for kv in (4096, 16_384)) > 1
    assert rest(kernels[16_384]) < 3 * rest(kernels[4096]), "four times the keys, more SMs at work"
    assert rest(kernels[2**21]) / rest(kernels[2**20]) == pytest.approx(2, rel=0.05)


def test_a_split_is_the_faster_of_both_and_its_parts_are_combined() -> None:
    kernel = attention(1, 16_384)
    split = kernel.choice["split"]
    assert split > 1
    assert [phase.name for phase in kernel.phases] == ["blocks", "combine"]
    times = {alternative.label: alternative.time_s for alternative in kernel.alternatives}
    assert min(times.values()) == pytest.approx(ON.time_s(kernel), rel=1e-3)
    assert min(times.values()) < times["split 1"]
    # partial outputs, a maximum and a sum per row and split, in fp32: written once and read once
    partial = 32 * (128 + 2) * 4 * split
    blocks, combine = kernel.phases
    assert (
        {d.resource: d.amount for d in blocks.store}[L2] == partial == {d.resource: d.amount for d in combine.load}[L2]
    )


def test_many_sequences_fill_the_sms_without_a_split() -> None:
    assert attention(1, 4096, batch=64).choice["split"] == 1


@given(st.integers(1, 600), st.integers(0, 2000), st.sampled_from([2, 8]))
def test_time_grows_with_queries_keys_heads_and_batch(query: int, past: int, kv_heads: int) -> None:
    # from a batch on that fills the chip whatever the length: libraries change kernels there
    kv, batch = query + past, 32
    before = ON.time_s(attention(query, kv, 8, kv_heads, batch=batch))
    for larger in (
        attention(2 * query, kv + query, 8, kv_heads, batch=batch),
        attention(query, 2 * kv, 8, kv_heads, batch=batch),
        attention(query, kv, 16, 2 * kv_heads, batch=batch),
        attention(query, kv, 8, kv_heads, batch=2 * batch),
    ):
        assert ON.time_s(larger) >= before * (1 - 1e-6), dict(larger.operator.dims)


def test_heads_beyond_the_limit_of_a_library_read_their_keys_one_by_one() -> None:
    packed, single = (attention(1, 8192, heads, 1, batch=64) for heads in (32, 33))
    assert "packed" in packed.priced_by
    assert "single" in single.priced_by
    assert rest(single) > 5 * rest(packed)
    assert not any(name.startswith("tensor") for name in single.events)
    latent = ON.operator("attention", query=1, kv=8192, heads=128, kv_heads=1, head_dim=128)
    latent = replace(latent, attributes={**latent.attributes, "shared_kv": True})
    found = ON.mapper.kernel(latent)
    assert isinstance(found, Kernel)
    assert "packed" in found.priced_by, "kernels for latent attention take all heads together"


def test_short_caches_cost_as_much_as_a_whole_block_of_the_table() -> None:
    times = [ON.time_s(attention(1, kv, batch=256)) for kv in (1, 64, 128, 129)]
    assert times[0] == pytest.approx(times[2], rel=0.02)
    assert times[3] > 1.3 * times[2]


def test_a_cache_that_l2_still_holds_is_faster_than_one_that_it_does_not() -> None:
    d = {"batch": 8, "query": 1, "past": 500, "group": 4, "kv_heads": 2, "head_dim": 128, "window": None}
    times = [made({**d, "form": "bf16", "chip": "h100-sxm", "residency": state})[2] for state in ("steady", 3, "cold")]
    assert times == sorted(times)
    assert times[0] < times[2]


def test_time_is_continuous_in_bandwidth_and_clock() -> None:
    op = {"query": 1, "kv": 3000, "heads": 32, "kv_heads": 8, "head_dim": 128, "batch": 8}
    prompt = {**op, "query": 3000}
    assert isinstance(H100, GpuChip)
    for key, unit in (("memory.bandwidth", "TB/s"), ("clock.sm.frequency", "GHz")):
        for dims in (op, prompt):
            times = []
            for factor in np.linspace(0.5, 1.5, 21):
                usual = 3.35 if unit == "TB/s" else 1.83
                chip = H100.with_({key: f"{usual * factor} {unit}"})
                assert isinstance(chip, GpuChip)
                on = Mapped(chip)
                times.append(on.time_s(on.kernel("attention", **dims)))
            steps = np.diff(np.log(times))
            assert (steps <= 1e-3).all(), "faster parts"
            assert (steps >= -0.12).all(), "no jumps: the rate changes by 10 % at most"


def test_narrow_keys_are_widened_on_the_vector_unit_and_the_rule_says_so() -> None:
    narrow = Mapped(H100, "bf16", "fp8_e4m3").kernel("attention", query=1, kv=4096, heads=32, kv_heads=8, head_dim=128)
    plain = attention(1, 4096)
    assert "+convert(fp8_e4m3->bf16)" in narrow.priced_by
    assert loads(narrow, MEMORY) < 0.6 * loads(plain, MEMORY)
    elements = 2 * 4096 * 8 * 128
    flops = next(row for row in H100.convert if "fp8_e4m3" in row.sources and "bf16" in row.targets).flops_per_element
    assert (narrow.demand(VECTOR) - plain.demand(VECTOR)) * H100.vector.flops_per_clock >= 0.99 * flops * elements
    assert narrow.events["vector"] >= plain.events["vector"] + 0.9 * flops * elements
