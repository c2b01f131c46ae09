"""Figure 5: the roofline of an A6000, in 16 bits.

Varied: how many sequences decode together, which moves the intensity of a projection of Llama-2-7B from 1 to 4,096
operations per byte. Held fixed: 16 bits, the tool's own way of counting. Performance climbs along the bandwidth up to
the turning point and stays at the peak behind it.

    python sweeps/survey/figure05.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

BATCHES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 208, 220, 223, 224, 240, 256, 384, 512, 1024)


def frame() -> pd.DataFrame:
    """q_proj of a decode step, a row per batch."""
    rows = []
    for batch in BATCHES:
        run = experiment.viewer("llama-2-7b", batch=batch, prompt=128)
        rows.append({"batch": batch, **experiment.on_the_roofline(run, "q_proj")})
    return pd.DataFrame(rows)


def turning_point(found: pd.DataFrame) -> float:
    """Operations per byte at which the slope meets the peak."""
    return float(found["ops_per_s"].max() / found["bytes_per_s"].max())


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """The roof, the slope, and where they meet."""
    memory, compute = (found[found["bound"] == bound] for bound in ("memory", "compute"))
    picture_ = "figure 5, mark on the axis (plot_roofline.ipynb)"
    return [
        experiment.near("peak, Top/s", found["ops_per_s"].max() / 1e12, 155, 0.005, "stated", "section 3.1.1"),
        experiment.near("slope, GB/s", found["bytes_per_s"].max() / 1e9, 768, 0.001, "table", "Table 1, decode"),
        experiment.near("turning point, op/B", turning_point(found), 200, 0.02, "read-off", picture_),
        experiment.within(
            "last intensity bound by memory, op/B", memory["intensity_ops_per_byte"].max(), 198, 202, "turn", picture_
        ),
        experiment.within(
            "first intensity bound by compute, op/B",
            compute["intensity_ops_per_byte"].min(),
            200,
            204,
            "turn",
            picture_,
        ),
    ]


def picture(found: pd.DataFrame) -> Figure:
    """Linear axes, as in the survey."""
    at, peak = turning_point(found), found["ops_per_s"].max()
    with experiment.drawn("Figure 5 of the survey: roofline of the A6000, fp16") as made:
        axes = made.subplots()
        axes.fill_between([0, at], [0, peak], color="red", alpha=0.25)
        axes.fill_between([at, 3 * at], [peak, peak], color="green", alpha=0.25)
        axes.plot([0, at, 3 * at], [0, peak, peak], color="black")
        shown = found[found["intensity_ops_per_byte"] < 3 * at]
        axes.scatter(
            shown["intensity_ops_per_byte"], shown["ops_per_s"], color="#0072B2", zorder=3,
            label="q_proj of Llama-2-7B, decode, batch 1 to 1,024",
        )  # fmt: skip
        axes.vlines(at, 0, peak * 1.1, color="black", ls="--", lw=1)
        axes.annotate(
            f"turning point, {at:.1f} op/B", (at, peak), (at * 1.15, peak * 0.8), arrowprops={"arrowstyle": "->"}
        )
        axes.text(at * 0.65, peak * 0.08, "memory-bound", ha="center")
        axes.text(at * 2.2, peak * 0.3, "compute-bound", ha="center")
        axes.set_xlim(0, 3 * at)
        axes.set_ylim(0, peak * 1.1)
        axes.set_xlabel("arithmetic intensity, operations per byte")
        axes.set_ylabel("performance, operations per second")
        axes.legend(loc="lower right")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
