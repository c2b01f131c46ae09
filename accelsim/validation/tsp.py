"""Published figures of language processing units beside ours, and the constant that is fitted to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from accelsim import catalog
from accelsim.simulation import simulate
from accelsim.spec.tsp import TspSystem
from accelsim.validation.published import Case, Row, row

_MAKER: Final = "TechPowerUp, February 2024, claims of the maker"

CASES: Final = (
    Case(
        what="Llama-2-70B, decode step at position 4,095",
        model="llama-2-70b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 4095, "generate": 2},
        figure="decode_tokens_per_s",
        published=300.0,
        within=0.15,
        role="fit",
        source=f"{_MAKER}; 576 chips: discussions of that time",
    ),
    Case(
        what="Llama-2-7B, context 2,048, smallest system",
        model="llama-2-7b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 2047, "generate": 2, "chips": "auto"},
        figure="decode_tokens_per_s",
        published=750.0,
        within=None,
        role="predict",
        source=_MAKER,
    ),
    Case(
        what="Mixtral-8x7B, context 4,096, smallest system",
        model="mixtral-8x7b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 4095, "generate": 2, "chips": "auto"},
        figure="decode_tokens_per_s",
        published=480.0,
        within=None,
        role="predict",
        source=f"{_MAKER}; the context is assumed",
    ),
    Case(
        what="Llama-2-70B, first token after 550 tokens",
        model="llama-2-70b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 550, "generate": 1},
        figure="time_to_first_token_s",
        published=0.22,
        within=None,
        role="predict",
        source="LLMPerf leaderboard, early 2024, as quoted in round-ups; with network and queue; prompt length assumed",
    ),
)
"""Every figure of a language model on these chips that this project has a source for."""

PLAUSIBLE: Final = (0, 2000)
"""Cycles that may lie between two operators: none if everything is overlapped, some thousand if chips resynchronise."""


def rows() -> tuple[Row, ...]:
    """All cases, computed anew."""
    return tuple(row(case) for case in CASES)


def breakdown(overrides: Mapping[str, object] | None = None, **request: object) -> dict[str, tuple[float, float]]:
    """One decode step of the fit row by resource: seconds in which each set the pace, and what it needs on its own.

    The first add up to the step. What a resource needs on its own is its work at the rate of the chips of one node, to
    be compared with the step: most of it is hidden behind what sets the pace.

    Args:
        overrides: dotted figures of the system to other values.
        request: keywords of `simulate` other than those of the row.
    """
    case = next(case for case in CASES if case.role == "fit")
    asked: dict[str, Any] = {**case.request, **request}
    one, two = (
        simulate(case.model, case.on, overrides=overrides, **{**asked, "generate": generate}) for generate in (1, 2)
    )
    before = {row["resource"]: row for row in one.rows("resources")}
    system = catalog.chip(case.on, overrides)
    nodes = system.nodes if isinstance(system, TspSystem) else 1
    found = {}
    for after in two.rows("resources"):
        first = before[after["resource"]]
        alone = sum(
            sign * float(line["utilization"]) * float(run.summary["total_time_s"])
            for sign, line, run in ((1, after, two), (-1, first, one))
        )
        pace = float(after["limit_s"]) - float(first["limit_s"])
        found[str(after["resource"])] = (pace, alone * (nodes if after["count"] > 1 else 1))
    return {name: pair for name, pair in found.items() if name != "chip.static"}


def fitted_turnaround() -> int:
    """Cycles between operators at which the fit row comes out as published: the time is linear in them."""
    case = next(case for case in CASES if case.role == "fit")
    low, high = PLAUSIBLE
    least, most = (1 / row(case, {"timing.turnaround": cycles}).ours for cycles in PLAUSIBLE)
    return round(low + (1 / case.published - least) / (most - least) * (high - low))
