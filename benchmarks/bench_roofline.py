"""Whole-model roofline evaluations per second of CPU: prefill and one decode step, all operators, energy and memory."""

from __future__ import annotations

import numpy as np

from accelsim import catalog
from accelsim.evaluate.points import evaluate_points
from accelsim.simulation import simulate
from benchmarks.row import Row, cpu_seconds

POINTS = 100_000
LLM_VIEWER_PER_S = 6_100
"""LLM-Viewer at 472f71f in plain Python, one evaluation of both stages; shared research notes, section 2.3."""


def points(count: int, seed: int = 0) -> dict[str, object]:
    """Design points that vary chip figures, batch, lengths and formats together."""
    random = np.random.default_rng(seed)
    return {
        "batch": random.integers(1, 65, count),
        "prompt": random.integers(1, 4096, count),
        "generate": 2,
        "weights": random.choice(["bf16", "fp8_e4m3", "int4_g128", "mxfp4"], count).tolist(),
        "kv_cache": random.choice(["bf16", "fp8_e4m3"], count).tolist(),
        "memory.bandwidth": random.uniform(1e12, 8e12, count),
        "sm.count": random.integers(50, 200, count).astype(float),
        "clock.sm.frequency": random.uniform(1e9, 2e9, count),
    }


def main() -> list[Row]:
    model, chip = catalog.model("llama-2-7b"), catalog.chip("h100-sxm")
    some, many = points(1_000), points(POINTS)
    evaluate_points(model, chip, some)
    rate = POINTS / cpu_seconds(lambda: evaluate_points(model, chip, many))
    single = cpu_seconds(lambda: simulate(model, chip, generate=2, fidelity="roofline"))
    return [
        Row("roofline, 100,000 points at once", rate, "evaluations/s", 100_000, "higher"),
        Row("the same against LLM-Viewer's 6,100/s", rate / LLM_VIEWER_PER_S, "x"),
        Row("roofline, one simulate() call", single * 1e3, "ms CPU"),
        Row("points at once / one by one", rate * single, "x"),
    ]
