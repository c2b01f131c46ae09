"""The same bits whatever the processor's features, the number of threads, and with or without numba."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, warnings
warnings.simplefilter("ignore")
import numpy as np
from accelsim.formats import dataformat
random = np.random.default_rng(3)
x = random.standard_normal((40, 130)) * 2.0 ** random.integers(-6, 7, (40, 130))
y = random.standard_normal((130, 50)) * 2.0 ** random.integers(-6, 7, (130, 50))
digest = hashlib.sha256()
for name, accumulators in {
    "fp8_e4m3": ("exact", "fp32", "fp16", "fp16-tree16", "e8m13-truncate", "hopper-fp8", "cdna3-fp8"),
    "bf16": ("exact", "fp32", "e8m9-truncate", "bf16-lanes16", "bf16-fma", "ampere-bf16", "ipu-amp"),
    "fp32": ("exact", "fp32", "fp32-fma"), "posit8": ("quire8",), "int8": ("int32",), "mxfp4": ("exact", "fp16"),
}.items():
    f = dataformat(name)
    for accumulator in accumulators:
        digest.update(f.matmul(x, y, accumulator=accumulator).values.tobytes())
    if not f.record.scaled:
        digest.update(np.asarray(f.fma(x[:, :50], y[:40], x[:, 50:100])).tobytes())
print(digest.hexdigest())
"""


@cache
def digest(**settings: str) -> str:
    environment = {**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize(
    "settings",
    [
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Sandybridge"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"OPENBLAS_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"},
        {"ACCELSIM_NUMBA": "0"},
    ],
    ids=lambda settings: "-".join(settings.values())[:24],
)
def test_the_same_bits_everywhere(settings: dict[str, str]) -> None:
    assert digest(**settings) == digest(OPENBLAS_NUM_THREADS="1")
