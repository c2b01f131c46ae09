"""Who computes what when Llama-2-7B decodes beside memories that compute; docs/pim.md embeds this output.

Covers: accelsim.simulate on systems, run.operators (placement, host_time_s, pim_time_s), host alone as a baseline.
"""

import math

import accelsim
from accelsim.units import show

SYSTEMS = ("hbm-pim-64pch", "gddr6-aim-32ch", "upmem-20dimm")


def each(row: dict, column: str) -> str:
    return show(row[column] / row["count"], "s") if math.isfinite(row[column]) else "-"


for system in SYSTEMS:
    run = accelsim.simulate("llama-2-7b", system, prompt=1024, generate=2)
    alone = accelsim.simulate("llama-2-7b", system, prompt=1024, generate=2, overrides={"placement": "host"})
    beside = ", with as many ordinary parts" if accelsim.catalog.chip(system).memory == "replaces" else ""
    times = [show(r.summary["time_per_output_token_s"], "s") for r in (run, alone)]
    print(f"\n`{system}`: {times[0]} per token; its host alone{beside}: {times[1]}\n")
    print("| decode operator | by | host takes | units take | bound |")
    print("|---|---|---|---|---|")
    for row in run.rows("operators"):
        if row["phase"] == "decode" and row["kind"] in ("matmul", "attention"):
            name = row["name"].removeprefix("layers.")
            times = " | ".join(each(row, column) for column in ("host_time_s", "pim_time_s"))
            print(f"| {name} | {row['placement']} | {times} | {row['bound']} |")
