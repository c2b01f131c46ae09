"""Runs to draw."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from accelsim import Run, simulate, simulate_operator

MAKE: dict[str, Callable[[], Run]] = {
    "event": lambda: simulate("llama-2-7b", "h100-sxm", prompt=512, generate=4),
    "unfolded": lambda: simulate("gpt2-xl", "h100-sxm", prompt=128, generate=3, fold=False),
    "two pairs": lambda: simulate(
        "llama-3-8b", "h100-sxm", prompt=256, generate=3, weights="fp8_e4m3", activations="fp8_e4m3"
    ),
    "experts": lambda: simulate("mixtral-8x7b", "mi300x", prompt=64, generate=2),
    "unfused": lambda: simulate("llama-2-7b", "h100-sxm", prompt=512, generate=2, fuse=False),
    "encoder": lambda: simulate("bert-base", "a40", prompt=128),
    "operator": lambda: simulate_operator("add", elements=1 << 20, on="a40"),
    "roofline": lambda: simulate("llama-2-7b", "h100-sxm", prompt=512, generate=4, fidelity="roofline"),
    "llm-viewer": lambda: simulate(
        "llama-2-7b", "llm-viewer-a6000", fidelity="roofline", convention="llm-viewer", generate=2
    ),
    "infeasible": lambda: simulate("llama-2-70b", "h100-sxm"),
}
made = cache(lambda name: MAKE[name]())
drawn = cache(lambda what, name: getattr(made(name).plot, what)())


@pytest.fixture(scope="session")
def runs() -> Any:
    """Name -> run, made when it is first asked for."""
    return made


@pytest.fixture(scope="session")
def pictures() -> Any:
    """(picture, name) -> figure, drawn when it is first asked for; tests only look at it."""
    return drawn
