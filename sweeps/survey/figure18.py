"""Figure 18: weights in the memory of the host: is it better to fetch them for the GPU, or to compute where they are?

Varied: where weights lie and who computes; how many sequences decode together. Held fixed: Llama-2-13B's up_proj, 16
bits. Three lines are the survey's, of an A6000 and an i9-13900K as its tool has them: memory of the card and GPU,
memory of the host and GPU, memory of the host and CPU. Its second line has the bandwidth of the host's memory and no
link between; the fourth line here puts the card's PCIe there, with `offload="weights"` in the corrected counting.

Fetching wins for every batch in the survey's picture. With the link it loses to the CPU up to about 43 operations per
byte, and needs 4,800 instead of 1,700 to use the GPU fully.

    python sweeps/survey/figure18.py [--out FOLDER]
"""

from __future__ import annotations

import sys
from typing import Any

import experiment
import pandas as pd
from matplotlib.figure import Figure

import accelsim

BATCHES = (1, 8, 16, 32, 42, 44, 64, 128, 192, 210, 216, 256, 512, 1024, 2048, 3072, 3328, 4096, 5120)
BIG = {"memory.capacity": "1 PB"}
"""Large batches would not fit the cache of the card; the picture is about bandwidth."""
HOST = "xeon-silver-4215-2s"
CPU = "llm-viewer-i9-13900k"
DDR = "89.6 GB/s"
SERIES = {
    "card, GPU": (experiment.CARD, {}),
    "host, GPU": (experiment.CARD, {"memory.bandwidth": DDR}),
    "host, CPU": (CPU, {}),
}


def frame() -> pd.DataFrame:
    """A row per line and batch, of one layer's up_proj."""
    rows: list[dict[str, Any]] = []
    for name, (card, chip) in SERIES.items():
        for batch in BATCHES:
            run = experiment.viewer("llama-2-13b", card, batch=batch, prompt=16, overrides=chip)
            row = experiment.operators(run, "decode")["up_proj"]
            rows.append({"series": name, "batch": batch} | _rates(row, row["bytes"]))
    for batch in BATCHES:
        run = accelsim.simulate(
            "llama-2-13b", "a6000", batch=batch, prompt=16, generate=2, fidelity="roofline", fuse=False,
            weights="fp16", activations="fp16", kv_cache="fp16", offload="weights", host=HOST, overrides=BIG,
        )  # fmt: skip
        row = experiment.operators(run, "decode")["layers.mlp.up_proj"]
        # what comes over the link are weights alone: activations stay with the card
        rows.append({"series": "host over PCIe, GPU", "batch": batch} | _rates(row, row["weight_bytes"]))
    return pd.DataFrame(rows)


def _rates(row: dict[str, Any], moved: float) -> dict[str, Any]:
    return {
        "intensity_ops_per_byte": row["flops"] / moved,
        "ops_per_s": row["achieved_flops_per_s"],
        "bytes_per_s": moved / row["time_s"],
        "bound": row["bound"],
    }


def roofs(found: pd.DataFrame) -> pd.DataFrame:
    """Peak, bandwidth and turning point of each line."""
    most = found.groupby("series", sort=False)[["ops_per_s", "bytes_per_s"]].max()
    peaks = most["ops_per_s"].copy()
    # the peak is the GPU's whatever the line reaches within these batches
    peaks[peaks.index != "host, CPU"] = most.loc["card, GPU", "ops_per_s"]
    return pd.DataFrame({"peak": peaks, "bandwidth": most["bytes_per_s"], "turn": peaks / most["bytes_per_s"]})


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Where the lines turn, that fetching wins in the picture, and up to where it does not with a link."""
    roof = roofs(found)
    where, text = "figure 18, lines (plot_serving.ipynb)", "section 5.2: fetching beats computing on the CPU"
    rate = found.pivot_table(index="batch", columns="series", values="ops_per_s")
    most = (rate["host, GPU"] / rate["host, CPU"]).min()
    link, cpu = roof.loc["host over PCIe, GPU"], roof.loc["host, CPU"]
    wins = experiment.first((b, rate.loc[b, "host over PCIe, GPU"] > rate.loc[b, "host, CPU"]) for b in BATCHES)
    mine = found[found["series"] == "host, GPU"].set_index("batch")["bound"]
    return [
        experiment.near("card, GPU turns, op/B", roof.loc["card, GPU", "turn"], 200, 0.03, "read-off", where),
        experiment.near("host, GPU turns, op/B", roof.loc["host, GPU", "turn"], 1720, 0.03, "read-off", where),
        experiment.near("GPU peak, 1e14 op/s", roof.loc["host, GPU", "peak"] / 1e14, 1.55, 0.01, "read-off", where),
        experiment.within("CPU peak, 1e14 op/s", cpu["peak"] / 1e14, 0, 0.03, "read-off", where),
        experiment.within("host, GPU / host, CPU, worst batch", most, 1, 1.01, "stated", text),
        experiment.within(
            "host, GPU: first batch bound by compute",
            experiment.first((b, mine[b] == "compute") for b in BATCHES), 3073, 3328, "turn", text,
        ),
        # 1.3824 Top/s over 32 GB/s: below that the CPU beats a GPU that fetches over PCIe 4 x16
        experiment.near("PCIe: CPU's peak / link, op/B", cpu["peak"] / link["bandwidth"], 43.2, 0.001, "turn", text),
        experiment.within("PCIe: first batch at which fetching beats the CPU", wins, 42, 44, "turn", text),
    ]  # fmt: skip


def picture(found: pd.DataFrame) -> Figure:
    """Linear axes as in the survey on the left, logarithmic ones on the right."""
    title = "Figure 18 of the survey: where weights lie, who computes; Llama-2-13B, decode"
    with experiment.drawn(title, (1100, 500)) as made:
        roof = roofs(found)
        colours = dict(zip(roof.index, ("#0072B2", "#E69F00", "#009E73", "#D55E00"), strict=True))
        for axes, end in zip(made.subplots(1, 2), (3500, 8000), strict=True):
            for name, line in roof.iterrows():
                at, colour = line["turn"], colours[name]
                least = 1.0 if end > 3500 else 0.0
                axes.plot(
                    [least, at, end], [least * line["bandwidth"], line["peak"], line["peak"]], color=colour, lw=2,
                    label=f"{name} ({line['bandwidth'] / 1e9:.4g} GB/s)",
                )  # fmt: skip
                rows = found[(found["series"] == name) & (found["intensity_ops_per_byte"] < end)]
                axes.plot(rows["intensity_ops_per_byte"], rows["ops_per_s"], ".", color=colour)
            axes.set_xlabel("arithmetic intensity, operations per byte fetched")
            axes.set_ylabel("operations per second")
        made.axes[0].set_xlim(0, 3500)
        made.axes[0].legend(loc="lower right", fontsize=8.5, bbox_to_anchor=(1.0, 0.08))
        made.axes[1].set_xscale("log")
        made.axes[1].set_yscale("log")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
