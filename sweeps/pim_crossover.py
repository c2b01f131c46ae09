"""Up to which batch and context does decoding belong into the memory?

Llama-2-7B on a GPU whose four HBM2 stacks compute (HBM-PIM), against the same GPU with as many ordinary stacks.
Varied: sequences that run together (1 to 64), and the context of each (1k to 32k tokens). Held fixed: 16-bit weights,
activations and cache; placement operator by operator, by time alone. Banks are made as deep as the largest point needs,
so that speed is not mixed up with capacity; points that the real stacks would not hold are hatched.

Found (hbm-pim-64pch): weights are read once for a whole batch by the GPU and once for each sequence by the units,
which win by their bandwidth at batch 1 (2.2 times as fast), hardly at batch 2, and lose them to the GPU at batch 4.
Keys and values belong to one sequence each, so that attention stays in the memory at any batch, and the longer the
context the more of the time it is: 1.05 times as fast at batch 4 and 1k, where least is gained, and 2.1 times at batch
64 and 32k.

    python sweeps/pim_crossover.py [--on gddr6-aim-32ch] [--model llama-2-7b] [--out FOLDER] [--batches 1 8]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt

import accelsim

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768)
DEEP: dict[str, Any] = {"organization.rows": 1 << 21}
"""Rows of a bank: 128 times those of the parts."""


def point(model: str, system: str, batch: int, context: int) -> dict[str, float | int | str]:
    """One decode step at a context, by both, and what the real stacks would hold.

    Args:
        model: the model.
        system: parts that compute, with their host.
        batch: sequences.
        context: tokens of each before the step.
    """
    request: dict[str, Any] = {"batch": batch, "prompt": context, "generate": 2}
    pim = accelsim.simulate(model, system, overrides=DEEP, **request)
    host = accelsim.simulate(
        model, system, overrides={**DEEP, "placement": "host", "ordinary_capacity": "2 TiB"}, **request
    )
    real = accelsim.simulate(model, system, fidelity="roofline", **request)
    rows = [row for row in pim.rows("operators") if row["phase"] == "decode"]
    total = sum(row["time_s"] for row in rows)
    moved = {row["kind"]: row["placement"] for row in rows}
    return {
        "batch": batch,
        "context": context,
        "pim_s": pim.summary["decode_time_s"],
        "host_s": host.summary["decode_time_s"],
        "speedup": host.summary["decode_time_s"] / pim.summary["decode_time_s"],
        "pim_j": pim.rows("phases")[1]["energy_j"],
        "host_j": host.rows("phases")[1]["energy_j"],
        "attention_share": sum(row["time_s"] for row in rows if row["kind"] == "attention") / total,
        "linear_on": moved["matmul"],
        "attention_on": moved["attention"],
        "fits": real.ok,
    }


def picture(frame: pd.DataFrame, model: str, system: str) -> plt.Figure:
    """The speed-up over batch and context, and who does what."""
    figure, axes = plt.subplots(figsize=(10, 6.2), layout="constrained")
    grid = frame.pivot_table(index="context", columns="batch", values="speedup")
    least, most = float(grid.to_numpy().min()), float(grid.to_numpy().max())
    image = axes.imshow(grid.to_numpy(), origin="lower", aspect="auto", cmap="viridis", vmin=min(1.0, least), vmax=most)
    for row in frame.itertuples():
        x, y = list(grid.columns).index(row.batch), list(grid.index).index(row.context)
        done = [what for what, who in (("linear", row.linear_on), ("attention", row.attention_on)) if who != "host"]
        light = row.speedup > least + 0.6 * (most - least)
        words = " +\n".join(done) or "host alone"
        axes.text(
            x, y, f"{row.speedup:.2f}x\n{words}", ha="center", va="center", fontsize=9,
            color="black" if light else "white",
        )  # fmt: skip
        if not row.fits:
            axes.add_patch(
                plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="//", lw=0, edgecolor=(1, 1, 1, 0.35))
            )
    axes.set_xticks(range(len(grid.columns)), [str(batch) for batch in grid.columns])
    axes.set_yticks(range(len(grid.index)), [f"{context // 1024}k" for context in grid.index])
    axes.set_xlabel("batch (sequences)")
    axes.set_ylabel("context (tokens of each sequence)")
    axes.set_title(
        f"Decode step of {model}: {system} against the same host with ordinary stacks\n"
        "words: what the units in the memory do; hatched: more than the real stacks hold",
        fontsize=11,
    )
    figure.colorbar(image, ax=axes, label="speed-up")
    return figure


def main() -> None:
    """Runs the grid; writes a table and a picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--on", default="hbm-pim-64pch", help="a system of memories that compute")
    parser.add_argument("--model", default="llama-2-7b")
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--contexts", type=int, nargs="+", default=CONTEXTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for context in given.contexts:
        for batch in given.batches:
            rows.append(point(given.model, given.on, batch, context))
            print(f"batch {batch:>2}, context {context:>5}: {rows[-1]['speedup']:.2f}x", flush=True)
    frame = pd.DataFrame(rows)
    stem = given.out / f"pim_crossover-{given.model}-{given.on}"
    frame.to_csv(f"{stem}.csv", index=False)
    picture(frame, given.model, given.on).savefig(f"{stem}.png", dpi=140)
    print(f"wrote {stem}.csv and {stem}.png")


if __name__ == "__main__":
    main()
