"""Grouped products of experts: tiles by expert, weights of those that got a token, and what imbalance costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.errors import RequestError

MIXTRAL: dict[str, Any] = {"experts": 8, "active": 2, "n": 28_672, "k": 4096}
SMALL: dict[str, Any] = {"experts": 128, "active": 8, "n": 1536, "k": 4096}


def seconds(routing: str = "uniform", on: str = "h100-sxm", **dims: Any) -> float:
    run = accelsim.simulate_operator("experts", on=on, routing=routing, **dims)
    assert run.infeasible is None
    return float(run.summary["total_time_s"])


def test_one_expert_is_a_plain_product() -> None:
    dims = {"n": 4096, "k": 4096}
    grouped = seconds(tokens=512, experts=1, active=1, **dims)
    plain = accelsim.simulate_operator("matmul", on="h100-sxm", m=512, **dims).summary["total_time_s"]
    assert grouped == pytest.approx(plain, rel=1e-9)


def test_only_experts_with_tokens_are_read() -> None:
    run = accelsim.simulate_operator("experts", on="h100-sxm", tokens=1, **SMALL)
    row = run.operators.iloc[0]
    assert row["weight_bytes"] == pytest.approx(8 * 2 * 1536 * 4096)
    few, many = (seconds(tokens=tokens, **SMALL) for tokens in (1, 64))
    assert many > 3 * few  # nearly all experts are picked by some token


@pytest.mark.parametrize("tokens", [4096, 16_384])
def test_uneven_loads_are_not_faster_where_arithmetic_limits(tokens: int) -> None:
    """Half-empty tiles of unpopular experts take a tile's time."""
    even, uneven = seconds(tokens=tokens, **SMALL), seconds("zipf:1.2", tokens=tokens, **SMALL)
    assert uneven > 0.97 * even
    tiles = [
        accelsim.simulate_operator("experts", on="h100-sxm", tokens=tokens, routing=routing, **SMALL).operators
        for routing in ("uniform", "zipf:1.2")
    ]
    assert tiles[0].iloc[0]["flops"] == tiles[1].iloc[0]["flops"]


def test_few_tokens_on_few_experts_read_less() -> None:
    """Popularity that is uneven leaves experts without a token, whose weights stay where they are."""
    assert seconds("zipf:2", tokens=32, **SMALL) < 0.8 * seconds(tokens=32, **SMALL)


@given(st.integers(1, 4000), st.sampled_from(["uniform", "zipf:0.8", "zipf:1.5"]), st.sampled_from([MIXTRAL, SMALL]))
def test_never_under_the_roofline(tokens: int, routing: str, dims: dict[str, Any]) -> None:
    run = accelsim.simulate_operator(
        "experts", on="h100-sxm", tokens=tokens, routing=routing, fidelity="roofline", **dims
    )
    assert seconds(routing, tokens=tokens, **dims) >= run.summary["total_time_s"]


def test_more_tokens_take_longer() -> None:
    times = [seconds(tokens=tokens, **MIXTRAL) for tokens in (1, 8, 64, 512, 2048, 8192)]
    assert np.all(np.diff(times) > 0)


def test_bad_experts() -> None:
    with pytest.raises(RequestError, match="active = 9 exceeds experts = 8"):
        seconds(tokens=1, experts=8, active=9, n=8, k=8)
    with pytest.raises(RequestError, match="routing"):
        seconds("zipff:1", tokens=1, **MIXTRAL)
