"""Knobs of an IPU: every figure counts, every rate can be what limits a run, and more of anything never hurts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import AccelsimError
from accelsim.results import Run

WHOLE = {"prompt": 4, "generate": 2}
MATMUL: dict[str, Any] = {"m": 64, "n": 4096, "k": 4096}


def run(overrides: dict[str, Any], on: str = "ipu-mk2-8", model: str = "gpt2") -> Run:
    return accelsim.simulate(model, on, overrides=overrides, **WHOLE)


def matmul(overrides: dict[str, Any], on: str = "ipu-mk2-8", **more: Any) -> Run:
    return accelsim.simulate_operator("matmul", on=on, overrides=overrides, **{**MATMUL, **more})


# Every figure counts


def _numbers(table: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    items = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in items:
        here = (*path, str(key))
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from _numbers(value, here)
        elif isinstance(value, int | float) or (str(value)[:1].isdigit() and key not in ("source", "notes")):
            yield ".".join(here), value


WORKLOADS: tuple[Callable[[dict[str, Any]], Run], ...] = (
    run,
    lambda overrides: matmul(overrides, format="fp32"),
    lambda overrides: matmul(overrides, weights="int8"),
    lambda overrides: matmul(overrides, weights="int4"),
    lambda overrides: run({"tile.sram": "200 KiB", **overrides}),
    lambda overrides: run(overrides, model="gpt2-xl"),
)


@cache
def _account(workload: int, changes: tuple[tuple[str, Any], ...]) -> Any:
    """What a workload comes to with some figures changed; an error counts as what it says."""
    try:
        done = WORKLOADS[workload](dict(changes))
    except AccelsimError as error:
        return str(error)
    keys = ("total_time_s", "energy_j", "power_limit_w", "memory_capacity_bytes", "fits")
    return done.infeasible, *(done.summary[key] for key in keys)


def _figures() -> list[tuple[str, Any]]:
    part, system = catalog.chip("ipu-gc200"), catalog.chip("ipu-mk2-8")
    return [*_numbers(part.raw), *_numbers(system.raw)]


@pytest.mark.parametrize(("path", "value"), _figures(), ids=lambda item: str(item)[:40])
def test_every_figure_changes_something(path: str, value: Any) -> None:
    if isinstance(value, str):
        number, _, unit = value.partition(" ")
        changed: Any = f"{float(number) * 0.5} {unit}"
    elif isinstance(value, int):
        changed = value // 2 if value > 1 else value + (1 if value else 2)  # no group for the head means one
    else:
        changed = value * 0.5
    assert any(_account(w, ((path, changed),)) != _account(w, ()) for w in range(len(WORKLOADS)))


# Every rate can be the limit


@pytest.mark.parametrize(
    ("word", "overrides"),
    [
        ("compute", {"peak.0.rate": "0.128 FLOP/clk"}),
        ("sram", {"tile.load": "0.016 B/clk"}),
        ("exchange", {"exchange.bandwidth": "0.004 B/clk"}),
        ("vector", {"vector.rate": "0.008 FLOP/clk"}),
        ("issue", {"vertex.block": 25_000.0}),
        ("sync", {"timing.superstep": 393_000.0}),
    ],
)
def test_a_thousandth_of_a_rate_is_what_limits_a_product(word: str, overrides: dict[str, Any]) -> None:
    usual, slowed = matmul({}, on="ipu-gc200"), matmul(overrides, on="ipu-gc200")
    assert slowed.operators["bound"].tolist() == [word]
    assert slowed.summary["total_time_s"] > 5 * usual.summary["total_time_s"]


def test_slow_links_are_what_limits_sending() -> None:
    slowed = run({"link.bandwidth": "16 kB/s"})
    assert {row["bound"] for row in slowed.rows("operators") if row["name"] == "send"} == {"link"}


def test_slow_memory_beside_the_chips_is_what_limits_what_streams() -> None:
    slowed = run({"tile.sram": "200 KiB", "streaming.bandwidth": "10 MB/s"})
    assert "memory" in set(slowed.operators["bound"])


# Directions


@pytest.mark.parametrize(
    "better",
    [
        {"tile.count": 2944},
        {"tile.sram": "1248 KiB"},
        {"tile.workspace": "256 KiB"},
        {"tile.load": "32 B/clk"},
        {"exchange.bandwidth": "8 B/clk"},
        {"link.bandwidth": "32 GB/s"},
        {"link.latency": "0.5 us"},
        {"neighbour_lanes": 3},
        {"clock.tile.frequency": "2.66 GHz"},
        {"vertex.worker": 11.0},
        {"timing.superstep": 200.0},
        {"vector.rate": "16 FLOP/clk"},
        {"peak.0.rate": "256 FLOP/clk"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_more_of_anything_never_hurts(better: dict[str, Any]) -> None:
    for model in ("gpt2", "gpt2-xl"):
        usual, changed = (
            accelsim.simulate(model, "ipu-mk2-8", prompt=64, generate=3, overrides=o) for o in ({}, better)
        )
        assert changed.summary["total_time_s"] <= usual.summary["total_time_s"]


def test_half_the_clock_takes_twice_the_time_on_one_chip() -> None:
    usual, halved = (run(o, on="ipu-gc200") for o in ({}, {"clock.tile.frequency": "0.665 GHz"}))
    assert halved.summary["total_time_s"] == pytest.approx(2 * usual.summary["total_time_s"], rel=1e-5)


def test_a_longer_sequence_or_a_larger_batch_costs_more_and_less_per_token() -> None:
    def per_token(batch: int, generate: int) -> float:
        done = accelsim.simulate("gpt2", "ipu-mk2-8", batch=batch, prompt=1, generate=generate)
        return float(done.summary["time_per_output_token_s"])

    assert per_token(1, 4) < per_token(1, 400) < per_token(1, 1000)
    assert per_token(1, 4) < per_token(8, 4) < 8 * per_token(1, 4)


def test_the_clock_of_the_card_shortens_a_token_as_the_clock_does() -> None:
    mk2, card = (
        accelsim.simulate("gpt2-xl", on, prompt=1, generate=8).summary["time_per_output_token_s"]
        for on in ("ipu-mk2-8", "ipu-c600-8")
    )
    assert mk2 / card == pytest.approx(1.5 / 1.33, rel=0.01)
