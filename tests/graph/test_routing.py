"""Which experts get tokens, against exact sums and Monte Carlo draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph import build
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Kind, Role
from accelsim.graph.routing import Routing, parse

SIZES = st.integers(1, 40).flatmap(lambda experts: st.tuples(st.just(experts), st.integers(1, experts)))


def monte_carlo(experts: int, active: int, tokens: int, popularity: np.ndarray) -> float:
    """Mean number of distinct experts over 400 draws, one token after the other."""
    generator = np.random.default_rng(1)
    p = popularity / popularity.sum()
    counts = [
        len({e for _ in range(tokens) for e in generator.choice(experts, active, replace=False, p=p)})
        for _ in range(400)
    ]
    return float(np.mean(counts))


@pytest.mark.parametrize(("experts", "active", "tokens"), [(8, 2, 1), (8, 2, 4), (16, 3, 5), (32, 4, 6)])
def test_uniform_expectation_against_a_draw(experts: int, active: int, tokens: int) -> None:
    expected = Routing().distinct(experts, active, tokens)
    assert expected == pytest.approx(monte_carlo(experts, active, tokens, np.ones(experts)), rel=0.02)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_zipf_expectation_against_a_draw(exponent: float) -> None:
    popularity = np.arange(1, 17) ** -exponent
    expected = Routing(zipf=exponent).distinct(16, 3, 5)
    # picks without repetition are approximated: a few percent
    assert expected == pytest.approx(monte_carlo(16, 3, 5, popularity), rel=0.04)


@given(SIZES, st.floats(0, 3))
def test_zipf_sums_to_the_active_experts(size: tuple[int, int], exponent: float) -> None:
    experts, active = size
    chance = Routing(zipf=exponent).inclusion(experts, active)
    assert chance.sum() == pytest.approx(active)
    assert np.all(chance <= 1 + 1e-12)
    assert np.all(np.diff(chance) <= 1e-12)  # the popular come first


@given(SIZES, st.integers(1, 3000))
def test_distinct_experts_are_between_the_active_ones_and_all(size: tuple[int, int], tokens: int) -> None:
    experts, active = size
    for routing in (Routing(), Routing(zipf=1.0)):
        found = routing.distinct(experts, active, tokens)
        assert min(active * tokens, active) - 1e-9 <= found <= experts + 1e-9
    if tokens * active > 40 * experts:
        assert Routing().distinct(experts, active, tokens) == pytest.approx(experts, rel=1e-6)  # saturated


@given(SIZES, st.integers(1, 300), st.sampled_from([None, 0.7, 2.5]), st.booleans())
def test_loads_add_up_and_no_expert_gets_more_than_all_tokens(
    size: tuple[int, int], tokens: int, zipf: float | None, drawn: bool
) -> None:
    experts, active = size
    loads = Routing(zipf=zipf, drawn=drawn).loads(experts, active, tokens)
    assert loads.sum() == pytest.approx(tokens * active)
    assert loads.max() <= tokens * (1 + 1e-12)
    assert np.all(np.diff(loads) <= 1e-9)
    assert np.all(loads > 0)


def test_drawn_loads_follow_the_seed() -> None:
    routing = Routing(zipf=1.0, drawn=True, seed=3)
    first = routing.loads(64, 8, 20)
    assert np.array_equal(first, Routing(zipf=1.0, drawn=True, seed=3).loads(64, 8, 20))
    assert not np.array_equal(first, Routing(zipf=1.0, drawn=True, seed=4).loads(64, 8, 20))
    assert np.array_equal(first, np.round(first))
    assert routing.distinct(64, 8, 20) == len(first)


def test_drawn_loads_are_near_the_expectation() -> None:
    draws = [len(Routing(drawn=True, seed=seed).loads(32, 4, 6)) for seed in range(300)]
    assert np.mean(draws) == pytest.approx(Routing().distinct(32, 4, 6), rel=0.02)


def test_a_draw_of_many_tokens_is_made_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.graph.routing.DRAWN_SCORES", 64)
    loads = Routing(drawn=True, seed=77).loads(16, 2, 103)
    assert loads.sum() == 206


@pytest.mark.parametrize("routing", [Routing(), Routing(zipf=1.0), Routing(drawn=True, seed=2)])
def test_arrays_of_tokens_equal_single_numbers(routing: Routing) -> None:
    tokens = np.array([[1, 5], [40, 5]])
    found = routing.distinct(16, 4, tokens)
    expected = [[routing.distinct(16, 4, int(n)) for n in row] for row in tokens]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_popularities_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "popularity.json"
    file.write_text(json.dumps([0, 3, 1, 0]))
    routing = parse(str(file))
    assert routing.weights == (0.0, 3.0, 1.0, 0.0)
    assert routing.inclusion(4, 2).tolist() == [0, 1, 1, 0]
    assert routing.distinct(4, 2, 100) == 2
    one = routing.inclusion(4, 1)
    assert one.sum() == pytest.approx(1)
    assert one[1] > 2 * one[2] > 0
    assert parse(f"{file}:drawn", seed=5) == Routing(weights=routing.weights, drawn=True, seed=5)
    with pytest.raises(RequestError, match="the file gives 4 experts, the model has 8"):
        routing.distinct(8, 2, 3)
    with pytest.raises(RequestError, match="fewer than 3 experts have any popularity"):
        routing.inclusion(4, 3)
    with pytest.raises(RequestError, match="fewer than 3 experts have any popularity"):
        parse(f"{file}:drawn").loads(4, 3, 5)


def test_names_of_routings() -> None:
    assert parse("uniform") == Routing()
    assert parse("zipf:1.5:drawn", 7) == Routing(zipf=1.5, drawn=True, seed=7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zipf:much", "the exponent is no number; write zipf:1.0"),
        ("zipf:-1", "must be finite and at least 0"),
        ("zipf:nan", "must be finite and at least 0"),
        ("even", "neither 'uniform', 'zipf:EXPONENT' nor a file"),
    ],
)
def test_bad_names(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2", "not JSON"),
        ('{"a": 1}', "expected a JSON list of popularities"),
        ("[1, -1]", "finite and at least 0"),
        ("[1, Infinity]", "finite and at least 0"),
        ("[true, 1]", "finite and at least 0"),
        ("[]", "expected a JSON list"),
        ("[0, 0]", "all popularities are zero"),
    ],
)
def test_bad_files(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    with pytest.raises(RequestError, match=message):
        parse(str(file))


@pytest.mark.parametrize(("batch", "distinct"), [(1, 2.0), (2, 3.5), (8, 8 * (1 - 0.75**8)), (1000, 8.0)])
def test_each_distinct_expert_is_read_once(batch: int, distinct: float, bf16: Formats) -> None:
    graph = build.decode(catalog.model("mixtral-8x7b"), batch=batch, prompt=9, step=1, formats=bf16)
    for _, op in graph:
        if op.kind is Kind.EXPERTS:
            assert op.bytes(Role.WEIGHT) == pytest.approx(distinct * 4096 * 14336 * 2)
            assert op.dims["experts"] == pytest.approx(distinct)
            assert sum(op.attributes["loads"]) == pytest.approx(op.dims["m"]) == 2 * batch


def test_drawn_experts_of_a_graph(bf16: Formats) -> None:
    graph = build.decode(
        catalog.model("qwen3-30b-a3b"), batch=4, prompt=9, step=1, formats=bf16, routing=parse("zipf:1:drawn", 3)
    )
    for _, op in graph:
        if op.kind is Kind.EXPERTS:
            loads = op.attributes["loads"]
            assert op.dims["experts"] == len(loads)
            assert op.bytes(Role.WEIGHT) == len(loads) * op.dims["n"] * op.dims["k"] * 2
            assert loads.sum() == op.dims["m"] == 32
