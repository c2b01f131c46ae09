"""Keys and values: rounded once, in stated blocks; masked ones skipped; fused attention near the unfused one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.execution import attention, cache
from accelsim.execution.cache import Cached
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Keys, TensorPlan, Unit
from accelsim.graph.operator import Role
from accelsim.mapping.sums import Sums
from accelsim.numerics.accumulator import accumulator
from tests.execution.families import model, tokens, weights

RANDOM = np.random.default_rng(5)


def cached(queries: int, keys: int, spread: float = 1.0) -> tuple[Any, Any, Any]:
    shapes = ((1, queries, 2, 16), (1, keys, 1, 16), (1, keys, 1, 16))
    q, k, v = (RANDOM.normal(size=shape).astype(np.float32) for shape in shapes)
    return q * np.float32(spread), k, v


@pytest.mark.parametrize(("spread", "sums"), [
    (1, Sums()), (1, Sums(tile=1)), (1, Sums(tile=16)), (4, Sums(tile=8)), (4, Sums(4, 32, 8)), (8, Sums(tile=4)),
])  # fmt: skip
def test_fused_equals_unfused_within_the_stated_bound(spread: float, sums: Sums) -> None:
    """2 (keys + (tiles + parts) (span + 3) + span + 4) units in the last place of the sum of p |v|; docs/execution.md.

    Both round each p by its exponent's argument (span = max |s - highest|), its exponential and its place in the sum of
    all; fused kernels rescale the sums once for every tile and part.
    """
    count, lanes = 100, Lanes()
    q, k, v = cached(1, count, spread)
    heads = attention.Heads(q, count - 1, causal=True, window=None)
    how = Keys(count - 1, Unit(accumulator("fp32-fma")), sums)
    found = attention.fused(heads, Cached(k), Cached(v), (how,), lanes)
    plain = Keys(count - 1, Unit("fp32"))
    s = attention.scores(heads, Cached(k), (how,), lanes)
    p = lanes.softmax(s, np.ones(s.shape, dtype=bool))
    want = attention.contexts(heads, p, Cached(v), (plain,), lanes)
    tiles = 1 if sums.tile is None else -(-count // sums.tile)
    span = np.max(s.max(axis=-1) - s.min(axis=-1))
    units = 2 * (count + (tiles + sums.parts) * (span + 3) + span + 4)
    sizes = np.einsum("bhqk,bkd->bqhd", p.astype(np.float64), np.abs(v[:, :, 0]).astype(np.float64))
    error = np.abs(found.astype(np.float64) - want)
    assert (error <= units * 2.0**-24 * sizes).all()
    assert error.any()


@pytest.mark.parametrize("numerics", ["exact", "fp32", "fp32-fma", "hopper-bf16", "hopper-fp8", "aim-bf16", "cdna3"])
@pytest.mark.parametrize("sums", [Sums(), Sums(tile=4), Sums(3, 8, 4)])
def test_masked_keys_and_values_are_skipped(numerics: str, sums: Sums) -> None:
    """Whatever lies where a query does not look, the bits are the same."""
    q, k, v = cached(7, 20)
    unit = Unit(numerics if numerics in ("exact", "fp32") else accumulator(numerics))
    sums = sums if unit.accumulator != "exact" else Sums(tile=sums.tile)
    heads = attention.Heads(q, 9, causal=True, window=6)
    how = (Keys(9, unit, sums),)
    lanes = Lanes(exact=numerics == "exact")
    found = attention.fused(heads, Cached(k), Cached(v), how, lanes)
    seen = heads.seen(20).any(axis=0)
    assert 0 < seen.sum() < 20
    k[:, ~seen], v[:, ~seen] = 3e4, -3e4
    assert attention.fused(heads, Cached(k), Cached(v), how, lanes).tobytes() == found.tobytes()
    # the last key is seen by the last query alone
    k[:, 15], v[:, 15] = 100, 3e4
    again = attention.fused(heads, Cached(k), Cached(v), how, lanes)
    assert again[:, :-1].tobytes() == found[:, :-1].tobytes()
    assert again[:, -1].tobytes() != found[:, -1].tobytes()


def test_keys_and_values_are_rounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every element goes through its format when it is appended, and never again."""
    name, sizes = "llama-gqa", []
    original = cache.store

    def spy(x: Any, form: Any, where: str) -> Any:
        assert form.name == "mxfp8_e4m3"
        sizes.append(x.size)
        return original(x, form, where)

    monkeypatch.setattr(cache, "store", spy)
    the_model, fed = model(name), tokens(name, 9)
    accelsim.execute(the_model, weights(name), fed, kv_cache_format="mxfp8_e4m3", prefill=4)
    width = 2 * 8  # KV heads times head_dim
    assert sum(sizes) == 9 * width * 2 * the_model.layers
    assert sizes[: 2 * the_model.layers] == [4 * width] * (2 * the_model.layers)


