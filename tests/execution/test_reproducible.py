"""The same logits, bit by bit, over runs, threads, processors and libraries of matrix products."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.execution import digests

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).parent / "data" / "digests.json"

ONE, TWO = (
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), number) for number in ("1", "2")
)
SETTINGS = (
    TWO | {"OPENBLAS_CORETYPE": "Haswell"},
    ONE | {"OPENBLAS_CORETYPE": "Sandybridge", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    TWO | {"ACCELSIM_NUMBA": "0"},
    ONE,
)


@cache
def here() -> dict[str, str]:
    return digests.digests()


def there(settings: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.digests"], env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_the_same_bits_as_on_the_machine_of_this_file() -> None:
    """After a change that is meant to move bits: python -m tests.execution.digests > THE FILE."""
    assert here() == json.loads(PINNED.read_text())
    assert len(set(here().values())) == len(digests.RUNS)


@pytest.mark.long
@pytest.mark.parametrize("settings", SETTINGS, ids=["two threads", "generic", "numpy", "one thread"])
def test_the_same_bits_under_other_settings(settings: dict[str, str]) -> None:
    assert there(settings) == here()
