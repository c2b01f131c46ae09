"""Stubs that worker processes import by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from accelsim.explore.sweep import Sweep

STUBS = Path(__file__).parent / "stubs"


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(STUBS))
    sys.modules.pop("sweep_stub", None)
    import sweep_stub

    return sweep_stub


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sweeps of one decode step of GPT-2 in closed form, in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def make(axes, **more) -> Sweep:
        fixed = {"model": "gpt2", "chip": "h100-sxm", "fidelity": "roofline", "generate": 2, "prompt": 64}
        fixed |= more.pop("fixed", {})
        names = {"system": "chip", "on": "chip"}
        fixed = {key: value for key, value in fixed.items() if key not in {names.get(axis, axis) for axis in axes}}
        return Sweep(axes, fixed=fixed, **more)

    return make
