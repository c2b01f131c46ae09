"""Published figures of IPUs beside ours, and the one constant that is fitted to one of them."""

from __future__ import annotations

from typing import Final

from accelsim.validation.published import Case, Row, row

_POPT: Final = "graphcore/PopTransformer at b5a7569, examples/{}/benchmark.md, Poplar SDK 3.2"

CASES: Final = (
    Case(
        what="GPT-2 XL, batch 1, longest sequence 264, token by token",
        model="gpt2-xl",
        on="ipu-mk2-8",
        request={"batch": 1, "prompt": 1, "generate": 264},
        figure="total_time_s",
        divide=264,
        published=1.190e-3,
        within=0.10,
        role="fit",
        source=_POPT.format("gpt2"),
    ),
    Case(
        what="ChatGLM-6B, batch 1, prompt 32, 224 generated",
        model="chatglm-6b",
        on="ipu-mk2-32",
        request={"batch": 1, "prompt": 32, "generate": 224},
        figure="total_time_s",
        divide=224,
        published=3.205e-3,
        within=0.15,
        role="predict",
        source=_POPT.format("chatglm"),
    ),
)
"""Every figure of a language model on IPUs that this project has a source for."""

PLAUSIBLE: Final = (100, 1000)
"""Cycles that a superstep may cost: a synchronisation takes about a hundred, and nobody reports a thousand."""


def rows() -> tuple[Row, ...]:
    """All cases, computed anew."""
    return tuple(row(case) for case in CASES)


def fitted_superstep() -> int:
    """Cycles of a superstep at which the fit row comes out nearest to what is published, by bisection."""
    case = next(case for case in CASES if case.role == "fit")
    low, high = PLAUSIBLE
    while high - low > 1:
        middle = (low + high) // 2
        if row(case, {"timing.superstep": float(middle)}).error < 0:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda cycles: abs(row(case, {"timing.superstep": float(cycles)}).error))
