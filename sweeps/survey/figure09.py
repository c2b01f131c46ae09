"""Figure 9: how long the prefill of Llama-2-13B takes, by bits of a weight and length of the prompt.

Varied: 16 to 1 bits, length 16 to 1,024. Held fixed: batch 1, activations and cache in 16 bits, A6000, the tool's own
way of counting. A short prompt is bound by the reading of weights, whose bits then set the time; from the length at
which the projections are bound by compute on, all lines are one.

    python sweeps/survey/figure09.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import figure08
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

LENGTHS = tuple(sorted({*(round(n) for n in np.geomspace(16, 1024, 60)), 64, 213, 214, 215}))


def frame() -> pd.DataFrame:
    """A row per width and length."""
    rows = []
    for bits in figure08.BITS:
        for length in LENGTHS:
            run = experiment.viewer("llama-2-13b", bits=(bits, 16, 16), batch=1, prompt=length)
            work = experiment.operators(run, "prefill")
            bounds = {f"{name}_bound": work[name]["bound"] for name in ("q_proj", "up_proj")}
            rows.append({"weight_bits": bits, "length": length, "time_s": run.summary["prefill_time_s"]} | bounds)
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """The tool's own figures, points of the picture, and where lines join."""
    time = found.pivot_table(index="length", columns="weight_bits", values="time_s")
    where, tool = "figure 9, lines (plot_inference_time.ipynb)", "the tool run for it, 472f71f"
    flips = found[found["weight_bits"] == 16].set_index("length")["up_proj_bound"] == "compute"
    joined = {
        bits: experiment.first((n, time.loc[n, bits] < 1.01 * time.loc[n, 1]) for n in LENGTHS) for bits in (16, 8, 4)
    }
    return [
        experiment.near("FP16, length 1,024, ms", time.loc[1024, 16] * 1e3, 193.9122, 1e-5, "table", tool),
        experiment.near("FP16, length 64, ms", time.loc[64, 16] * 1e3, 34.7000, 1e-5, "table", tool),
        experiment.within("FP16, length 16, s", time.loc[16, 16], 0.033, 0.035, "read-off", where),
        experiment.within("W8, length 16, s", time.loc[16, 8], 0.016, 0.018, "read-off", where),
        experiment.within("FP16, length 1,024, s", time.loc[1024, 16], 0.192, 0.196, "read-off", where),
        experiment.within(
            "length at which up_proj turns to compute in FP16", experiment.first(flips.items()), 205, 225, "turn", where
        ),
        experiment.within("length from which FP16 is W1 within 1 %", joined[16], 190, 240, "turn", where),
        experiment.within("length from which W8 is W1 within 1 %", joined[8], 95, 125, "turn", where),
        experiment.within("length from which W4 is W1 within 1 %", joined[4], 45, 65, "turn", where),
    ]


def picture(found: pd.DataFrame) -> Figure:
    """A line per width, along lengths in powers of two."""
    title = "Figure 9 of the survey: prefill of Llama-2-13B, batch 1, on A6000"
    made = figure08.lines(found, "length", title)
    axes = made.axes[0]
    axes.set_xscale("log", base=2)
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
