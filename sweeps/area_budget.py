"""What belongs into a die of 600 square millimetres: SMs or memory interfaces?

Llama-2-7B on dies like the H100's, by the roofline. Varied: SMs (24 to 168) and HBM3 stacks (2 to 10, 16 GB and 670
GB/s each), and three requests: one prompt of 2,048 tokens alone, one sequence that decodes, and 16 of them. Held fixed:
everything else of the chip, spare parts of its die included. Areas and costs are those of `accelsim.cost`, good to some
10 % in total; docs/area.md says what stands behind them.

Found at 600 mm2: a prompt alone wants SMs, 96 of them with three stacks; a single sequence all stacks that
there are, ten with 48 SMs; 16 sequences with their prompts lie between, with 60 SMs and eight stacks.

    python sweeps/area_budget.py [--budget 600] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import accelsim
from accelsim.cost import money
from accelsim.report import style

CHIP = "h100-sxm"
SMS = tuple(range(24, 169, 12))
STACKS = tuple(range(2, 11))
STACK = {"GB/s": 670, "GB": 16}
REQUESTS: dict[str, dict[str, int]] = {
    "a prompt alone": {"prompt": 2048, "generate": 1, "batch": 1},
    "one sequence": {"prompt": 128, "generate": 128, "batch": 1},
    "16 sequences": {"prompt": 2048, "generate": 128, "batch": 16},
}


def frame(sms: tuple[int, ...] = SMS, stacks: tuple[int, ...] = STACKS) -> pd.DataFrame:
    """A row per design and request."""
    rows = []
    for count in sms:
        for interfaces in stacks:
            chip: Any = accelsim.chip(
                CHIP,
                {
                    "sm.count": count,
                    "memory.stacks": interfaces,
                    "memory.bandwidth": f"{STACK['GB/s'] * interfaces} GB/s",
                    "memory.capacity": f"{STACK['GB'] * interfaces} GB",
                },
            )
            made = money.cost(chip)
            for name, request in REQUESTS.items():
                run = accelsim.simulate("llama-2-7b", chip, fidelity="roofline", **request)
                tokens = request["prompt"] * request["batch"] if request["generate"] == 1 else 0
                rows.append(
                    {
                        "request": name,
                        "sms": count,
                        "stacks": interfaces,
                        "area_mm2": made.area.total_m2 * 1e6,
                        "cost_usd": made.total_usd,
                        "fits": run.ok,
                        "tokens_per_s": tokens / run.summary["prefill_time_s"]
                        if tokens
                        else run.summary["tokens_per_s"],
                    }
                )
    return pd.DataFrame(rows)


def best(found: pd.DataFrame, budget_mm2: float) -> pd.DataFrame:
    """The fastest design of each request within an area."""
    within = found[found["fits"] & (found["area_mm2"] <= budget_mm2)]
    return within.loc[within.groupby("request", sort=False)["tokens_per_s"].idxmax()]


def picture(found: pd.DataFrame, budget_mm2: float) -> Figure:
    """Speed over SMs and stacks, the area as a line, the best within it marked."""
    chosen = best(found, budget_mm2).set_index("request")
    with style.look():
        made = style.blank(
            f"Llama-2-7B on dies like the H100's: what {budget_mm2:g} mm2 are best used for", (1200, 480)
        )
        for axes, (name, rows) in zip(made.subplots(1, 3), found.groupby("request", sort=False), strict=True):
            speed = rows.pivot_table(index="stacks", columns="sms", values="tokens_per_s")
            area = rows.pivot_table(index="stacks", columns="sms", values="area_mm2")
            axes.contourf(speed.columns, speed.index, speed / speed.to_numpy().max(), levels=12, cmap="viridis")
            lines = axes.contour(area.columns, area.index, area, levels=[budget_mm2], colors="white", linewidths=2.5)
            axes.clabel(lines, fmt=lambda value: f"{value:g} mm2")
            axes.plot(chosen.loc[name, "sms"], chosen.loc[name, "stacks"], "*", ms=18, color="#D55E00", mec="white")
            axes.set_title(f"{name}: {chosen.loc[name, 'tokens_per_s']:,.0f} tokens/s at the star")
            axes.set_xlabel("SMs")
            axes.set_ylabel("HBM3 stacks")
            axes.set_ylim(found["stacks"].min() - 0.5, found["stacks"].max() + 0.5)
            axes.grid(visible=False)
    return made


def main() -> None:
    """Runs the grid; writes a table and a picture, and prints the best designs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--budget", type=float, default=600.0, help="square millimetres")
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = frame()
    found.to_csv(given.out / "area_budget.csv", index=False)
    with style.look():
        style.save(picture(found, given.budget), given.out / "area_budget.png")
    print(best(found, given.budget).drop(columns="fits").round(1).to_string(index=False))
    print(f"wrote {given.out / 'area_budget.csv'} and {given.out / 'area_budget.png'}")


if __name__ == "__main__":
    main()
