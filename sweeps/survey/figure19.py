"""Figure 19: throughput, latency and memory of decoding with Llama-2-13B on an A6000, by batch.

Varied: batch 1 to 127, length 256 to 2,048. Held fixed: weights, activations and cache in 8 bits (the survey does not
say so, its notebook does), the tool's own way of counting. Throughput rises steeply at first and then bends towards
what the reading of caches allows; latency and memory rise along lines. The axis of the survey's third panel says
"Sequence length" and shows the batch.

    python sweeps/survey/figure19.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

LENGTHS = (256, 512, 1024, 2048)
BATCHES = tuple(range(1, 128))
READ = {256: (3580, 0.0355, 26), 512: (2400, 0.053, 39), 1024: (1440, 0.0885, 66), 2048: (800, 0.159, 119)}
"""Tokens per second, seconds and GB at batch 127, read off to 40, 0.001 and 1."""
PANELS = {
    "tokens_per_s": ("throughput, tokens/s", 1.0),
    "time_s": ("latency of a step, ms", 1e3),
    "memory_bytes": ("memory, GB", 1e-9),
}


def frame() -> pd.DataFrame:
    """A row per length and batch."""
    rows = []
    for length in LENGTHS:
        for batch in BATCHES:
            run = experiment.viewer("llama-2-13b", bits=(8, 8, 8), batch=batch, prompt=length)
            rows.append(
                {
                    "length": length,
                    "batch": batch,
                    "tokens_per_s": run.summary["decode_tokens_per_s"],
                    "time_s": run.summary["decode_time_s"],
                    "memory_bytes": experiment.phase(run, "decode")["peak_bytes"],
                    "capacity_bytes": run.summary["memory_capacity_bytes"],
                }
            )
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Ends of the lines, where memory runs out, and how throughput bends."""
    rows = found.set_index(["length", "batch"])
    where, text = "figure 19, lines (plot_serving.ipynb)", "section 5.3: batches raise throughput, latency and memory"
    result = []
    for length, (rate, time_s, gigabytes) in READ.items():
        row = rows.loc[(length, 127)]
        head = f"length {length:,}, batch 127"
        result += [
            experiment.within(f"{head}: tokens/s", row["tokens_per_s"], rate - 40, rate + 40, "read-off", where),
            experiment.within(f"{head}: s", row["time_s"], time_s - 1e-3, time_s + 1e-3, "read-off", where),
            experiment.within(
                f"{head}: GB", row["memory_bytes"] / 1e9, gigabytes - 1, gigabytes + 1, "read-off", where
            ),
        ]
    for length, low, high in ((1024, 80, 86), (2048, 39, 44)):
        mine = found[found["length"] == length]
        full = experiment.first(
            (row["batch"], row["memory_bytes"] > row["capacity_bytes"]) for row in mine.to_dict("records")
        )
        result.append(
            experiment.within(f"length {length:,}: batch that no longer fits", full, low, high, "turn", where)
        )
    for length in LENGTHS:
        rate = rows.loc[length]["tokens_per_s"]
        early, late = rate[8] / rate[1], rate[127] / rate[64]
        head = f"length {length:,}: throughput"
        result.append(experiment.within(f"{head}, batch 8 / batch 1", early, 4.5, 8, "turn", text))
        result.append(experiment.within(f"{head}, batch 127 / batch 64", late, 1, 1.5, "turn", text))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """Three panels over the batch."""
    title = "Figure 19 of the survey: serving Llama-2-13B in 8 bits on A6000"
    with experiment.drawn(title, (1000, 900)) as made:
        for axes, (column, (label, factor)) in zip(made.subplots(3, 1, sharex=True), PANELS.items(), strict=True):
            for length in LENGTHS:
                rows = found[found["length"] == length]
                axes.plot(rows["batch"], rows[column] * factor, lw=2, label=f"length {length:,}")
            axes.set_ylabel(label)
            axes.set_ylim(0, None)
            if column == "memory_bytes":
                axes.axhline(found["capacity_bytes"].iloc[0] / 1e9, color="black", ls="--", label="what the card has")
                axes.set_xlabel("batch, sequences")
            axes.legend(loc="upper left", ncols=2)
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
