"""No dead numbers: every figure of a shipped overlay changes time, energy, capacity or feasibility of some run."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import AccelsimError
from accelsim.simulation import simulate
from accelsim.spec.fpga import DESCRIPTIVE, FpgaPart, FpgaSystem
from tests.figures import numbers

PARTS = ("dfx-u280", "flightllm-u280", "flightllm-vhk158")
MODELS = {"dfx-u280": "gpt2-345m", "flightllm-u280": "tinyllama-1.1b", "flightllm-vhk158": "tinyllama-1.1b"}
BEHIND = frozenset(
    {("dfx-u280", "issue.prompt_step"), ("flightllm-u280", "ddr.channels"), ("flightllm-vhk158", "ddr.channels")}
)
"""Figures that count on another overlay: DFX has programs of one token, FlightLLM no biases that DDR would give."""

SUMS = ("groups", "blocks")
"""Shares that must add up to one, so that none can change alone."""


def part(name: str) -> FpgaPart:
    found: Any = catalog.chip(name)
    return found  # type: ignore[no-any-return]


def value_at(record: Any, path: str) -> float:
    for key in path.split("."):
        if key.isdigit():
            record = record[int(key)]
        else:
            fields = type(record).model_fields
            record = getattr(record, next(name for name, field in fields.items() if (field.alias or name) == key))
    return record  # type: ignore[no-any-return]


def told(name: str, overrides: dict[str, object]) -> list[Any]:
    """What several runs say: two boards, vectors off the chip, the closed form."""
    two = FpgaSystem(
        name="two", family="fpga-system", part=name, count=2, topology="ring", source="test", status="assumed"
    )
    found: list[Any] = []
    for more in ({}, {"fidelity": "roofline"}, {"overrides": {"on_chip.decode": False}}):
        given: Any = {"prompt": 100, "generate": 3, **more}
        given["overrides"] = {**given.get("overrides", {}), **overrides}
        run = simulate(MODELS[name], two, **given)
        echo = {"power_limit_w", "memory_capacity_bytes"}
        found.append(run.infeasible and run.infeasible.reason)
        found.append({k: v for k, v in run.summary.items() if k not in echo and not math.isnan(v)})
    return found


@cache
def usual(name: str) -> list[Any]:
    return told(name, {})


FIGURES = [
    pytest.param(name, path, marks=[pytest.mark.long] if name != "dfx-u280" else [])
    for name in PARTS
    for path in numbers(part(name))
]


@pytest.mark.parametrize(("name", "path"), FIGURES)
def test_a_figure_counts(name: str, path: str) -> None:
    if path in DESCRIPTIVE or (name, path) in BEHIND or any(f".{word}." in path for word in SUMS):
        pytest.skip("descriptive, or bound to its neighbours by a sum")
    record = part(name)
    old = value_at(record, path)
    factors = (2, 0.5, 0.05, 1e5, 1e-5) if old else (1e-6, 1, 1e6)
    for factor in factors:
        changed: Any = type(old)(old * factor if old else factor)
        try:
            if told(name, {path: changed}) != usual(name):
                return
        except AccelsimError:
            continue  # beyond what the description allows: try another
    pytest.fail(f"{name}: {path} = {old} changes nothing")
