"""Closed forms of attention: which blocks tiles visit, and how time follows from shapes."""

from __future__ import annotations

from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.evaluate.attentions import Attentions, attentions
from accelsim.graph.counts import attended_pairs
from accelsim.timing.gpu.heads import Heads
from accelsim.timing.gpu.prefill import TILES, block_counts


def heads(query: int, past: int, window: float) -> Heads:
    """The sizes that decide which blocks a tile visits."""
    names = ("batch", "heads", "kv_heads", "head_dim", "value_dim", "query_bytes", "kv_bytes", "output_bytes", "staged")
    return Heads.of(
        **dict.fromkeys(names, 1), query=query, past=past, kv=query + past, window=window, causal=1, widen=0,
        widen_query=0, latent=0,
    )  # fmt: skip


sizes = (st.integers(1, 700), st.integers(0, 900), st.just(inf) | st.integers(1, 500))


@given(*sizes, st.sampled_from(TILES))
def test_causal_and_windowed_blocks_are_those_that_hold_a_position_that_is_seen(
    query: int, past: int, window: float, tile: int
) -> None:
    expected = []
    for index in range(ceil(query / tile)):
        first, last = index * tile, min(query, (index + 1) * tile)
        start = 0 if window == inf else max(0, past + first + 1 - int(window))
        expected.append(ceil((past + last) / tile) - start // tile)
    found = [float(x[0]) for x in block_counts(heads(query, past, window), tile)]
    assert found == [len(expected), sum(expected), max(expected)]


@given(*sizes)
def test_pairs_are_those_that_are_counted(query: int, past: int, window: float) -> None:
    limit = None if window == inf else int(window)
    counted = attended_pairs(query, past, query + past, causal=True, window=limit)
    assert float(heads(query, past, window).pairs[0]) == counted


CHIPS = ("a100-sxm-80gb", "h100-sxm", "b200-sxm", "l40s")


def random(count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Batch, query, past, KV heads, heads of a group and head width of so many shapes."""
    draw = np.random.default_rng(seed)
    powers = draw.uniform((0, 0.5, 0, 0), (8, 13, 15, 5), (count, 4))
    batch, query, past, kv_heads = np.rint(2**powers).T
    return batch, query + 1, past, kv_heads, draw.integers(1, 33, count), draw.choice([64, 128, 192, 256], count)


def both(on: Attentions, *shape: np.ndarray) -> tuple[np.ndarray, np.ndarray, Heads, Heads]:
    """Times of prompts and of one new position, with their problems."""
    batch, query, past, kv_heads, group, width = shape
    prompts = on.heads(batch, query, query + past, group * kv_heads, kv_heads, width)
    steps = on.heads(batch, 1, query + past, group * kv_heads, kv_heads, width)
    # filling decides between kernels: monotony holds for either
    rule = on.constants.dispatch.model_copy(update={"fill": 0.0})
    return (
        on.prefill(prompts, on.constants.prefill).seconds, on.decode(steps, on.constants.decode, rule).seconds, prompts,
        steps,
    )  # fmt: skip


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("formats", [("bf16", "bf16"), ("bf16", "fp8_e4m3")])
def test_nothing_beats_the_roofline_and_more_of_anything_takes_longer(chip: str, formats: tuple[str, str]) -> None:
    on = attentions(chip, *formats)
    shape = random(1000)
    prompt_s, step_s, prompts, steps = both(on, *shape)
    for times, problems in ((prompt_s, prompts), (step_s, steps)):
        assert (times >= np.maximum(*on.bounds_s(problems))).all()
    for index in (0, 1, 2, 3):
        larger = list(shape)
        larger[index] = shape[index] * 2 if index in (0, 3) else shape[index] + 77
        more = both(on, *larger)
        assert (more[0] >= prompt_s * (1 - 1e-9)).all(), index
        assert (more[1] >= step_s * (1 - 1e-9)).all(), index


def test_a_thousand_points_take_a_few_milliseconds() -> None:
    import time

    on, shape = attentions("h100-sxm"), random(1000)
    both(on, *shape)
    start = time.perf_counter()
    both(on, *shape)
    assert time.perf_counter() - start < 0.2
