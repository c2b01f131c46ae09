"""The map of pim_crossover.toml: where in batch and context HBM-PIM decodes fastest, and where that ends.

The TOML file has the question, the systems and what is held fixed. This runs it (points that its store has are not
computed again), lets the crossover finder halve every bracket along the batch, and draws how many times as fast as each
GPU the memory that computes is. Hatched is what the four real stacks do not hold.

Found: against the same A100 with plain HBM2 the units always pay, from 1.07 times at batch 4 and 1k to 2.6 at batch 1.
The A100's own HBM2E, whose bandwidth is two thirds higher, beats them from batch 2 on, where weights are shared by some
sequences; at 8k they are back from batch 18 on, at 16k from 8, since attention stays in the memory. An H100 is faster
everywhere. The stacks that could be had hold next to nothing of where they win: capacity is what they lack.

    python sweeps/pim_crossover.py [--out FOLDER] [--batches 1 4 16] [--contexts 1024 8192]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import accelsim
from accelsim.explore.answers import Crossovers
from accelsim.explore.crossover import crossover
from accelsim.report import style

PIM = "HBM-PIM"
RIVALS = {"plain HBM2": "the same A100 with plain HBM2", "A100": "an A100 with its HBM2E", "H100": "an H100"}
METRIC = "time_per_output_token_s"


def space(rivals: list[str], batches: list[int] | None, contexts: list[int] | None) -> accelsim.Sweep:
    """The sweep of the TOML file, with PIM and some of its rivals, and other batches and contexts if they are given."""
    whole = accelsim.Sweep.read(Path(__file__).with_suffix(".toml"))
    axes: dict[str, Any] = {key: axis.model_dump(exclude_defaults=True) for key, axis in whole.spec.axes.items()}
    axes["system"] = [chip for chip in axes["system"]["values"] if chip["name"] in (PIM, *rivals)]
    if batches:
        axes["batch"] = batches
    if contexts:
        axes["prompt"] = {"name": "context", "values": contexts}
    return accelsim.Sweep(axes, name=whole.name, fixed=whole.spec.fixed, objectives=whole.spec.objectives)


def frame(store: Path, batches: list[int] | None = None, contexts: list[int] | None = None) -> pd.DataFrame:
    """Seconds and joules of every system at each point, and whether the real stacks would hold it."""
    made = space(list(RIVALS), batches, contexts)
    made.run(store=store)
    rows = made.load(store)
    real: dict[tuple[int, int], bool] = {}
    for batch, context in rows[["batch", "context"]].drop_duplicates().itertuples(index=False):
        request = {"batch": int(batch), "prompt": int(context), "generate": 2, "fidelity": "roofline"}
        real[batch, context] = accelsim.simulate("llama-2-7b", "hbm-pim-64pch", **request).ok
    rows["stacks_hold_it"] = [real[at] for at in zip(rows["batch"], rows["context"], strict=True)]
    return rows[["system", "batch", "context", METRIC, "energy_per_token_j", "stacks_hold_it"]]


def lines(store: Path, batches: list[int] | None = None, contexts: list[int] | None = None) -> dict[str, Crossovers]:
    """Against each rival, the batches between which another is the fastest, for every context."""
    return {
        rival: crossover(space([rival], batches, contexts), metric=METRIC, along="batch", store=store)
        for rival in RIVALS
    }


def gain(found: pd.DataFrame, rival: str) -> pd.DataFrame:
    """How many times as fast as a rival the units are: contexts by batches."""
    table = found.pivot_table(index="context", columns=["system", "batch"], values=METRIC, observed=True)
    ratio: pd.DataFrame = table[rival] / table[PIM]
    return ratio


def picture(found: pd.DataFrame, turns: dict[str, Crossovers]) -> Figure:
    """A map for each rival, the line where the winner changes in black."""
    held = found[found["system"] == PIM].pivot_table(index="context", columns="batch", values="stacks_hold_it")
    with style.look():
        made = style.blank(
            "Decode step of Llama-2-7B: HBM-PIM beside an A100 is so many times as fast as ...", (1300, 460)
        )
        panels = made.subplots(1, len(RIVALS), sharey=True)
        for axes, (rival, name) in zip(panels, RIVALS.items(), strict=True):
            ratio = gain(found, rival)
            image = axes.imshow(ratio, origin="lower", aspect="auto", cmap="RdBu", norm=LogNorm(1 / 3, 3))
            for y, row in enumerate(ratio.to_numpy()):
                for x, value in enumerate(row):
                    light = 0.5 < value < 2
                    axes.text(x, y, f"{value:.2f}", ha="center", va="center", color="black" if light else "white")
                    if not held.iloc[y, x]:
                        box = axes.fill_between([x - 0.5, x + 0.5], y - 0.5, y + 0.5, facecolor="none", linewidth=0)
                        box.set(hatch="//", edgecolor=(0.2, 0.2, 0.2, 0.35))
            _edges(axes, turns[rival], list(ratio.columns), list(ratio.index))
            axes.set_xticks(range(len(ratio.columns)), [str(batch) for batch in ratio.columns])
            axes.set_yticks(range(len(ratio.index)), [f"{context / 1024:g}k" for context in ratio.index])
            axes.set_title(f"... {name}")
            axes.set_xlabel("batch, sequences")
            axes.grid(visible=False)
        panels[0].set_ylabel("context of each, tokens")
        bar = made.colorbar(image, ax=panels, ticks=[1 / 3, 0.5, 1, 2, 3], format="%.2g")
        bar.ax.minorticks_off()
        made.supxlabel(
            "line: another is the fastest, batches bracketed to 1; hatched: beyond the capacity of the real stacks"
        )
    return made


def _edges(axes: Any, turns: Crossovers, batches: list[int], contexts: list[int]) -> None:
    """A vertical stroke in the row of a context wherever the winner changes along its batches."""
    first = math.log2(batches[0])
    scale = (len(batches) - 1) / (math.log2(batches[-1]) - first)
    for answer in turns.answers:
        y = contexts.index(int(answer.case.get("context", contexts[0])))
        for bracket in answer.brackets:
            x = (math.log2(bracket.below.at * bracket.above.at) / 2 - first) * scale
            axes.plot([x, x], [y - 0.5, y + 0.5], color="black", lw=3.5, solid_capstyle="butt")


def main() -> None:
    """Runs the grid and the finder; writes a table and a picture, and says what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--contexts", type=int, nargs="+")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    store = given.out / "pim_crossover.sqlite"
    found = frame(store, given.batches, given.contexts)
    turns = lines(store, given.batches, given.contexts)
    found.to_csv(given.out / "pim_crossover-map.csv", index=False)
    with style.look():
        style.save(picture(found, turns), given.out / "pim_crossover-map.png")
    for rival, answer in turns.items():
        print(f"against {RIVALS[rival]}:")
        for one in answer.answers:
            print(f"  context {one.case.get('context', 'fixed')}: {one.text()}")
    print(f"wrote {given.out / 'pim_crossover-map.csv'} and {given.out / 'pim_crossover-map.png'}")


if __name__ == "__main__":
    main()
