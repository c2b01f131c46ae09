"""Adder trees and lanes, compiled: the same bits as without numba."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.numerics.arithmetic import matmul
from accelsim.numerics.arithmetic.operand import Operand

NAMES = (
    "dfx-fp16", "aim-bf16", "hbm-pim-fp16", "fp16-tree", "bf16-tree7", "bf16-lanes3", "fp16-lanes1", "bf16-fma-tree5",
    "fp16-fma-lanes6",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e-4])
def test_compiled_trees_give_the_same_bits(name: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums overflow fp16 at the second scale and are subnormal at the third."""
    random = np.random.default_rng(0)
    for k in (1, 5, 64, 100):
        a, b = (random.normal(size=shape) * scale for shape in ((9, k), (k, 150)))
        a, b = (x.astype(np.float16 if k < 100 else np.float32).astype(np.float64) for x in (a, b))
        start = random.normal(size=(9, 150)) if k == 5 else None
        found = []
        for compiled in ("0", "1"):
            monkeypatch.setenv("ACCELSIM_NUMBA", compiled)
            found.append(matmul(Operand(a), Operand(b), accumulator=name, c=start).values)
        assert found[0].tobytes() == found[1].tobytes()
