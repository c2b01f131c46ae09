"""Figure 15: fusing operators pays where memory is the bound, and hardly where compute is.

The survey draws the argument on the roofline of an A6000: an operator at 50 operations per byte that fusion brings to
180, and one at 250 that it brings to 500. Those four points are held against the roofline of the tool's A6000. Beside
them stand two pairs of real operators, Llama-2-7B's prefill of 2,048 tokens on an A6000 in the corrected counting:
attention (scores, softmax and context, or one fused kernel), and the two matrices of the feed-forward that read the
same input (apart, or as one).

    python sweeps/survey/figure15.py [--out FOLDER]
"""

from __future__ import annotations

import sys
from typing import Any

import experiment
import pandas as pd
from matplotlib.figure import Figure

import accelsim

DRAWN = {"memory-bound": (50, 180), "compute-bound": (250, 500)}
"""Operations per byte before and after fusion, as the survey draws them."""
REAL = {
    "attention": (("scores", "softmax", "context"), ("attend",)),
    "gate and up": (("gate_proj", "up_proj"), ("gate_up_proj",)),
}


def frame() -> pd.DataFrame:
    """A row per case, before and after."""
    roofs = experiment.viewer("llama-2-7b", batch=1, prompt=2048).roofs
    peak, bandwidth = roofs["fp16 x fp16"], roofs["memory"]
    rows: list[dict[str, Any]] = []
    for case, points in DRAWN.items():
        for when, intensity in zip(("before", "after"), points, strict=True):
            rate = min(peak, intensity * bandwidth)
            bound = "compute" if rate == peak else "memory"
            rows.append({"case": case, "fusion": when, "intensity_ops_per_byte": intensity, "ops_per_s": rate}
                        | {"time_s": float("nan"), "bound": bound})  # fmt: skip
    for when, fuse in (("before", False), ("after", True)):
        run = accelsim.simulate(
            "llama-2-7b", "a6000", prompt=2048, generate=1, activations="fp16", weights="fp16", kv_cache="fp16",
            fidelity="roofline", fuse=fuse,
        )  # fmt: skip
        for case, names in REAL.items():
            chosen = names[0] if when == "before" else names[1]
            mine = [row for row in run.rows("operators") if row["name"].rpartition(".")[2] in chosen]
            ops, moved, time = (sum(row[key] for row in mine) for key in ("flops", "bytes", "time_s"))
            rows.append({"case": case, "fusion": when, "intensity_ops_per_byte": ops / moved, "ops_per_s": ops / time}
                        | {"time_s": time, "bound": max(mine, key=lambda row: row["time_s"])["bound"]})  # fmt: skip
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Heights of the four points, what fusion gains, and where the gain ends."""
    rows = found.set_index(["case", "fusion"])
    where, text = "figure 15, arrows (plot_roofline.ipynb)", "section 5.1: little gain in a compute-bound area"
    gain = {
        case: rows.loc[(case, "after"), "ops_per_s"] / rows.loc[(case, "before"), "ops_per_s"] for case in DRAWN
    } | {case: rows.loc[(case, "before"), "time_s"] / rows.loc[(case, "after"), "time_s"] for case in REAL}
    height = rows["ops_per_s"] / 1e14
    return [
        experiment.near("before, 50 op/B: 1e14 op/s", height["memory-bound", "before"], 0.385, 0.03, "read-off", where),
        experiment.near("after, 180 op/B: 1e14 op/s", height["memory-bound", "after"], 1.38, 0.02, "read-off", where),
        experiment.near("250 op/B: 1e14 op/s", height["compute-bound", "before"], 1.55, 0.01, "read-off", where),
        experiment.near("500 op/B: 1e14 op/s", height["compute-bound", "after"], 1.55, 0.01, "read-off", where),
        experiment.within("memory-bound: gain", gain["memory-bound"], 3.5, 3.7, "turn", where),
        experiment.within("compute-bound: gain", gain["compute-bound"], 1, 1, "turn", text),
        experiment.within("attention, prefill 2,048: gain", gain["attention"], 1.5, 20, "turn", text),
        experiment.within("gate and up, prefill 2,048: gain", gain["gate and up"], 1, 1.001, "turn", text),
    ]


def picture(found: pd.DataFrame) -> Figure:
    """One roofline for each bound, with the survey's points and ours."""
    title = "Figure 15 of the survey: what fusion gains, A6000"
    with experiment.drawn(title, (1100, 520)) as made:
        peak = found[found["case"] == "compute-bound"]["ops_per_s"].max()
        at = peak / experiment.viewer("llama-2-7b", batch=1, prompt=1).roofs["memory"]
        pairs = (("memory-bound", "attention"), ("compute-bound", "gate and up"))
        for axes, names in zip(made.subplots(1, 2), pairs, strict=True):
            axes.fill_between([0, at], [0, peak], color="red", alpha=0.2)
            axes.fill_between([at, 8 * at], [peak, peak], color="green", alpha=0.2)
            axes.plot([0, at, 8 * at], [0, peak, peak], color="black")
            for name, colour in zip(names, ("#D55E00", "#0072B2"), strict=True):
                rows = found[found["case"] == name]
                axes.plot(rows["intensity_ops_per_byte"], rows["ops_per_s"], color=colour, ls=":")
                for row in rows.to_dict("records"):
                    after = row["fusion"] == "after"
                    axes.plot(
                        row["intensity_ops_per_byte"], row["ops_per_s"], "o" if after else "s", color=colour,
                        label=f"{name if name in REAL else 'as drawn'}, {row['fusion']}",
                    )  # fmt: skip
            axes.set_xlim(0, found[found["case"].isin(names)]["intensity_ops_per_byte"].max() * 1.15)
            axes.set_ylim(0, peak * 1.12)
            axes.set_title(f"{names[0]} case")
            axes.set_xlabel("arithmetic intensity, operations per byte")
            axes.set_ylabel("operations per second")
            axes.legend(loc="lower right")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
