"""GDDR6-AiM: CPU seconds of single kernels in a process that has run one before, and commands per second."""

from __future__ import annotations

from accelsim import catalog, simulate_operator
from accelsim.mapping.pim.aim import matmul
from accelsim.spec.aim import AimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.aim.machine import run
from benchmarks.decode import step
from benchmarks.row import Row, cpu_seconds

PEER_S = 0.09  # arkhadem/aim_simulator at 0f28a07: 9,665 cycles of 32 channels at 0.106 M cycles/s, a quiet core


def main() -> list[Row]:
    def gemv(n: int, k: int, scope: str) -> None:
        assert simulate_operator("matmul", m=1, n=n, k=k, on="gddr6-aim-32ch", scope=scope).summary["cycles"] > 0

    gemv(4096, 4096, "peer")
    square, counted = (cpu_seconds(lambda s=s: gemv(4096, 4096, s), repeats=50) for s in ("peer", "physical"))
    large = cpu_seconds(lambda: gemv(16384, 16384, "peer"), repeats=10)
    decode = step("gddr6-aim-32ch")
    for _ in range(2):  # the first starts do without numba
        decode()
    carried = cpu_seconds(decode, repeats=5)
    part = catalog.chip("gddr6-aim")
    assert isinstance(part, AimPart)
    mapped = matmul(part, 32, m=1, n=16384, k=16384)
    assert not isinstance(mapped, Infeasible)
    exact = cpu_seconds(lambda: run(mapped.program, part, 32, exact=True), repeats=1)
    runs = cpu_seconds(lambda: run(mapped.program, part, 32, keep=True))
    commands = sum(run(mapped.program, part, 32).groups[0].commands.values())
    return [
        Row("GEMV 4096 x 4096, 32 channels, peer scope, warm", square, "s CPU", 0.001),
        Row("the same with refresh and activation window", counted, "s CPU", 0.001),
        Row("public simulator / this, peer scope", PEER_S / square, "x", 100, "higher"),
        Row("GEMV 16384 x 16384, warm", large, "s CPU"),
        Row("decode step of Llama-2-7B, 32 channels, refresh carried, warm", carried, "s CPU", 0.3),
        Row("commands of one channel, one by one", commands / exact, "commands/s"),
        Row("commands of one channel, run by run", commands / runs, "commands/s"),
    ]
