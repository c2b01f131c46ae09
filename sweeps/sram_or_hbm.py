"""SRAM alone or HBM, for the same money: Llama-2-70B on Groq's LPUs and on H100s.

Varied: context (2k to 32k), sequences in flight, and 1 to 8 H100s that share each layer. Held fixed: weights of 8 bits
(int8 on the LPU, fp8 on the H100) and caches of 16, a decode step by event simulation. Every figure is divided by what
the silicon costs (`accelsim.cost.money`: die by wafer price and yield, interposer, assembly, memory). Known are both
dies' areas, nodes, capacities and rates. Assumed are list prices, that an LPU idles at a quarter of its 300 W, and that
boards, hosts, cables and margins, which are left out, are in proportion.

An LPU system is a pipeline of nodes of eight chips. The simulator runs one batch through it, so that one node works at
a time; that is the dashed line. The full line fills the pipeline: up to as many sequences as nodes with layers, each at
the speed at which one runs alone, as far as the memory holds their caches. That bound has no bubbles; what is true
lies between the two. The same chip shrunk to 4N has three times the memory on a die of the same area (cells of 0.021
instead of 0.064 um2) at the price of that wafer, and nothing else changed.

Found: a sequence runs at 300 tokens/s on LPUs and at 83 on eight H100s, whatever they cost; where 60 tokens/s or less
will do, H100s make more of a dollar. At 2k of context their best is 1.7 times the LPUs' (514 against 302 tokens/s for
1,000 $, at 37 against 301 tokens/s for each sequence) and takes a tenth of the energy; at 32k it is 2.5 times, since
SRAM holds seven such caches for 82,000 $. All of it takes the pipeline to be full: with one batch in it, an LPU system
makes less of a dollar than one H100. A newer node is no way out: cells shrink less than wafers grow dearer.

    python sweeps/sram_or_hbm.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import accelsim
from accelsim.cost import money
from accelsim.report import style

MODEL = "llama-2-70b"
LAYERS = 80
NODE = 8
LPU = "groq-lpu-576"
SHRUNK = {"mem.capacity": "7.5 MiB", "die.process": "tsmc-4n"}
DESIGNS: dict[str, dict[str, Any]] = {"LPU": {}, "LPU shrunk to 4N": SHRUNK}
CONTEXTS = (2048, 4096, 8192, 16384, 32768)
GPU = {"on": "h100-sxm", "weights": "fp8_e4m3", "activations": "fp8_e4m3"}
TOGETHER = (1, 2, 4, 8)
BATCHES = tuple(2**n for n in range(9))
"""Sequences that H100s run together."""


def _row(system: str, way: str, context: int, **found: float) -> dict[str, Any]:
    made = {"system": system, "way": way, "context": context, **found}
    made["tokens_per_s_each"] = made["tokens_per_s"] / made["sequences"]
    made["tokens_per_s_per_kusd"] = made["tokens_per_s"] / made["usd"] * 1e3
    return made


def _step(run: accelsim.Run, batch: int) -> tuple[float, float]:
    """Tokens per second of a decode step, and joules of each."""
    phase = next(row for row in run.rows("phases") if row["phase"] == "decode")
    return batch / phase["time_s"], phase["energy_j"] / batch


def lpus(context: int, designs: dict[str, dict[str, Any]] | None = None, alone: tuple[int, ...] = ()) -> pd.DataFrame:
    """LPU systems with their pipelines filled with 1, 2, 4, ... sequences, as far as any number of chips holds them.

    Args:
        context: tokens of each sequence.
        designs: name -> figures that differ.
        alone: batches that run through it one at a time, too.
    """
    rows = []
    for name, changes in (DESIGNS if designs is None else designs).items():
        request = {"prompt": context, "generate": 2, "overrides": changes}
        steps: dict[int, tuple[int, accelsim.Run]] = {}
        for sequences in _sequences(context, changes):
            chips = max(_chips(context, sequences, changes), NODE * math.ceil(LAYERS / max(1, LAYERS // sequences)))
            layers = math.ceil(LAYERS / (chips // NODE))  # of a node; chips beyond those stay idle and change no time
            if layers not in steps:
                steps[layers] = chips, accelsim.simulate(MODEL, LPU, batch=1, chips=chips, **request)
            ran, run = steps[layers]
            one, joules = _step(run, 1)
            idle_w = run.summary["energy_static_j"] / run.summary["total_time_s"] / ran
            moved_j = joules - idle_w * ran / one
            usd = money.system_usd(accelsim.chip(LPU, {**changes, "count": chips}))
            rows.append(
                _row(
                    name, "filled", context, chips=chips, sequences=sequences, usd=usd, tokens_per_s=sequences * one,
                    j_per_token=moved_j + idle_w * chips / (sequences * one),
                )
            )  # fmt: skip
            if sequences in alone:
                rate, each_j = _step(accelsim.simulate(MODEL, LPU, batch=sequences, chips=chips, **request), sequences)
                rows.append(
                    _row(name, "one batch", context, chips=chips, sequences=sequences, usd=usd, tokens_per_s=rate,
                         j_per_token=each_j)
                )  # fmt: skip
    return pd.DataFrame(rows)


def _sequences(context: int, changes: dict[str, Any]) -> list[int]:
    """Powers of two up to as many sequences as there are layers, and the most that any number of chips holds."""
    low, high = 1, LAYERS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _chips(context, middle, changes) else (low, middle)
    return sorted({*(n for n in BATCHES if n <= low), low})


def _chips(context: int, sequences: int, changes: dict[str, Any]) -> int:
    """The fewest chips that hold so many sequences; 0 if none do."""
    request = {"batch": sequences, "prompt": context, "generate": 2, "overrides": changes}
    held = accelsim.simulate(MODEL, LPU, chips="auto", fidelity="roofline", **request)
    return round(held.summary["memory_capacity_bytes"] / _capacity(changes)) if held.ok else 0


def _capacity(changes: dict[str, Any]) -> float:
    part: Any = accelsim.chip("groq-tsp", changes)
    return float(part.capacity_bytes)


def gpus(context: int, together: tuple[int, ...] = TOGETHER, batches: tuple[int, ...] = BATCHES) -> pd.DataFrame:
    """H100s that share each layer, with batches that fit."""
    rows = []
    for count in together:
        usd = money.system_usd("h100-sxm", count)
        for batch in batches:
            run = accelsim.simulate(MODEL, batch=batch, prompt=context, generate=2, chips=count, **GPU)
            if not run.ok:
                continue
            rate, joules = _step(run, batch)
            rows.append(
                _row(f"H100 x{count}", "together", context, chips=count, sequences=batch, usd=usd, tokens_per_s=rate,
                     j_per_token=joules)
            )  # fmt: skip
    return pd.DataFrame(rows)


def frame(contexts: tuple[int, ...] = CONTEXTS) -> pd.DataFrame:
    """A row per system, context and number of sequences."""
    made = []
    for context in contexts:
        made += [lpus(context, alone=(1, 2, 4, 8) if context == contexts[0] else ()), gpus(context)]
    return pd.concat(made, ignore_index=True)


def best(found: pd.DataFrame) -> pd.DataFrame:
    """The most tokens for a dollar: a row per context, a column per kind of system."""
    kind = found["system"].where(~found["system"].str.startswith("H100"), "H100")
    rows = found[found["way"] != "one batch"]
    made: pd.DataFrame = rows.groupby([rows["context"], kind])["tokens_per_s_per_kusd"].max().unstack()
    return made


COLORS = {"LPU": style.VERMILION, "LPU shrunk to 4N": style.ORANGE, "H100": style.BLUE}


def picture(found: pd.DataFrame) -> Figure:
    """What a dollar makes against how fast each sequence runs, at two contexts; and the best over all contexts."""
    contexts = sorted(found["context"].unique())
    shown = [contexts[0], contexts[-1]]
    with style.look():
        made = style.blank("Llama-2-70B in 8 bits: SRAM alone or HBM, for the same money", (1300, 480))
        *fronts, over = made.subplots(1, 3, sharey=True)
        for axes, context in zip(fronts, shown, strict=True):
            rows = found[found["context"] == context]
            for (system, way), line in rows.groupby(["system", "way"], sort=False):
                gpu = str(system).startswith("H100")
                axes.plot(
                    line["tokens_per_s_each"], line["tokens_per_s_per_kusd"], color=COLORS["H100" if gpu else system],
                    marker="o", ms=4, lw=1 if gpu else 2, ls="--" if way == "one batch" else "-",
                )  # fmt: skip
                first = line.iloc[0]
                if gpu:
                    axes.annotate(
                        str(system).removeprefix("H100 "), (first["tokens_per_s_each"], first["tokens_per_s_per_kusd"]),
                        xytext=(0, -14), textcoords="offset points", ha="center", fontsize=9, color=style.BLUE,
                    )  # fmt: skip
            axes.set_title(f"{context // 1024}k tokens of context; points: 1, 2, 4, ... sequences")
            axes.set_xlabel("speed of each sequence, tokens/s")
            axes.set_xlim(0, 360)
        fronts[0].set_ylabel("tokens/s for 1,000 $ of silicon")
        for name, line in best(found).items():
            over.plot(line.index / 1024, line, color=COLORS[str(name)], marker="o", lw=2, label=name)
        over.plot([], [], color=style.GREY, ls="--", lw=2, label="one batch in the pipeline")
        over.set_xscale("log", base=2)
        over.set_yscale("log")
        over.set_ylim(2, 1000)
        over.set_yticks([3, 10, 30, 100, 300, 1000], ["3", "10", "30", "100", "300", "1,000"])
        over.minorticks_off()
        over.set_xticks([c / 1024 for c in contexts], [f"{c // 1024}k" for c in contexts])
        over.set_title("the most that a dollar makes")
        over.set_xlabel("context of each sequence, tokens")
        over.legend(loc="lower left")
    return made


def main() -> None:
    """Runs all systems; writes a table and a picture, and prints the best of each context."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = frame()
    found.to_csv(given.out / "sram_or_hbm.csv", index=False)
    with style.look():
        style.save(picture(found), given.out / "sram_or_hbm.png")
    rows = found.loc[found.groupby(["context", "system", "way"], sort=False)["tokens_per_s_per_kusd"].idxmax()]
    print(rows.drop(columns="usd").assign(kusd=rows["usd"] / 1e3).round(2).to_string(index=False))
    print(f"wrote {given.out / 'sram_or_hbm.csv'} and {given.out / 'sram_or_hbm.png'}")


if __name__ == "__main__":
    main()
