"""DRAM commands per second: request streams burst by burst, and command programs with and without leaps."""

from __future__ import annotations

import numpy as np

from accelsim import catalog
from accelsim.timing.dram.controller import serve
from accelsim.timing.dram.pattern import stream
from accelsim.timing.dram.program import Run, execute
from benchmarks.row import Row, cpu_seconds

REQUESTS = 200_000


def main() -> list[Row]:
    rows = []
    for name in ("dramsim3-hbm2-8gb", "dramsim3-ddr4-3200", "hbm3"):
        dram = catalog.dram(name)
        for pattern in ("sequential", "random"):
            addresses, _ = stream(dram, pattern, REQUESTS)
            served = serve(dram, addresses)
            commands = sum(served.commands.values())
            taken = cpu_seconds(lambda dram=dram, addresses=addresses: serve(dram, addresses))
            rows.append(Row(f"{name}, {pattern}, burst by burst", commands / taken, "commands/s", 2e6, "higher"))
    dram = catalog.dram("dramsim3-hbm2-8gb")
    program = [Run(tuple(("RD", bank, row) for bank in np.arange(4)), 1000) for row in range(20)]
    exact = execute(dram, program, aggregated=False)
    for aggregated in (False, True):
        taken = cpu_seconds(lambda aggregated=aggregated: execute(dram, program, aggregated=aggregated))
        how = "with leaps" if aggregated else "command by command"
        rows.append(Row(f"program of 80,000 reads, {how}", sum(exact.commands.values()) / taken, "commands/s"))
    return rows
