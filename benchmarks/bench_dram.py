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
    for name in catalog.names("dram"):
        dram = catalog.dram(name)
        for pattern, reads in (("sequential", 1.0), ("random", 1.0), ("random", 0.67)):
            addresses, writes = stream(dram, pattern, REQUESTS, reads)
            served = serve(dram, addresses, writes)
            commands = sum(served.commands.values())
            taken = cpu_seconds(lambda dram=dram, of=addresses, to=writes: serve(dram, of, to))
            what = f"{name}, {pattern}, {reads:.0%} reads, burst by burst"
            rows.append(Row(what, commands / taken, "commands/s", 2e6, "higher"))
    dram = catalog.dram("dramsim3-hbm2-8gb")
    program = [Run(tuple(("RD", bank, row) for bank in np.arange(4)), 1000) for row in range(20)]
    exact = execute(dram, program, aggregated=False)
    for aggregated in (False, True):
        taken = cpu_seconds(lambda aggregated=aggregated: execute(dram, program, aggregated=aggregated))
        how = "with leaps" if aggregated else "command by command"
        rows.append(Row(f"program of 80,000 reads, {how}", sum(exact.commands.values()) / taken, "commands/s"))
    return rows
