"""HBM bandwidth against FLOPs at fixed power: what are the watts and square millimetres of an H100 best spent on?

Llama-2-7B in bf16 on dies as large as the H100's. Varied: HBM3 stacks (2 to 12, 670 GB/s each); the SMs fill what their
interfaces leave of the die (`accelsim.cost.area`); the board's limit, 700 W and 350 W. Held fixed: L2, links, capacity
(deep enough for all points), the nominal clock. The simulator finds the clock: joules of all events, times what a board
draws for each (fitted on H200, docs/energy.md), must keep to the limit, and the SMs slow down as the voltage allows.

Two ways to share the watts. *Shared*, as boards do: the memory takes what it moves, the SMs the rest, kernel by kernel.
*Fixed*: the memory is supplied for its full bandwidth at all times, the SMs never get more than the rest. Energies of
events are those of the chip's file: 3.9 pJ/bit of HBM is HBM2's (assumed), and a board draws three times as much.

Found at 700 W: a prompt is fastest with four stacks and 138 SMs, and five lose 1 %; a single sequence wants every stack
there is, 32 of them nine, 256 short ones seven, where SMs become the bound. The five stacks of an H100 leave 38 % of
the speed of single sequences on the table. A memory whose watts are fixed would cost a prompt 19 % of its speed at five
stacks and half at eight: sharing is what makes many stacks bearable. At 350 W decoding stops growing at four stacks,
since the watts and not the pins are then what a stream is bound by.

    python sweeps/power_split.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import accelsim
from accelsim.cost import area
from accelsim.mapping.gpu.power import supply
from accelsim.report import style

CHIP = "h100-sxm"
STACKS = tuple(range(2, 13))
STACK_GB_PER_S = 670
LIMITS_W = (700, 350)
REQUESTS: dict[str, dict[str, int]] = {
    "prompt of 2,048": {"prompt": 2048, "generate": 1, "batch": 1},
    "decode, batch 1": {"prompt": 2048, "generate": 2, "batch": 1},
    "decode, batch 32": {"prompt": 2048, "generate": 2, "batch": 32},
    "decode, batch 256": {"prompt": 256, "generate": 2, "batch": 256},
}


def design(stacks: int) -> dict[str, Any]:
    """Figures of a die of the same area with so many stacks: as many SMs as then have room."""
    found = area.of(CHIP)
    chip: Any = accelsim.chip(CHIP)
    interfaces = chip.memory.stacks + chip.die.spare_interfaces
    per_stack = (found.parts_m2["memory PHY"] + found.parts_m2["memory controller"]) / interfaces
    per_sm = (found.cores_m2 + found.parts_m2["network"]) / (chip.sm.count + chip.die.spare_sms)
    return {
        "sm.count": chip.sm.count + int((chip.memory.stacks - stacks) * per_stack / per_sm // 1),
        "memory.stacks": stacks,
        "memory.bandwidth": f"{STACK_GB_PER_S * stacks} GB/s",
        "memory.capacity": "1 TiB",
    }


def fixed(stacks: int, limit_w: float) -> dict[str, Any] | None:
    """Figures that keep a full stream's watts from the SMs at all times; None where nothing is left for them.

    The watts count as idle ones, and the memory's events then cost nothing more: times are right, joules are not told.
    """
    chip: Any = accelsim.chip(CHIP)
    board = supply(chip)
    memory_w = board.drawn * chip.energy.memory_j_per_byte * STACK_GB_PER_S * 1e9 * stacks
    if board.idle_w + memory_w >= 0.95 * limit_w:
        return None
    return {"power.idle": f"{board.idle_w + memory_w} W", "energy.memory": "1e-9 pJ/bit"}


def frame(stacks: tuple[int, ...] = STACKS, limits_w: tuple[int, ...] = LIMITS_W) -> pd.DataFrame:
    """A row per limit, way to share, design and request: seconds of a prompt or a step, and the watts drawn."""
    rows = []
    for limit_w in limits_w:
        for count in stacks:
            for way, more in (("shared", {}), ("fixed", fixed(count, limit_w))):
                if more is None:
                    continue
                figures = {**design(count), "power.limit": f"{limit_w} W", **more}
                for name, request in REQUESTS.items():
                    run = accelsim.simulate("llama-2-7b", CHIP, overrides=figures, **request)
                    last = run.rows("phases")[-1]
                    rows.append(
                        {"limit_w": limit_w, "way": way, "stacks": count, "sms": figures["sm.count"], "request": name,
                         "time_s": last["time_s"],
                         "power_w": last["energy_j"] / last["time_s"] if way == "shared" else float("nan")}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def best(found: pd.DataFrame) -> pd.DataFrame:
    """The fastest design: a row per request, a column per limit and way."""
    rows = found.loc[found.groupby(["limit_w", "way", "request"], sort=False)["time_s"].idxmin()]
    made: pd.DataFrame = rows.pivot_table(index="request", columns=["limit_w", "way"], values="stacks", sort=False)
    return made


def picture(found: pd.DataFrame) -> Figure:
    """How fast each design is, as a share of the fastest at the larger limit; stars where a line is highest."""
    top = found["limit_w"].max()
    fastest = found[found["limit_w"] == top].groupby("request")["time_s"].min()
    with style.look():
        made = style.blank("Llama-2-7B on a die of the H100's area: HBM stacks or SMs, at a fixed power", (1200, 500))
        panels = made.subplots(1, found["limit_w"].nunique(), sharey=True, squeeze=False)[0]
        for axes, (limit_w, rows) in zip(panels, found.groupby("limit_w", sort=False), strict=True):
            for color, name in zip(style.SERIES, REQUESTS, strict=False):
                for way, line in rows[rows["request"] == name].groupby("way", sort=False):
                    speed = fastest[name] / line["time_s"]
                    axes.plot(line["stacks"], speed, color=color, ls="-" if way == "shared" else "--", lw=2,
                              label=name if way == "shared" else None)  # fmt: skip
                    at = speed.idxmax()
                    axes.plot(line.loc[at, "stacks"], speed[at], "*", ms=13, color=color, mec="white")
            sms = found.drop_duplicates("stacks").set_index("stacks")["sms"]
            axes.set_xticks(list(sms.index), [f"{n}\n{sms[n]}" for n in sms.index])
            axes.set_title(f"{limit_w} W")
            axes.set_xlabel("HBM3 stacks, and the SMs that the rest of the die holds")
            axes.set_ylim(0, 1.08)
        panels[0].set_ylabel(f"speed, share of the best at {top} W")
        panels[0].plot([], [], color=style.GREY, ls="--", lw=2, label="memory's watts fixed")
        panels[0].legend(loc="lower right")
    return made


def main() -> None:
    """Runs all designs; writes a table and a picture, and prints the fastest designs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("accelsim-results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = frame()
    found.to_csv(given.out / "power_split.csv", index=False)
    with style.look():
        style.save(picture(found), given.out / "power_split.png")
    print("stacks of the fastest design, by limit in watts and way to share them:")
    print(best(found).to_string())
    print(f"wrote {given.out / 'power_split.csv'} and {given.out / 'power_split.png'}")


if __name__ == "__main__":
    main()
