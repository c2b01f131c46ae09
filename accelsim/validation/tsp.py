"""Published figures of language processing units beside ours, and the constant that is fitted to one of them."""

from __future__ import annotations

from typing import Final

from accelsim.validation.published import Case, Row, row

_MAKER: Final = "TechPowerUp, February 2024, claims of the maker"

CASES: Final = (
    Case(
        what="Llama-2-70B, batch 1, decode step at position 4,095",
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
        what="Llama-2-7B, context 2,048, the smallest system that holds it (their number of chips is not known)",
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
        what="Mixtral-8x7B, context 4,096 (assumed), the smallest system that holds it (theirs is not known)",
        model="mixtral-8x7b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 4095, "generate": 2, "chips": "auto"},
        figure="decode_tokens_per_s",
        published=480.0,
        within=None,
        role="predict",
        source=_MAKER,
    ),
    Case(
        what="Llama-2-70B, first token after 550 tokens (assumed: the benchmark's mean prompt)",
        model="llama-2-70b",
        on="groq-lpu-576",
        request={"batch": 1, "prompt": 550, "generate": 1},
        figure="time_to_first_token_s",
        published=0.22,
        within=None,
        role="predict",
        source="LLMPerf leaderboard, early 2024, as quoted in benchmark round-ups; network and queue included",
    ),
)
"""Every figure of a language model on these chips that this project has a source for."""

PLAUSIBLE: Final = (0, 2000)
"""Cycles that may lie between two operators: none if everything is overlapped, some thousand if chips resynchronise."""


def rows() -> tuple[Row, ...]:
    """All cases, computed anew."""
    return tuple(row(case) for case in CASES)


def fitted_turnaround() -> int:
    """Cycles between operators at which the fit row comes out as published: the time is linear in them."""
    case = next(case for case in CASES if case.role == "fit")
    low, high = PLAUSIBLE
    least, most = (1 / row(case, {"timing.turnaround": cycles}).ours for cycles in PLAUSIBLE)
    return round(low + (1 / case.published - least) / (most - least) * (high - low))
