"""Dataflow chips and FPGA overlays: CPU seconds of the configurations whose results are published, in event mode."""

from __future__ import annotations

from typing import Any, Final

from accelsim.simulation import simulate
from benchmarks.row import Row, cpu_seconds

PUBLISHED: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("llama-2-70b", "groq-lpu-576", {"prompt": 4095, "generate": 2}),
    ("gpt2-xl", "ipu-mk2-8", {"prompt": 1, "generate": 264}),
    ("chatglm-6b", "ipu-mk2-32", {"prompt": 32, "generate": 224}),
    ("gpt2-345m", "dfx-u280-1", {"prompt": 32, "generate": 32}),
    ("gpt2-1.5b-dfx", "dfx-u280-4", {"prompt": 64, "generate": 256}),
    ("llama-2-7b", "flightllm-u280", {"prompt": 128, "generate": 512}),
)


def seconds(model: str, on: str, **request: Any) -> float:
    """CPU time of one run that took place."""
    run = simulate(model, on, **request)
    assert run.ok, run.infeasible
    return cpu_seconds(lambda: simulate(model, on, **request))


def main() -> list[Row]:
    rows = [Row(f"{model} on {on}", seconds(model, on, **request), "s CPU", 2.0) for model, on, request in PUBLISHED]
    few, many = (seconds("gpt2-xl", on, prompt=64, generate=64) for on in ("groq-lpu-8", "groq-lpu-576"))
    return [*rows, Row("gpt2-xl, 576 chips / 8 chips", many / few, "x", 3.0)]
