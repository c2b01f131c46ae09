"""Experiments as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def load():
    """Loads an experiment by the name of its file, once."""

    def load(name):
        known = f"sweeps_{name}"
        if known not in sys.modules:
            spec = importlib.util.spec_from_file_location(known, ROOT / "sweeps" / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[known] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[known])
        return sys.modules[known]

    return load