# blocks of values along tokens


def test_blocks_of_tokens_are_rounded_when_they_are_full() -> None:
    held, form = cache.KvCache(1), catalog.format_("int4_g32")
    plan = TensorPlan("v_cache", Role.KV_CACHE, True, form, group=32, along_tokens=True, tail="fp32")
    x = RANDOM.normal(size=(75, 12)).astype(np.float32)
    for first, end in ((0, 20), (20, 21), (21, 70), (70, 75)):
        held.append(0, "v_cache", x[first:end], 2, plan)
    found = held.read(0, "v_cache")
    codec = accelsim.dataformat("int4_g32")
    blocks = [codec.quantize(x[at : at + 32].T).T for at in (0, 32)]
    assert np.array_equal(found.stored.reshape(75, 12), np.concatenate([*blocks, x[64:]]))
    assert not np.array_equal(blocks[0], codec.quantize(x[:32]))
    for position, full in ((30, 0), (31, 32), (62, 32), (63, 64), (74, 64)):
        mine = found.seen_from(position).reshape(75, 12)
        assert np.array_equal(mine[:full], found.stored.reshape(75, 12)[:full])
        assert np.array_equal(mine[full:], x[full:])


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("numerics", ["exact", "hopper-bf16"])
def test_blocks_of_tokens_decode_as_they_prefill(numerics: str, fuse: bool) -> None:
    name = "mistral-window" if fuse else "llama-gqa"
    given, fed, the_model = weights(name), tokens(name, 40), model(name)
    settings = {
        "numerics": numerics, "activations_format": "bf16", "kv_cache_format": "int4_g32", "values_along": "tokens",
        "fuse": fuse,
    }  # fmt: skip
    whole = accelsim.execute(the_model, given, fed, **settings)
    for prefill in (1, 31, 32, 35):
        assert accelsim.execute(the_model, given, fed, prefill=prefill, **settings).logits.tobytes() == (
            whole.logits.tobytes()
        )
    assert whole.plan is not None
    (warned,) = whole.warnings
    assert "bf16 until it is full" in warned
    axes = {(t.name, t.axis) for _, t in whole.plan.lines() if t.name.endswith("_cache")}
    assert axes == {("k_cache", "head_dim"), ("v_cache", "tokens")}
    usual = accelsim.execute(the_model, given, fed, **{**settings, "values_along": "head_dim"})
    assert not usual.warnings
    changed = np.flatnonzero((whole.logits != usual.logits).any(axis=(0, 2)))
    assert changed[0] == 0  # values of the first token are not rounded yet


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"values_along": "token"}, "tokens"), ({"values_along": "tokens"}, "no blocks"),
        ({"values_along": "tokens", "kv_cache_format": "fp8_e4m3"}, "mxfp8_e4m3 or int4_g32"),
    ],
)  # fmt: skip
def test_bad_input(settings: dict[str, str], match: str) -> None:
    with pytest.raises(RequestError, match=match):
        accelsim.execute(model("llama"), weights("llama"), tokens("llama"), **settings)  # type: ignore[arg-type]
