"""Figure 6: the roofline of an A6000 for two types of compute.

Varied: bits of operands (16, 8, and 8-bit weights beside 16-bit activations), and how many sequences decode together.
Held fixed: Llama-2-7B's q_proj, the tool's own way of counting. Eight bits raise the roof, and only if both operands
have them: 8-bit weights alone move the points to the right and leave the roof where it was.

    python sweeps/survey/figure06.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

BATCHES = (1, 4, 16, 64, 96, 128, 192, 218, 219, 223, 224, 256, 512, 1024)
SERIES = {"FP16": (16, 16, 16), "INT8": (8, 8, 8), "W8": (8, 16, 16)}


def frame() -> pd.DataFrame:
    """A row per series and batch."""
    rows = []
    for name, bits in SERIES.items():
        for batch in BATCHES:
            run = experiment.viewer("llama-2-7b", bits=bits, batch=batch, prompt=128)
            rows.append({"series": name, "batch": batch, **experiment.on_the_roofline(run, "q_proj")})
    return pd.DataFrame(rows)


def roofs(found: pd.DataFrame) -> pd.DataFrame:
    """Peak and turning point by series."""
    most = found.groupby("series", sort=False)[["ops_per_s", "bytes_per_s"]].max()
    return most.assign(turning_point=most["ops_per_s"] / most["bytes_per_s"])


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Two roofs, two turning points, and the roof that weights alone do not raise."""
    roof = roofs(found)
    text, picture_ = "section 3.1.1", "figure 6, marks on the axis (plot_roofline.ipynb)"
    last = found[found["bound"] == "memory"].groupby("series")["intensity_ops_per_byte"].max()
    return [
        experiment.near("FP16 peak, Top/s", roof.loc["FP16", "ops_per_s"] / 1e12, 155, 0.005, "stated", text),
        experiment.near("INT8 peak, Top/s", roof.loc["INT8", "ops_per_s"] / 1e12, 310, 0.005, "stated", text),
        experiment.near("W8 peak, Top/s", roof.loc["W8", "ops_per_s"] / 1e12, 155, 0.005, "stated", text),
        experiment.near("FP16 turns, op/B", roof.loc["FP16", "turning_point"], 200, 0.02, "read-off", picture_),
        experiment.near("INT8 turns, op/B", roof.loc["INT8", "turning_point"], 400, 0.02, "read-off", picture_),
        experiment.within("FP16: last op/B bound by memory", last["FP16"], 195, 204, "turn", picture_),
        experiment.within("INT8: last op/B bound by memory", last["INT8"], 390, 408, "turn", picture_),
    ]


def picture(found: pd.DataFrame) -> Figure:
    """Linear axes, as in the survey."""
    roof = roofs(found)
    end = 3 * roof["turning_point"].max()
    with experiment.drawn("Figure 6 of the survey: roofline of the A6000 by type of compute") as made:
        axes = made.subplots()
        for name, colour in (("FP16", "#0072B2"), ("INT8", "#E69F00")):
            peak, at = roof.loc[name, "ops_per_s"], roof.loc[name, "turning_point"]
            axes.plot([0, at, end], [0, peak, peak], color=colour, label=f"roof, {name}")
            axes.annotate(
                f"{name}: {at:.1f} op/B", (at, peak), (at * 1.2, peak * 0.83), arrowprops={"arrowstyle": "->"}
            )
        for name, marker, colour in (("FP16", "o", "#0072B2"), ("INT8", "s", "#E69F00"), ("W8", "^", "#009E73")):
            rows = found[(found["series"] == name) & (found["intensity_ops_per_byte"] < end)]
            axes.scatter(
                rows["intensity_ops_per_byte"], rows["ops_per_s"], marker=marker, color=colour, zorder=3,
                label=f"q_proj, {name}",
            )  # fmt: skip
        axes.set_xlim(0, end)
        axes.set_ylim(0, None)
        axes.set_xlabel("arithmetic intensity, operations per byte")
        axes.set_ylabel("performance, operations per second")
        axes.legend(loc="lower right")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
