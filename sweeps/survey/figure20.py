"""Figure 20: what bandwidth does to the roofline, and to a decode step of Llama-2-13B.

Varied: bandwidth. The left panel is the A6000 with its own and three times its bandwidth; the right one a chip of 200
TFLOP/s with 200 GB/s to 4 TB/s (the survey does not say so, its notebook does). Held fixed: batch 1, length 1,024, 16
bits, the tool's own way of counting. At batch 1 time goes with the inverse of the bandwidth over the whole range; the
batch of 128 that is added here, and that the survey does not draw, bends where the projections turn to compute.

    python sweeps/survey/figure20.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

BANDWIDTHS = tuple(200e9 * step for step in range(1, 21))
READ = {200e9: 0.133, 400e9: 0.066, 1000e9: 0.0265, 4000e9: 0.0066}
"""Seconds at a bandwidth, read off to 0.001."""
FACTOR = 3
INTENSITY = 50.0


def frame() -> pd.DataFrame:
    """A row per bandwidth, batch and panel."""
    rows = []
    for batch in (1, 128):
        for bandwidth in BANDWIDTHS:
            chip = {"memory.bandwidth": f"{bandwidth / 1e9:g} GB/s", "peak.fp16": "200 TFLOP/s"}
            rows.append({"panel": "decode"} | _point(batch, chip))
    for factor in (1, FACTOR):
        rows.append({"panel": "roofline"} | _point(1, {"memory.bandwidth": f"{768 * factor} GB/s"}))
    return pd.DataFrame(rows)


def _point(batch: int, chip: dict[str, str]) -> dict[str, object]:
    run = experiment.viewer("llama-2-13b", batch=batch, prompt=1024, overrides=chip)
    up = experiment.operators(run, "decode")["up_proj"]
    return {
        "batch": batch,
        "bandwidth_bytes_per_s": run.roofs["memory"],
        "peak_ops_per_s": run.roofs["fp16 x fp16"],
        "time_s": run.summary["decode_time_s"],
        "up_proj_bound": up["bound"],
        "up_proj_ops_per_byte": up["intensity_flops_per_byte"],
    }


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Points of the curve, the two rooflines at 50 operations per byte, and where the added curve bends."""
    decode = found[found["panel"] == "decode"].set_index(["batch", "bandwidth_bytes_per_s"])
    roof = found[found["panel"] == "roofline"].sort_values("bandwidth_bytes_per_s")
    slow, fast = roof["bandwidth_bytes_per_s"]
    where, text = "figure 20, lines (plot_hardware.ipynb)", "section 6.1: bandwidth speeds decoding up"
    result = [
        experiment.within(f"{b / 1e9:g} GB/s: s", decode.loc[(1, b), "time_s"], t - 1e-3, t + 1e-3, "read-off", where)
        for b, t in READ.items()
    ]
    product = decode.loc[1]["time_s"] * decode.loc[1].index
    bend = experiment.first((b, row["up_proj_bound"] == "compute") for b, row in decode.loc[128].iterrows())
    peak = roof["peak_ops_per_s"].iloc[0]
    result += [
        experiment.near("50 op/B, low bandwidth: 1e14 op/s", INTENSITY * slow / 1e14, 0.385, 0.03, "read-off", where),
        experiment.near("50 op/B, high bandwidth: 1e14 op/s", INTENSITY * fast / 1e14, 1.15, 0.03, "read-off", where),
        experiment.near("low bandwidth turns, op/B", peak / slow, 200, 0.02, "read-off", where),
        experiment.near("high bandwidth turns, op/B", peak / fast, 67, 0.02, "read-off", where),
        experiment.within(
            "batch 1: time x bandwidth, most / least", product.max() / product.min(), 1, 1.01, "turn", text
        ),
        # 200 Top/s over the intensity of up_proj at batch 128, which is 124 operations per byte
        experiment.within("batch 128: first GB/s at which up_proj is compute", bend / 1e9, 1600, 1800, "turn", text),
    ]
    return result


def picture(found: pd.DataFrame) -> Figure:
    """The rooflines, and time over bandwidth."""
    title = "Figure 20 of the survey: what bandwidth does, Llama-2-13B, length 1,024"
    with experiment.drawn(title, (1100, 480)) as made:
        left, right = made.subplots(1, 2)
        for row in found[found["panel"] == "roofline"].to_dict("records"):
            at = row["peak_ops_per_s"] / row["bandwidth_bytes_per_s"]
            name = f"{row['bandwidth_bytes_per_s'] / 1e9:,.0f} GB/s"
            left.plot([0, at, 240], [0, row["peak_ops_per_s"], row["peak_ops_per_s"]], label=name, lw=2)
            left.plot(INTENSITY, INTENSITY * row["bandwidth_bytes_per_s"], "o", color="black")
        left.axvline(INTENSITY, color="black", ls="--", lw=1)
        left.set_xlim(0, 240)
        left.set_ylim(0, None)
        left.set_xlabel("arithmetic intensity, operations per byte")
        left.set_ylabel("operations per second")
        left.legend(loc="lower right")
        for batch in (1, 128):
            rows = found[(found["panel"] == "decode") & (found["batch"] == batch)]
            x = rows["bandwidth_bytes_per_s"] / 1e9
            right.plot(x, rows["time_s"] * 1e3, lw=2, marker=".", label=f"batch {batch}")
        right.set_xlabel("bandwidth, GB/s")
        right.set_ylabel("decode step, ms")
        right.set_yscale("log")
        right.legend()
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
