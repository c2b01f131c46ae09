"""Figure 8: how long a decode step of Llama-2-13B takes, by bits of a weight and batch.

Varied: 16 to 1 bits, batch 1 to 63. Held fixed: 1,024 positions in the cache, activations and cache in 16 bits, A6000,
the tool's own way of counting. At batch 1 time goes with the bits; at large batches the projections are bound by
compute and fewer bits gain nothing, first from 2 to 1 bits, then from 4 to 2.

    python sweeps/survey/figure08.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

BITS = (16, 8, 4, 2, 1)
BATCHES = tuple(range(1, 64))
READ = {(16, 63): 0.1045, (8, 63): 0.088, (4, 63): 0.081, (1, 63): 0.081, (8, 1): 0.018, (1, 1): 0.003}
"""Seconds at (bits, batch), read off to 0.001."""


def frame() -> pd.DataFrame:
    """A row per width and batch."""
    rows = []
    for bits in BITS:
        for batch in BATCHES:
            run = experiment.viewer("llama-2-13b", bits=(bits, 16, 16), batch=batch, prompt=1024)
            up = experiment.operators(run, "decode")["up_proj"]
            time_s = run.summary["decode_time_s"]
            rows.append({"weight_bits": bits, "batch": batch, "time_s": time_s, "up_proj_bound": up["bound"]})
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """The tool's own figures, points of the picture, and where lines meet."""
    time = found.pivot_table(index="batch", columns="weight_bits", values="time_s")
    where, tool = "figure 8, lines (plot_inference_time.ipynb)", "the tool run for it, 472f71f"
    result = [
        experiment.near("FP16, batch 1, ms", time.loc[1, 16] * 1e3, 34.5943, 1e-5, "table", tool),
        experiment.near("W4, batch 16, ms", time.loc[16, 4] * 1e3, 26.3903, 1e-5, "table", tool),
        experiment.near("W1, batch 1, ms", time.loc[1, 1] * 1e3, 3.2183, 1e-4, "table", tool),
    ]
    for (bits, batch), seconds in READ.items():
        what = f"W{bits}, batch {batch}, s"
        result.append(experiment.within(what, time.loc[batch, bits], seconds - 1e-3, seconds + 1e-3, "read-off", where))
    text = "section 3.1.1: at a large batch, 2 or 1 bits are not faster than 4"
    result.append(experiment.within("batch 63: W4 / W1", time.loc[63, 4] / time.loc[63, 1], 1, 1.02, "stated", text))
    result.append(experiment.within("batch 1: W4 / W1", time.loc[1, 4] / time.loc[1, 1], 2.5, 4, "turn", text))
    met = {bits: experiment.first((b, time.loc[b, bits] < 1.01 * time.loc[b, 1]) for b in BATCHES) for bits in (2, 4)}
    result.append(experiment.within("batch from which W2 is W1 within 1 %", met[2], 20, 35, "turn", where))
    result.append(experiment.within("batch from which W4 is W1 within 1 %", met[4], 50, 63, "turn", where))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """A line per width."""
    return lines(found, "batch", "Figure 8 of the survey: decode step of Llama-2-13B, length 1,024, on A6000")


def lines(found: pd.DataFrame, axis: str, title: str) -> Figure:
    """Time by weight bits along an axis."""
    with experiment.drawn(title) as made:
        axes = made.subplots()
        for bits in BITS:
            rows = found[found["weight_bits"] == bits]
            axes.plot(rows[axis], rows["time_s"] * 1e3, label="FP16" if bits == 16 else f"W{bits}", lw=2)
        axes.set_xlabel({"batch": "batch, sequences", "length": "length, tokens"}[axis])
        axes.set_ylabel("time, ms")
        axes.set_ylim(0, None)
        axes.legend()
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
