"""Shared by all tests: how many cases Hypothesis makes, and a small chip that is easy to reckon with.

Few cases and always the same by default, many with ACCELSIM_HYPOTHESIS=thorough.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from accelsim import catalog
from accelsim.spec.device import GpuChip

# One thread of linear algebra: two on a busy machine wait for each other, ten times as long. numpy is not loaded yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# No deadline: a busy machine must not fail a test that is right. Derandomized: the same commit gives the same verdict.
settings.register_profile("quick", max_examples=30, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("ACCELSIM_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session")
def tiny_chip_file() -> Path:
    """A valid chip description; every figure of it is round."""
    return Path(__file__).parent / "data" / "tiny-gpu.toml"


@pytest.fixture(scope="session")
def tiny_chip(tiny_chip_file: Path) -> GpuChip:
    """4 SMs at 1 GHz, 4.096 TFLOP/s in bf16, 100 GB/s."""
    chip = catalog.chip(tiny_chip_file)
    assert isinstance(chip, GpuChip)
    return chip
