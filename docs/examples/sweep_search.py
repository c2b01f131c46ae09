"""A search through 17,550 chips beside the H100, and the best of it confirmed event by event.

Covers: accelsim.explore.search, accelsim.explore.screening.
"""

import os
import tempfile

import accelsim
from accelsim.explore.screening import screen

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    sweep = accelsim.Sweep.read("h100_neighbours")
    found = screen(sweep, trials=100, sampler="nsga2", seed=0, confirm=6, workers=1)
    print(f"{found.found.space:,} designs, {len(found.found.trials)} trials, {len(found.found.front)} on the front")
    for objective, says in found.agreement.items():
        print(
            f"{objective}: rank correlation {says['rank_correlation']:.2f}, {says['changed']:.0%} of pairs turned, "
            f"regret {says['regret']:.1%}"
        )
    print(f"{found.changed} of {len(found.confirmed)} are on the front of closed form or of events alone\n")
    axes = ["sm.count", "memory.stacks", "clock.sm.frequency", "batch", "weights"]
    figures = ["time_per_output_token_s_roofline", "time_per_output_token_s_event", "energy_per_token_j_event"]
    table = found.frame[[*axes, *figures]].sort_values("time_per_output_token_s_event")
    table.columns = ["SMs", "stacks", "Hz", "batch", "weights", "closed form", "events", "J/token"]
    print(table.to_string(index=False, float_format="{:.4g}".format))
    os.chdir("/")
