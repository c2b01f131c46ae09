"""Kernels of GPUs: GEMMs priced in bulk and alone, and a whole decode step of a 70B model on the engine."""

from __future__ import annotations

import numpy as np

from accelsim.evaluate.gemms import kernels
from accelsim.simulation import simulate
from benchmarks.row import Row, cpu_seconds

POINTS = 20_000
LARGE = {"memory.capacity": "200 GB"}


def main() -> list[Row]:
    made, draw = kernels("h100-sxm"), np.random.default_rng(0)
    m, n, k = np.rint(2 ** draw.uniform((0, 8, 8), (14, 15, 15), (POINTS, 3))).T
    made.price(m[:100], n[:100], k[:100])
    bulk = cpu_seconds(lambda: made.price(m, n, k))
    alone = cpu_seconds(lambda: [made.price(m[i : i + 1], n[i : i + 1], k[i : i + 1]) for i in range(100)])

    def run(generate: int) -> float:
        return cpu_seconds(
            lambda: simulate("llama-2-70b", "h100-sxm", prompt=2048, generate=generate, overrides=LARGE), repeats=5
        )

    run(2)
    step = run(2) - run(1)
    return [
        Row("GEMMs in bulk", POINTS / bulk, "GEMMs/s", 200_000, "higher"),
        Row("a single GEMM", alone / 100 * 1e3, "ms CPU", 2.0),
        Row("llama-2-70b, a decode step on the engine", step * 1e3, "ms CPU", 50.0),
    ]
