"""Figure 7: what memory Llama-2-13B takes, relative to 16 bits, for four ways to quantise it.

Varied: bits of weights, activations and KV cache; batch and length; phase. Held fixed: A6000, the tool's own way of
counting, which leaves out embedding and lm_head. Weights rule at batch 1; the cache grows with batch and length, and
activations matter in prefill only.

    python sweeps/survey/figure07.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

SERIES = {"FP16": (16, 16, 16), "W4": (4, 16, 16), "W4KV4": (4, 16, 4), "W4A4": (4, 4, 4)}
SIZES = ((1, 1024), (1, 4096), (16, 1024))
PARTS = {"weights": "weights_bytes", "KV cache": "kv_cache_bytes", "activations": "activations_bytes"}
READ = {
    ("decode", 1, 1024): (0.275, 0.25, 0.25),
    ("decode", 1, 4096): (0.34, 0.25, 0.25),
    ("decode", 16, 1024): (0.51, 0.25, 0.25),
    ("prefill", 1, 1024): (0.29, 0.265, 0.25),
    ("prefill", 1, 4096): (0.41, 0.335, 0.25),
    ("prefill", 16, 1024): (0.57, 0.34, 0.25),
}
"""Heights of the bars of W4, W4KV4 and W4A4, read off to 0.01."""


def frame() -> pd.DataFrame:
    """A row per phase, size and series."""
    rows = []
    for batch, length in SIZES:
        for name, bits in SERIES.items():
            run = experiment.viewer("llama-2-13b", bits=bits, batch=batch, prompt=length)
            for phase in ("decode", "prefill"):
                memory = experiment.phase(run, phase)
                rows.append(
                    {"phase": phase, "batch": batch, "length": length, "series": name}
                    | {column: memory[column] for column in PARTS.values()}
                    | {"bytes": memory["peak_bytes"]}
                )
    found = pd.DataFrame(rows)
    whole = found[found["series"] == "FP16"].set_index(["phase", "batch", "length"])["bytes"]
    keys = pd.MultiIndex.from_frame(found[["phase", "batch", "length"]])
    return found.assign(relative=found["bytes"] / whole.reindex(keys).to_numpy())


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Heights of the bars, the weights in 16 bits, and which part is the largest."""
    rows = found.set_index(["phase", "batch", "length", "series"])
    where = "figure 7, height of bars (plot_memory.ipynb)"
    result = [
        experiment.near(
            "weights in 16 bits, GB (without embedding and lm_head)",
            rows.loc[("decode", 1, 1024, "FP16"), "weights_bytes"] / 1e9, 26, 0.03, "stated", "section 3.1.1, item 1",
        )
    ]  # fmt: skip
    for key, heights in READ.items():
        for name, height in zip(("W4", "W4KV4", "W4A4"), heights, strict=True):
            what = f"{key[0]}, batch {key[1]}, length {key[2]:,}: {name} / FP16"
            ours = rows.loc[(*key, name), "relative"]
            result.append(experiment.within(what, ours, height - 0.01, height + 0.01, "read-off", where))
    share = rows["activations_bytes"] / rows["bytes"]
    result.append(
        experiment.within(
            "decode: most of activations in any bar, share", share.loc["decode"].max(), 0, 0.01, "stated",
            "section 3.1.1: few, above all in decode",
        )
    )  # fmt: skip
    # 16 sequences of 1,024 tokens in 4-bit weights: the cache has overtaken them; at batch 1 it had not
    for batch, least, most in ((1, 0.0, 0.5), (16, 1.0, 4.0)):
        row = rows.loc[("decode", batch, 1024, "W4")]
        what = f"decode, W4, batch {batch}: cache / weights"
        ours = row["kv_cache_bytes"] / row["weights_bytes"]
        result.append(experiment.within(what, ours, least, most, "turn", where))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """Stacked bars, decode above prefill."""
    with experiment.drawn("Figure 7 of the survey: memory of Llama-2-13B by quantisation", (1000, 760)) as made:
        for axes, phase in zip(made.subplots(2, 1), ("decode", "prefill"), strict=True):
            ticks = []
            for group, (batch, length) in enumerate(SIZES):
                rows = found[(found["phase"] == phase) & (found["batch"] == batch) & (found["length"] == length)]
                whole = rows["bytes"].iloc[0]
                for place, row in enumerate(rows.to_dict("records")):
                    x, bottom = group * 5 + place, 0.0
                    for colour, (part, column) in zip(("#0072B2", "#E69F00", "#009E73"), PARTS.items(), strict=True):
                        label = part if x == 0 else None
                        axes.bar(x, row[column] / whole, 0.7, bottom=bottom, color=colour, label=label)
                        bottom += row[column] / whole
                    ticks.append((x, str(row["series"])))
                axes.text(group * 5 + 2.2, 0.85, f"batch {batch}\nlength {length:,}", ha="center")
            axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks], rotation=45)
            axes.set_ylabel("memory / that of FP16")
            axes.set_title(phase)
            axes.grid(axis="x", visible=False)
            axes.legend(loc="upper right", bbox_to_anchor=(1.16, 1.0))
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
