"""Event mode: CPU seconds and SimPy events of whole generations, after import and with a warm catalogue."""

from __future__ import annotations

import sys

from accelsim.simulation import simulate
from benchmarks.row import Row, cpu_seconds

HUGE = {"memory.capacity": "2 TB"}


def main() -> list[Row]:
    warm = simulate("gpt2", "h100-sxm", prompt=16, generate=2)
    assert warm.ok
    short = simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=128)
    seven = cpu_seconds(lambda: simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=128))
    long = cpu_seconds(lambda: simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=4096), repeats=1)
    large = cpu_seconds(lambda: simulate("llama-3.1-405b", "h100-sxm", prompt=2048, generate=128, overrides=HUGE))
    unfolded = simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=4, fold=False)
    folded = simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=4)
    return [
        Row("llama-2-7b, 2,048 in, 128 out", seven, "s CPU", 0.5),
        Row("llama-2-7b, 2,048 in, 128 out", short.summary["events"], "events", 60_000),
        Row("llama-2-7b, 2,048 in, 4,096 out", long, "s CPU", 10.0),
        Row("llama-3.1-405b / llama-2-7b, 128 out", large / seven, "x", 2.0),
        Row("events without folding / with, 4 out", unfolded.summary["events"] / folded.summary["events"], "x"),
        Row("pandas imported", float("pandas" in sys.modules), "0 or 1", 0),
    ]
