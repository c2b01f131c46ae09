"""Matrix products of 1024 x 1024 x 1024 with stated accumulators, as ratios to float32 BLAS of the same size.

One thread; operands are decoded before the clock starts, as those of BLAS are.
"""

from __future__ import annotations

import numpy as np

from accelsim.formats import dataformat
from accelsim.numerics import arithmetic
from benchmarks.row import Row, cpu_seconds

SIZE = 1024
TARGETS = (
    ("fp8_e4m3", "exact", 0.4),
    ("fp6_e3m2", "exact", 0.4),
    ("fp6_e2m3", "exact", 0.4),
    ("fp4_e2m1", "exact", 0.4),
    ("int8", "exact", 0.4),
    ("fp8_e5m2", "exact", None),
    ("bf16", "exact", None),
    ("fp8_e4m3", "fp32", 0.35),
    ("fp8_e4m3", "e8m13-truncate", 0.35),
    ("fp8_e4m3", "fp16", None),
    ("fp8_e4m3", "hopper-fp8", 0.12),
    ("bf16", "hopper-bf16", None),
    ("posit8", "quire8", 0.03),
)


def main() -> list[Row]:
    random = np.random.default_rng(0)
    x, y = (random.standard_normal((SIZE, SIZE)).astype(np.float32) for _ in range(2))
    blas = cpu_seconds(lambda: x @ y)
    rows = [Row("float32 BLAS", SIZE**3 / blas / 1e9, "G MAC/s")]
    for name, accumulator, target in TARGETS:
        form = dataformat(name)
        a, b = (arithmetic.operand(32 * v, form, axis) for v, axis in ((x, -1), (y, -2)))
        arithmetic.matmul(a, b, accumulator=accumulator)  # compiles
        seconds = cpu_seconds(lambda a=a, b=b, how=accumulator: arithmetic.matmul(a, b, accumulator=how))
        rows.append(Row(f"{name}, {accumulator}", blas / seconds, "of BLAS", target, "higher"))
    return rows
