"""The same bits whatever the processor's features, the BLAS, the number of threads, and with or without numba."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy._core import _multiarray_umath as numpy_core

from accelsim.numerics import functions
from accelsim.numerics.accumulator import presets
from accelsim.numerics.fast import arithmetic_kernels as kernels
from tests.numerics import digests

FMA = re.compile(r"\bv?f(?:n?m(?:add|sub|la|ls))\w*")
OLD = ("X86_V3", "X86_V4", "AVX2", "FMA3", "AVX512")
"""What processors without AVX2 lack, in the names of numpy before and after 2.4."""


def without_avx2() -> str:
    """Features that this numpy has code for and this processor has: numpy warns of others."""
    able = numpy_core.__cpu_features__
    return " ".join(name for name in numpy_core.__cpu_dispatch__ if able.get(name) and name.startswith(OLD))


BLAS = ({}, {"OPENBLAS_CORETYPE": "Haswell"}, {"OPENBLAS_CORETYPE": "Sandybridge"})
NUMPY = ({}, {"NPY_DISABLE_CPU_FEATURES": without_avx2()})
KERNELS = ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, {"ACCELSIM_NUMBA": "0"})
THREADS = tuple(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), n) for n in ("1", "2"))

FEW = (
    BLAS[1] | THREADS[1],
    BLAS[2] | KERNELS[1] | THREADS[0],
    NUMPY[1] | THREADS[0],
    BLAS[1] | NUMPY[1] | KERNELS[2] | THREADS[1],
)
"""Every setting at least once."""


def told(settings: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items() if "OMP" not in key) or "as it is"


@cache
def here(amount: str) -> dict[str, str]:
    return digests.everything(whole=amount == "all")


def there(settings: dict[str, str], amount: str) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-m", "tests.numerics.digests", amount],
        env={**os.environ, **settings, "PYTHONPATH": root}, cwd=root, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def differing(settings: dict[str, str], amount: str) -> list[str]:
    want, made = here(amount), there(settings, amount)
    assert want.keys() == made.keys()
    return [name for name, digest in want.items() if made[name] != digest]


@pytest.mark.parametrize(
    "settings",
    # all kernels are compiled anew for another processor
    [pytest.param(each, marks=pytest.mark.long) if "NUMBA_CPU_NAME" in each else each for each in FEW],
    ids=told,
)
def test_the_same_bits_under_every_setting(settings: dict[str, str]) -> None:
    assert differing(settings, "some") == []


def test_the_same_bits_as_on_the_machine_of_this_file() -> None:
    """After a change that is meant to move bits: python -m tests.numerics.digests pinned > THE FILE."""
    want = json.loads((Path(__file__).parent / "data" / "digests.json").read_text())
    made = here("some")
    assert {name for name, digest in want.items() if made[name] != digest} == set()
    assert set(functions.__all__) | {f"fp8_e4m3 {name}" for name in presets() if "int" not in name} <= set(want)


@pytest.mark.long
@pytest.mark.parametrize("settings", FEW, ids=told)
def test_all_formats_under_every_setting(settings: dict[str, str]) -> None:
    assert differing(settings, "all") == []


@pytest.mark.long
@pytest.mark.parametrize("settings", list(itertools.product(BLAS, NUMPY, KERNELS, THREADS)))
def test_the_same_bits_under_every_combination(settings: tuple[dict[str, str], ...]) -> None:
    together = {key: value for part in settings for key, value in part.items()}
    assert differing(together, "some") == []


def test_settings_do_something() -> None:
    """A numpy without AVX2, and no numba at all, are what the settings ask for."""
    code = (
        "import sys, numpy as np\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as able\n"
        "from accelsim import dataformat\n"
        "dataformat('bf16').matmul(np.ones((2, 2)), np.ones((2, 2)), accumulator='fp32')\n"
        "print(any(able.get(name) for name in sys.argv[1].split()), 'numba' in sys.modules)"
    )
    settings = NUMPY[1] | KERNELS[2]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, without_avx2()],
        env={**os.environ, **settings, "PYTHONPATH": root}, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]


def test_kernels_contract_nothing() -> None:
    """No fused multiply-add among the instructions, though this processor may have some: each rounds once too few."""
    numba = pytest.importorskip("numba")
    a, b, sums = (np.ones((4, 4), dtype=np.float32) for _ in range(3))
    plain, fused, allowed = (
        numba.njit(kernels.plain32),
        numba.njit(kernels.fused),
        numba.njit(_contracted, fastmath=True),
    )
    plain(a, b, sums)
    fused(a, a.astype(np.int16), b, b.astype(np.int16), sums.astype(np.float64), 4, 13, 13, -126, 127, 0, -126)
    allowed(a[0], b[0], sums[0])
    counts = [len(FMA.findall("".join(one.inspect_asm().values()))) for one in (plain, fused, allowed)]
    assert counts[:2] == [0, 0]
    if numpy_core.__cpu_features__.get("FMA3") and "NUMBA_CPU_NAME" not in os.environ:
        assert counts[2] > 0  # the pattern finds what it looks for


def _contracted(x, y, z):
    for i in range(len(x)):
        z[i] = x[i] * y[i] + z[i]


def test_digests_see_a_single_bit() -> None:
    x = digests.inputs(1, 4, 4)
    y = x.copy()
    y[3, 3] = x[3, 3] * (1 + 2.0**-52)
    assert digests.digest(x) != digests.digest(y)
