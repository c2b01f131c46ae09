"""Figure 16: what FlashAttention saves on an A6000, in traffic and in time.

Varied: batch and length of Llama-2-13B. Held fixed: 16 bits. Three ways of counting stand side by side:

- `figure`: the fused operator reads K and no V. The tool counted so until its last commit, 472f71f, which says "fix bug
  in compute flashattntion kv load data", and the survey's figure is older: every bar is that count's.
- `tool`: as the tool counts since, which leaves next to nothing of the saving.
- `corrected`: ours; scores and softmax stay inside the kernel, outputs are as wide as the heads.

In decode, traffic is time, and both are saved alike; in prefill other operators are bound by compute, so that less time
is saved than traffic.

    python sweeps/survey/figure16.py [--out FOLDER]
"""

from __future__ import annotations

import sys
from typing import Any

import experiment
import pandas as pd
from matplotlib.figure import Figure

import accelsim

SIZES = ((1, 1000), (1, 10_000), (1, 100_000), (16, 1000), (64, 1000))
READ = {
    "decode": {"bytes": (1.6, 12.3, 38.3, 17.1, 33.4), "time_s": (1.6, 12.3, 38.3, 17.1, 33.4)},
    "prefill": {"bytes": (8.4, 22.8, 24.8, 15.3, 16.1), "time_s": (3.0, 12.6, 22.7, 3.0, 3.0)},
}
"""Per cent saved, read off to 0.3, by the sizes above."""


def frame() -> pd.DataFrame:
    """A row per size, phase and way of counting."""
    rows = []
    for batch, length in SIZES:
        plain, fused = (
            experiment.viewer("llama-2-13b", batch=batch, prompt=length, flash=flash) for flash in (False, True)
        )
        # the model does not fit the card at some of these sizes: a card of the same rates that holds it
        ours = [_corrected(batch, length, fuse) for fuse in (False, True)]
        for phase in ("decode", "prefill"):
            raw, flash = (experiment.phase(run, phase) for run in (plain, fused))
            older = _without_v(fused, phase)
            pairs = {
                "figure": (raw, older),
                "tool": (raw, flash),
                "corrected": tuple(_attention_only(run, phase) for run in ours),
            }
            for counting, (before, after) in pairs.items():
                saved = {f"{key}_saved_percent": 100 * (1 - after[key] / before[key]) for key in ("bytes", "time_s")}
                rows.append({"phase": phase, "batch": batch, "length": length, "counting": counting} | saved)
    return pd.DataFrame(rows)


def _without_v(run: accelsim.Run, phase: str) -> dict[str, float]:
    """The phase with half of the fused operator's reading of keys and values, as the tool had it before 472f71f."""
    fused, row = experiment.operators(run, phase)["fused_attention"], experiment.phase(run, phase)
    less = fused["kv_bytes"] / 2
    time_s = max(fused["flops"] / run.roofs["fp16 x fp16"], (fused["bytes"] - less) / run.roofs["memory"])
    return {"bytes": row["bytes"] - less, "time_s": row["time_s"] - fused["time_s"] + time_s}


def _corrected(batch: int, length: int, fuse: bool) -> accelsim.Run:
    asked: dict[str, Any] = dict.fromkeys(("weights", "activations", "kv_cache"), "fp16")
    return accelsim.simulate(
        "llama-2-13b", "a6000", batch=batch, prompt=length, generate=2, fidelity="roofline", fuse=fuse,
        overrides={"memory.capacity": "100 TB"}, **asked,
    )  # fmt: skip


def _attention_only(run: accelsim.Run, phase: str) -> dict[str, float]:
    """Bytes and time of a phase whose other operators are not fused: attention from this run, the rest as it is.

    `fuse` merges projections and element-wise chains, too; those are taken as they are when fused, in both runs.
    """
    parts = ("scores", "softmax", "context", "attend")
    mine = [r for r in run.rows("operators") if r["phase"] == phase and r["name"].rpartition(".")[2] in parts]
    asked = run.request
    rest = run if asked.fuse else _corrected(asked.batch, asked.prompt, fuse=True)
    others = [r for r in rest.rows("operators") if r["phase"] == phase and r["name"].rpartition(".")[2] not in parts]
    return {key: sum(row[key] for row in (*mine, *others)) for key in ("bytes", "time_s")}


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Every bar of the figure; decode saves alike, prefill less time than traffic, and how both turn with length."""
    rows = found.set_index(["counting", "phase", "batch", "length"])
    where, text = "figure 16, bars (plot_flashattention.ipynb)", "section 5.1"
    result = []
    for phase, columns in READ.items():
        for column, bars in columns.items():
            for (batch, length), bar in zip(SIZES, bars, strict=True):
                ours = rows.loc[("figure", phase, batch, length), f"{column}_saved_percent"]
                what = f"{phase}, batch {batch}, length {length:,}: {column} saved, %"
                result.append(experiment.within(what, ours, bar - 0.3, bar + 0.3, "read-off", where))
    for batch, length in SIZES:
        for phase, low, high in (("decode", 0.999, 1.001), ("prefill", 0.0, 0.95)):
            row = rows.loc[("figure", phase, batch, length)]
            ratio = row["time_s_saved_percent"] / row["bytes_saved_percent"]
            what = f"{phase}, batch {batch}, length {length:,}: time saved / traffic saved"
            result.append(experiment.within(what, ratio, low, high, "turn", text))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """Bars by size: traffic and time as in the survey, and the other two ways of counting as marks."""
    title = "Figure 16 of the survey: what FlashAttention saves, Llama-2-13B on A6000"
    with experiment.drawn(title, (1000, 760)) as made:
        for axes, phase in zip(made.subplots(2, 1), ("decode", "prefill"), strict=True):
            for offset, column, colour, label in (
                (-0.2, "bytes_saved_percent", "#0072B2", "traffic"),
                (0.2, "time_s_saved_percent", "#E69F00", "time"),
            ):
                for counting, mark in (("figure", None), ("tool", "v"), ("corrected", "D")):
                    mine = found[(found["phase"] == phase) & (found["counting"] == counting)]
                    x = [place + offset for place in range(len(SIZES))]
                    if mark is None:
                        axes.bar(x, mine[column], 0.38, color=colour, label=f"{label}, as the survey counted")
                    else:
                        who = "the tool since 472f71f" if counting == "tool" else "corrected"
                        axes.plot(
                            x, mine[column], mark, color=colour, mec="black", ms=7, label=f"{label}, {who}", zorder=3
                        )
            axes.set_xticks(range(len(SIZES)), [f"batch {b}\nlength {n // 1000}k" for b, n in SIZES])
            axes.set_ylabel("saved, %")
            axes.set_title(phase)
            axes.grid(axis="x", visible=False)
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
