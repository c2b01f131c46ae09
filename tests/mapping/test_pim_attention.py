"""Heads over channels: every head has its place, and what is shared is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.evaluate.operators import single
from accelsim.graph.attention import Formats
from accelsim.mapping.pim import aim
from accelsim.mapping.pim.attention import append_bytes, heads
from accelsim.timing.aim.machine import run

FP16 = catalog.format_("fp16")
FORMATS = Formats(weights=FP16, activations=FP16, kv_cache=FP16, wide=FP16)


def attention(**sizes):
    given_ = {"batch": 1, "query": 1, "kv": 1000, "heads": 32, "kv_heads": 32, "head_dim": 128, "causal": True, **sizes}
    return single("attention", given_, FORMATS)


@given(
    batch=st.integers(1, 70), kv_heads=st.sampled_from([1, 2, 8, 32, 40]), group=st.sampled_from([1, 4, 8]),
    channels=st.sampled_from([1, 4, 16, 32, 64, 100]),
)  # fmt: skip
def test_every_head_of_every_sequence_has_channels_of_its_own_or_a_turn(batch, kv_heads, group, channels):
    placed = heads(attention(batch=batch, heads=kv_heads * group, kv_heads=kv_heads), channels)
    assert placed.pairs == batch * kv_heads
    assert placed.channels * placed.groups <= channels
    assert placed.groups * placed.turns >= placed.pairs
    assert placed.groups * (placed.turns - 1) < placed.pairs  # no turn is empty
    assert 0 < placed.full <= placed.groups


def test_query_heads_that_share_keys_read_them_again():
    shared, own = (heads(attention(kv_heads=kv_heads), 64) for kv_heads in (8, 32))
    products = [h.scores() for h in (shared, own)]
    assert [p["m"] for p in products] == [4, 1]
    # four times the passes over a quarter of the heads, each spread over four times the channels
    assert (shared.channels, own.channels) == (8, 2)
    assert products[0]["n"] == products[1]["n"] == 1000


def test_scores_and_contexts_are_the_two_products_of_attention():
    placed = heads(attention(kv=777, batch=64), 64)
    assert placed.scores() == {"m": 32, "n": 777, "k": 128}
    assert placed.contexts() == {"m": 32, "n": 128, "k": 777}


def test_what_units_cannot_do_is_said_in_words():
    assert "several queries" in heads(attention(query=7), 64)


def test_values_of_a_token_lie_one_by_one_and_keys_do_not():
    from accelsim.graph import build

    model = catalog.model("llama-2-7b")
    graph = build.decode(model, batch=3, prompt=100, step=1, formats=FORMATS)
    (append,) = {op.name: op for _, op in graph if op.kind == "kv_append"}.values()
    # 3 sequences x 32 heads x 128 values, each in an access of 32 B of which 2 B are its own
    assert append_bytes(append, 32, 2) == 3 * 32 * 128 * 30


@pytest.mark.parametrize(("n", "k", "rows", "opened"), [(2048, 128, 16, 16), (100, 64, 1, 1), (300, 512, 10, 10)])
def test_short_outputs_share_rows_of_aim(n, k, rows, opened):
    part = catalog.chip("gddr6-aim")
    packed, apart = (aim.matmul(part, 1, m=1, n=n, k=k, packed=way) for way in (True, False))
    assert packed.bytes_used == rows * 2048 * 16 < apart.bytes_used
    fast, slow = (run(mapped.program, part, 1, scope="peer") for mapped in (packed, apart))
    assert fast.commands()["ACT16"] == opened
    assert fast.commands()["MAC16"] == slow.commands()["MAC16"]
    assert fast.cycles < slow.cycles


def test_long_outputs_have_rows_of_their_own_either_way():
    part = catalog.chip("gddr6-aim")
    packed, apart = (aim.matmul(part, 1, m=1, n=64, k=1024, packed=way) for way in (True, False))
    assert packed.program == apart.program
