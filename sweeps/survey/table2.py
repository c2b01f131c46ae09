"""Table 2: three memories that compute and are sold, and up to which intensity they are worth it.

The first rows are the table's: peak bandwidth inside and peak arithmetic of one DIMM, stack or package, ours from their
descriptions. Two of the printed figures disagree with what else is published about the same parts, as DEVIATIONS.md
says: HBM-PIM's 2 TB/s (128 units of 32 B at 300 MHz read 1.23) and UPMEM's 43.8 Gop/s (128 DPUs at 350 MHz issue 44.8).
The other rows run a product of m vectors with a 4,096 x 4,096 matrix, m operations per byte, in the memory and on an
A100: the survey says that HBM-PIM suits 1 to 2 operations per byte.

    python sweeps/survey/table2.py [--out FOLDER]
"""

from __future__ import annotations

import sys
from typing import Any

import experiment
import pandas as pd
from matplotlib.figure import Figure

import accelsim

PARTS = {"PIM-DIMM": "upmem", "HBM-PIM": "hbm-pim-cube", "AiM": "gddr6-aim"}
SYSTEMS = {"HBM-PIM": ("hbm-pim-64pch", "fp16"), "AiM": ("gddr6-aim-32ch", "bf16")}
VECTORS = (1, 2, 3, 4)
WIDTH = 4096


def frame() -> pd.DataFrame:
    """A row per part, and a row per system and number of vectors."""
    rows: list[dict[str, Any]] = []
    for product, name in PARTS.items():
        part: Any = accelsim.chip(name)
        upmem = name == "upmem"
        ops, inside = (
            (part.instructions_per_s, part.stream_bytes_per_s)
            if upmem
            else (part.flops_per_s, part.internal_bytes_per_s)
        )
        rows.append({"product": product, "part": name, "ops_per_s": ops, "bytes_per_s": inside})
    for product, (system, form) in SYSTEMS.items():
        for vectors in VECTORS:
            size = {"m": vectors, "n": WIDTH, "k": WIDTH}
            inside, host = (
                accelsim.simulate_operator("matmul", on=on, format=form, **size).summary["total_time_s"]
                for on in (system, "a100-sxm-80gb")
            )
            intensity = 2 * vectors * WIDTH * WIDTH / (2 * WIDTH * (WIDTH + 2 * vectors))
            rows.append({"product": product, "part": system, "vectors": vectors, "intensity_ops_per_byte": intensity}
                        | {"time_s": inside, "host_time_s": host, "speedup": host / inside})  # fmt: skip
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """The printed figures, with the two that are contradicted held to what contradicts them; and the turn."""
    parts = found[found["vectors"].isna()].set_index("product")
    gain = found.dropna(subset=["vectors"]).set_index(["product", "vectors"])["speedup"]
    place, text = "Table 2", "section 6.2: HBM-PIM suits 1 to 2 operations per byte"
    off = "Table 2 prints 2; 128 units x 32 B x 300 MHz (Kwon et al., ISSCC 2021)"
    ops, inside = parts["ops_per_s"], parts["bytes_per_s"]
    return [
        experiment.near("PIM-DIMM, GB/s", inside["PIM-DIMM"] / 1e9, 80.4, 0.001, "table", place),
        experiment.near("PIM-DIMM, Gop/s", ops["PIM-DIMM"] / 1e9, 43.8, 0.025, "table", place),
        experiment.near("HBM-PIM, TB/s", inside["HBM-PIM"] / 1e12, 1.2288, 0.001, "stated", off),
        experiment.near("HBM-PIM, TFLOPS", ops["HBM-PIM"] / 1e12, 1.2, 0.03, "table", place),
        experiment.near("AiM, TB/s", inside["AiM"] / 1e12, 1.0, 0.03, "table", place),
        experiment.near("AiM, TFLOPS", ops["AiM"] / 1e12, 1.0, 0.03, "table", place),
        experiment.within("HBM-PIM against an A100, 1 op/B: speed-up", gain["HBM-PIM", 1], 1, 3, "turn", text),
        experiment.within("HBM-PIM against an A100, 4 op/B: speed-up", gain["HBM-PIM", 4], 0, 1, "turn", text),
        experiment.within("AiM against an A100, 1 op/B: speed-up", gain["AiM", 1], 1, 5, "turn", text),
        experiment.within("AiM against an A100, 4 op/B: speed-up", gain["AiM", 4], 0, 1, "turn", text),
    ]


def picture(found: pd.DataFrame) -> Figure:
    """Rooflines of the parts, and the speed-up over intensity."""
    with experiment.drawn("Table 2 of the survey: memories that compute", (1100, 480)) as made:
        left, right = made.subplots(1, 2)
        for row in found[found["vectors"].isna()].to_dict("records"):
            at = row["ops_per_s"] / row["bytes_per_s"]
            left.loglog([0.05, at, 20], [0.05 * row["bytes_per_s"], row["ops_per_s"], row["ops_per_s"]], lw=2,
                        label=f"{row['product']} ({row['part']})")  # fmt: skip
        left.set_xlabel("arithmetic intensity, operations per byte")
        left.set_ylabel("operations per second, one part")
        left.legend(loc="lower right")
        for product in SYSTEMS:
            rows = found[(found["product"] == product) & found["vectors"].notna()]
            right.plot(rows["intensity_ops_per_byte"], rows["speedup"], marker="o", lw=2, label=rows["part"].iloc[0])
        right.axhline(1, color="black", ls="--", lw=1)
        right.set_ylim(0, None)
        right.set_xlabel("arithmetic intensity, operations per byte")
        right.set_ylabel("speed-up over an A100")
        right.set_title("matrix of 4,096 x 4,096")
        right.legend()
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
