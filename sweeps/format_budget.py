"""The staircase of format_budget.toml: what a larger error buys on each chip, and which format to buy it with.

The TOML file has the question, the chips and formats, and what error, time and energy are of. This runs it without the
budget and draws, over all budgets, the fastest and the most frugal format whose error keeps to it.

Found within 0.03 nats: GPUs take four-bit integers, 2.3 times as fast as 16 bits on an H100, 1.9 times on a B200. On
HBM-PIM nothing but four bits pays, by 11 % in time and for 45 % more energy: all other formats are the host's to
multiply, beside units that take fp16 alone. GDDR6-AiM stays with bf16, which its banks multiply, and Groq's LPUs with
fp16: where memory is no bound, conversion is all that is left of a narrow format. Below 0.001 nats int8 with a scale
for each channel is what GPUs have left. FlightLLM's HBM has no room for 16 bits: it starts from int8 in groups, and its
four bits, 1.9 times as fast, miss the budget by a little, since its activations are int8, too.

    python sweeps/format_budget.py [--budget 0.03] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import accelsim
from accelsim.report import style

METRICS = {"time_per_output_token_s": "speed", "energy_per_token_j": "tokens for a joule"}
WIDE = ("bf16", "fp16")


def frame(
    store: Path | None = None, chips: list[str] | None = None, weights: list[str] | None = None
) -> pd.DataFrame:  # fmt: skip
    """Error, seconds and joules of every chip and format; those that cannot be executed or priced are left out."""
    spec = accelsim.Sweep.read(Path(__file__).with_suffix(".toml")).spec
    axes: dict[str, Any] = {key: axis.model_dump(exclude_defaults=True) for key, axis in spec.axes.items()}
    axes |= {key: value for key, value in (("chip", chips), ("weights", weights)) if value}
    made = accelsim.Sweep(axes, name="format_budget-all", fixed=spec.fixed, derived={"error": "kl_nats"})
    made.run(store=store)
    found = made.load(store)
    return found.loc[found["error"].notna(), ["chip", "weights", "error", *METRICS]].reset_index(drop=True)


def stairs(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Of each chip the formats that are best at some budget, the tightest first: error, figure, gain over 16 bits.

    A chip that has no room for 16 bits is compared with its least error.
    """
    rows = []
    for chip, formats in found.groupby("chip", observed=True, sort=False):
        most = formats.loc[formats["weights"].isin(WIDE), metric].min()
        wide = least = formats.sort_values("error")[metric].iloc[0] if pd.isna(most) else most
        for row in formats.sort_values(["error", metric]).to_dict("records"):
            if row[metric] < least or row[metric] == wide:
                least = row[metric]
                rows.append({"chip": chip, "format": row["weights"], "error": row["error"], metric: least,
                             "gain": wide / least})  # fmt: skip
    return pd.DataFrame(rows)


def best(found: pd.DataFrame, budget: float, metric: str = "time_per_output_token_s") -> pd.DataFrame:
    """The best format of each chip within a budget: a row per chip."""
    within = stairs(found, metric).query("error <= @budget")
    made: pd.DataFrame = within.groupby("chip", observed=True, sort=False).last()
    return made


def picture(found: pd.DataFrame) -> Figure:
    """Gain over 16 bits, over the error that is allowed: a staircase for each chip, its formats written beside it."""
    least, most = 2e-5, 0.3
    colors = dict(zip(found["chip"].unique(), style.SERIES, strict=False))
    with style.look():
        made = style.blank("Decoding with Llama-2-7B: what error buys, and in which format of the weights", (1300, 560))
        for axes, (metric, name) in zip(made.subplots(1, 2), METRICS.items(), strict=True):
            ends = []
            for chip, steps in stairs(found, metric).groupby("chip", observed=True, sort=False):
                x, color = steps["error"].clip(lower=least), colors[chip]
                axes.step([*x, most], [*steps["gain"], steps["gain"].iloc[-1]], where="post", color=color, lw=2)
                axes.plot(x, steps["gain"], "o", color=color, ms=5)
                ends.append((float(steps["gain"].iloc[-1]), f"{chip}: {steps['format'].iloc[-1]}", color))
                if chip == found["chip"].iloc[0]:
                    for at, then, row in zip(x.iloc[1:-1], x.iloc[2:], steps.iloc[1:-1].itertuples(), strict=True):
                        if then > 1.5 * at:  # else the names of both would lie on each other
                            axes.annotate(row.format, (at, row.gain), xytext=(-4, 5), textcoords="offset points",
                                          color=color, fontsize=9, ha="right")  # fmt: skip
            top = 1.08 * max(gain for gain, _, _ in ends)
            place = 0.0
            for gain, text, color in sorted(ends):
                place = max(gain, place + (top - 0.9) / 22)
                axes.annotate(text, (most, place), xytext=(4, 0), textcoords="offset points", color=color, va="center",
                              fontsize=9, annotation_clip=False)  # fmt: skip
            axes.set_xscale("log")
            axes.set_xlim(least, most)
            axes.set_ylim(0.9, top)
            axes.set_xlabel("divergence from float64 that is allowed, nats per token (tiny-llama)")
            axes.set_ylabel(f"{name}, times that of 16 bits (flightllm: 8)")
    return made


def main() -> None:
    """Executes and prices; writes a table and a picture, and prints the best format of each chip within the budget."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--budget", type=float, default=0.03, help="nats per token")
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = frame(given.out / "format_budget-all.sqlite")
    found.to_csv(given.out / "format_budget.csv", index=False)
    with style.look():
        style.save(picture(found), given.out / "format_budget.png")
    for metric, name in METRICS.items():
        print(f"{name}, error up to {given.budget:g} nats per token:")
        print(best(found, given.budget, metric).round(5).to_string())
    print(f"wrote {given.out / 'format_budget.csv'} and {given.out / 'format_budget.png'}")


if __name__ == "__main__":
    main()
