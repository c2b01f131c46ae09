"""Figure 11: what memory decoding with Llama-2-13B takes at up to 200,000 tokens, by quantisation.

Varied: length of the context; bits of weights, activations and KV cache. Held fixed: batch 1, the tool's own way of
counting. The survey prints the picture and no list of its series: those here are the ones of its figure 7, and W4KV2
for KIVI's two bits, which the same passage cites. Each series is a straight line, and held as one: at 1,024 tokens
against the survey's tool, run for it, and by the slope that its bits give. Weights are a constant, the cache a slope,
and beyond some length the cache is most of it.

    python sweeps/survey/figure11.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

SERIES = {"FP16": (16, 16, 16), "W4": (4, 16, 16), "W4KV4": (4, 16, 4), "W4A4": (4, 4, 4), "W4KV2": (4, 16, 2)}
LENGTHS = (1024, *range(5000, 200_001, 5000))
FINE = range(30_000, 32_001, 250)
TOOL = {"FP16": 26_214_711_296, "W4": 7_183_056_896, "W4KV4": 6_553_911_296, "W4A4": 6_553_677_824}
"""Bytes at 1,024 tokens by the survey's tool; that of two bits for the cache alone was not run."""


def frame() -> pd.DataFrame:
    """A row per series and length."""
    rows = []
    for name, bits in SERIES.items():
        for length in sorted({*LENGTHS, *FINE}):
            run = experiment.viewer("llama-2-13b", bits=bits, batch=1, prompt=length)
            memory = experiment.phase(run, "decode")
            rows.append(
                {
                    "series": name,
                    "length": length,
                    "weights_bytes": memory["weights_bytes"],
                    "kv_cache_bytes": memory["kv_cache_bytes"],
                    "activations_bytes": memory["activations_bytes"],
                    "bytes": memory["peak_bytes"],
                }
            )
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """The text's claim about 50,000 tokens, the slope, and where the cache overtakes the weights."""
    rows = found.set_index(["series", "length"])
    claim = "section 3.1.2: above 50k, most is cache, and quantising it saves much"
    formula = "2 tensors x 40 layers x 5,120 wide, in its bits"
    full = rows.loc["FP16"]
    result = [
        experiment.near("weights, FP16, GB", full["weights_bytes"].iloc[0] / 1e9, 26, 0.03, "stated", "section 3.1.1"),
    ]
    for name, published in TOOL.items():
        ours = rows.loc[(name, 1024), "bytes"] / 1e9
        what = f"{name}, 1,024 tokens, GB"
        result.append(experiment.near(what, ours, published / 1e9, 1e-9, "stated", "the tool run for it, 472f71f"))
    for name, (_, _, bits) in SERIES.items():
        line = rows.loc[name]["kv_cache_bytes"]
        ours = (line[200_000] - line[50_000]) / 150_000
        what = f"{name}: cache of a token, B"
        result.append(experiment.near(what, ours, 2 * 40 * 5120 * bits / 8, 1e-9, "stated", formula))
    for name in ("FP16", "W4"):
        row = rows.loc[(name, 50_000)]
        ours = row["kv_cache_bytes"] / row["bytes"]
        result.append(experiment.within(f"{name}, 50k tokens: share of the cache", ours, 0.5, 1, "stated", claim))
    ours = rows.loc[("W4KV4", 200_000), "bytes"] / rows.loc[("W4", 200_000), "bytes"]
    result.append(experiment.within("200k tokens: W4KV4 / W4", ours, 0.25, 0.4, "stated", claim))
    over = experiment.first((n, row["kv_cache_bytes"] > row["weights_bytes"]) for n, row in full.iterrows())
    result.append(experiment.within("FP16: length at which cache passes weights", over, 5_000, 50_000, "turn", claim))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """A line per series, and twice the weights of the 16-bit model."""
    with experiment.drawn("Figure 11 of the survey: memory of decoding with Llama-2-13B, batch 1") as made:
        axes = made.subplots()
        for name in SERIES:
            rows = found[found["series"] == name]
            axes.plot(rows["length"] / 1e3, rows["bytes"] / 1e9, lw=2, label=name, ls="--" if name == "W4A4" else "-")
        weights = found["weights_bytes"].max() / 1e9
        axes.axhline(2 * weights, color="#888888", lw=1, ls=":")
        axes.text(199, 2 * weights + 1.5, "twice the 16-bit weights: FP16's cache passes them", ha="right", fontsize=9)
        axes.set_xlabel("length, thousands of tokens")
        axes.set_ylabel("memory, GB")
        axes.set_xlim(0, 200)
        axes.set_ylim(0, None)
        axes.legend(loc="upper left")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
