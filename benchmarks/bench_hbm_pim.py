"""HBM-PIM: CPU seconds of single kernels in a process that has run one before, and commands per second of both ways."""

from __future__ import annotations

from accelsim import catalog, simulate_operator
from accelsim.timing.hbm_pim import stream
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.kernel import serve
from accelsim.timing.hbm_pim.rules import rules_of
from benchmarks.decode import step
from benchmarks.row import Row, cpu_seconds

PEER_S = 1.7  # SAITPublic/PIMSimulator at b464dde, 4096 x 4096 on 64 pseudo-channels, a quiet core


def main() -> list[Row]:
    def gemv(n: int, k: int, m: int = 1) -> None:
        assert simulate_operator("matmul", m=m, n=n, k=k, on="hbm-pim-64pch").summary["cycles"] > 0

    gemv(4096, 4096)
    square = cpu_seconds(lambda: gemv(4096, 4096), repeats=20)
    large = cpu_seconds(lambda: gemv(12288, 12288))
    decode = step("hbm-pim-64pch")
    for _ in range(2):  # the first starts do without numba
        decode()
    carried = cpu_seconds(decode, repeats=5)
    part = catalog.chip("hbm-pim")
    rules = rules_of(part)
    made = stream.gemv(part, 448, 12288, 1)
    serve(Channel.fresh(rules), made, rules, "exact")
    exact = cpu_seconds(lambda: serve(Channel.fresh(rules), made, rules, "exact"))
    runs = cpu_seconds(lambda: serve(Channel.fresh(rules), made, rules))
    commands = sum(serve(Channel.fresh(rules), made, rules).counts[:5])
    return [
        Row("GEMV 4096 x 4096, 64 pseudo-channels, warm", square, "s CPU", 0.002),
        Row("public simulator / this, the same GEMV", PEER_S / square, "x", 850, "higher"),
        Row("GEMV 12288 x 12288, 64 pseudo-channels, warm", large, "s CPU"),
        Row("decode step of Llama-2-7B, 64 pseudo-channels, refresh carried, warm", carried, "s CPU", 0.3),
        Row("commands, cycle by cycle", commands / exact, "commands/s"),
        Row("commands, run by run", commands / runs, "commands/s"),
    ]
