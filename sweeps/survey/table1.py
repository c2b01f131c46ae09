"""Table 1: which operators of Llama-2-7B are bound by memory, which by compute, on an A6000.

Held fixed: batch 1, length 2,048, 16 bits, the tool's own way of counting. Every figure that the table prints is held
against ours after rounding to its digits. In prefill the projections and the feed-forward are bound by compute, the
rest by memory; in decode everything is bound by memory. The picture is the roofline that the table tabulates.

    python sweeps/survey/table1.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

PLACE = "Table 1"
PRINTED = {
    "prefill": """
        q_proj 69G 67M 1024 155T compute;   k_proj 69G 67M 1024 155T compute;   v_proj 69G 67M 1024 155T compute
        out_proj 69G 67M 1024 155T compute; gate_proj 185G 152M 1215 155T compute
        up_proj 185G 152M 1215 155T compute; down_proj 185G 152M 1215 155T compute
        qk_matmul 34G 302M 114 87T memory;  sv_matmul 34G 302M 114 87T memory; softmax 671M 537M 1.25 960G memory
        attn_norm 59M 34M 1.75 1T memory;   attn_add 8M 34M 0.25 192G memory
    """,
    "decode": """
        q_proj 34M 34M 1 768G memory;   k_proj 34M 34M 1 768G memory;   v_proj 34M 34M 1 768G memory
        out_proj 34M 34M 1 768G memory; gate_proj 90M 90M 1 768G memory
        up_proj 90M 90M 1 768G memory;  down_proj 90M 90M 1 768G memory
        qk_matmul 17M 17M 0.99 762G memory; sv_matmul 17M 17M 0.99 762G memory; softmax 328K 262K 1.25 960G memory
        attn_norm 29K 16K 1.75 1T memory;   attn_add 4K 16K 0.25 192G memory
    """,
}  # the tool's names; the table says o_proj, norm and add
COLUMNS = ("ops", "bytes", "intensity_ops_per_byte", "ops_per_s")
PREFIX = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def printed() -> list[tuple[str, str, dict[str, str]]]:
    """(phase, operator, cells) of the table."""
    rows = []
    for name, text in PRINTED.items():
        for row in text.replace("\n", ";").split(";"):
            if cells := row.split():
                rows.append((name, cells[0], dict(zip((*COLUMNS, "bound"), cells[1:], strict=True))))
    return rows


def frame() -> pd.DataFrame:
    """A row per phase and operator, one run of it."""
    run = experiment.viewer("llama-2-7b", batch=1, prompt=2048)
    return pd.DataFrame(
        {
            "phase": row["phase"],
            "operator": row["name"],
            "ops": row["flops"] / row["count"],
            "bytes": row["bytes"] / row["count"],
            "intensity_ops_per_byte": row["intensity_flops_per_byte"],
            "ops_per_s": row["achieved_flops_per_s"],
            "time_s": row["time_s"] / row["count"],
            "bound": row["bound"],
        }
        for row in run.rows("operators")
    )


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Every printed figure, to half a unit of its last digit; and where the bound turns."""
    rows = found.set_index(["phase", "operator"])
    result = []
    for phase, operator, cells in printed():
        ours = rows.loc[(phase, operator)]
        for column in COLUMNS:
            text = cells[column]
            scale = PREFIX[text[-1] if text[-1].isalpha() else ""]
            digits = text.rstrip("KMGT")
            half = 0.5 * 10.0 ** -len(digits.partition(".")[2]) * scale
            value = float(digits) * scale
            what = f"{phase} {operator}: {column}"
            result.append(experiment.within(what, ours[column], value - half, value + half, "table", PLACE))
    for phase, bound, count in (("prefill", "compute", 7), ("decode", "compute", 0)):
        ours = found[(found["phase"] == phase) & (found["bound"] == bound)]
        result.append(experiment.within(f"{phase}: operators bound by compute", len(ours), count, count, "turn", PLACE))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """The roofline with every operator of both phases."""
    roof, bandwidth = found["ops_per_s"].max(), 768e9
    with experiment.drawn("Table 1 of the survey: operators of Llama-2-7B on A6000, batch 1, length 2,048") as made:
        axes = made.subplots()
        axes.loglog([0.1, roof / bandwidth, 4000], [0.1 * bandwidth, roof, roof], color="black", lw=1.5)
        axes.axvline(roof / bandwidth, color="#888888", lw=0.9, ls=":")
        for phase, marker, colour in (("prefill", "o", "#D55E00"), ("decode", "s", "#0072B2")):
            rows = found[found["phase"] == phase]
            axes.scatter(rows["intensity_ops_per_byte"], rows["ops_per_s"], marker=marker, color=colour, label=phase)
        for place, (_, group) in enumerate(found.groupby(found["intensity_ops_per_byte"].round(1))):
            names = list(dict.fromkeys(group["operator"]))
            text = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            row, left = group.iloc[0], place % 2
            axes.annotate(
                text, (row["intensity_ops_per_byte"], row["ops_per_s"]), fontsize=9, ha="right" if left else "left",
                textcoords="offset points", xytext=(-9, 4) if left else (9, -10),
            )  # fmt: skip
        axes.set_xlabel("arithmetic intensity, operations per byte")
        axes.set_ylabel("performance, operations per second")
        axes.legend(loc="lower right")
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
