"""Every figure of a chip counts for something, and every rate can be what limits a run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import accelsim
from accelsim import catalog
from accelsim.mapping.gpu.links import fastest
from accelsim.results import Run
from accelsim.spec.device import DESCRIPTIVE, GpuChip
from tests.figures import numbers
from tests.physics.models import few_layers
from tests.physics.random_chips import figure, gpu, record_row, scaled

CHIPS = [name for name in catalog.names("arch") if isinstance(catalog.chip(name), GpuChip)]
if os.environ.get("ACCELSIM_HYPOTHESIS") != "thorough":
    CHIPS = ["h100-sxm"]

PAIRS = ("peak", "convert", "narrow", "software")
"""Tables of which a run notices only what its formats need."""

BY_STRUCTURE = ("dybit4", "posit6", "takum12", "olive4", "fp8_e4m3_g32")
"""Formats that no chip has rows for: table of 16, table of 256, fields, outliers, scales."""

MATMUL: dict[str, Any] = {"m": 2048, "n": 2048, "k": 2048}
LIMITS: dict[str, tuple[str, dict[str, float], str, dict[str, Any]]] = {
    "tensor": ("compute", {"peak.*.rate": 1e-3}, "matmul", MATMUL),
    "vector": ("vector", {"vector.rate": 1e-3}, "layernorm", {"rows": 2048, "columns": 4096}),
    "special": ("vector", {"vector.special": 1e-3}, "softmax", {"rows": 2048, "columns": 4096}),
    "register": ("sram", {"sm.register_bandwidth": 1e-3}, "matmul", MATMUL),
    "shared": ("sram", {"sm.shared_bandwidth": 1e-3}, "matmul", MATMUL),
    "l2_port": ("cache", {"sm.l2_port": 1e-3}, "matmul", MATMUL),
    "l2": ("cache", {"l2.bandwidth": 1e-3}, "matmul", MATMUL),
    "memory": ("memory", {"memory.bandwidth": 1e-3}, "matmul", MATMUL),
    "launch": ("launch", {"timing.launch": 1e3}, "matmul", {"m": 16, "n": 512, "k": 512}),
    # too few bytes under way starve the memory, or the steps that wait for them, whichever holds fewer
    "latency": ("memory pipeline", {"timing.memory_latency": 1e3}, "matmul", MATMUL),
}


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("what", LIMITS)
def test_a_thousandth_of_any_rate_is_what_limits_a_run(what: str, name: str) -> None:
    words, factors, kind, dims = LIMITS[what]
    chip = gpu(name)
    rows = range(len(chip.raw["peak"]))
    spread = {
        path.replace("*", str(row)): factor
        for path, factor in factors.items()
        for row in (rows if "*" in path else [0])
    }
    usual = accelsim.simulate_operator(kind, on=chip, **dims)
    slowed = accelsim.simulate_operator(kind, on=scaled(chip, spread), **dims)
    assert slowed.operators["bound"].tolist()[0] in words.split()
    assert slowed.summary["total_time_s"] > 5 * usual.summary["total_time_s"]


def descriptive(path: str, chip: GpuChip) -> bool:
    """Whether a figure is listed as one that no result depends on; a table's name stands for all its keys."""
    if path.startswith("peak."):
        path = f"peak.{chip.peak[record_row(chip, int(path.split('.')[1]))].sparsity}"
    if path.startswith("link.") and chip.link[int(path.split(".")[1])] is not fastest(chip):
        path = "link.slower"
    if path == "energy.link" and not chip.link:
        return True
    plain = ".".join(part for part in path.split(".") if not part.isdigit())
    return any(plain == entry or plain.startswith(f"{entry}.") for entry in DESCRIPTIVE)


def told(run: Run, chip: GpuChip) -> dict[str, Any]:
    """Time, energy, capacity and feasibility; what merely repeats a figure of the chip is left out."""
    echo = {"power_limit_w", "memory_capacity_bytes"}
    figures = {key: value for key, value in run.summary.items() if key not in echo and not math.isnan(value)}
    figures["feasible"] = run.infeasible is None
    return figures


def workloads(chip: GpuChip, path: str) -> list[Callable[[GpuChip], Run]]:
    """Runs of which one should notice a change of this figure."""
    parts = path.split(".")
    operands = [(None, None)]
    if parts[0] == "peak":
        row = chip.peak[record_row(chip, int(parts[1]))]
        operands = [row.operands]
    if parts[0] == "convert":
        row = chip.convert[int(parts[1])]
        named = {name for peak in chip.peak for name in peak.operands}
        targets = [name for name in row.targets if name in named]
        operands = [(target, source) for target in targets for source in row.sources]
        operands += [(source, source) for source in row.sources]

    if parts[0] == "narrow":
        operands = [(name, None) for name in chip.narrow[int(parts[1])].targets]
    if parts[0] == "software":
        operands = [(None, name) for name in BY_STRUCTURE] + [(name, None) for name in BY_STRUCTURE]

    def product(first: str | None, second: str | None, **dims: int) -> Callable[[GpuChip], Run]:
        return lambda on: accelsim.simulate_operator("matmul", on=on, format=first, weights=second, **dims)

    made = [product(a, b, m=m, n=n, k=4096) for a, b in operands for m, n in ((4096, 4096), (16, 512), (1, 32_768))]
    if chip.link and "link" in parts:
        return [lambda on: accelsim.simulate_operator("all_reduce", on=on, bytes=10**8, devices=2)]
    if parts[0] not in PAIRS:
        # narrow weights and a short depth: only several resident tiles keep enough bytes in flight
        made += [
            product(None, "int4", m=m, n=n, k=k) for m, n, k in ((41, 4820, 1116), (33, 3795, 20), (233, 19_861, 17))
        ]
        made.append(lambda on: accelsim.simulate_operator("softmax", on=on, rows=1000, columns=4096))
        made.append(lambda on: accelsim.simulate(few_layers("llama-3-8b", 1), on, prompt=500, generate=2))
    return made


@pytest.mark.parametrize("name", CHIPS)
def test_no_figure_is_dead(name: str) -> None:
    chip = gpu(name)

    @cache
    def before(index: int, path_kind: str) -> dict[str, Any]:
        return told(workloads(chip, path_kind)[index](chip), chip)

    dead = []
    for path in numbers_of_file(chip):
        if descriptive(path, chip):
            continue
        shared = path if path.split(".")[0] in PAIRS else ""
        changed = False
        for factor in (0.5, 2.0, 0.01, 100.0, 1e-4):
            value = figure(chip, path)
            if isinstance(value, int) and max(1, round(value * factor)) == value:
                continue
            try:
                other = scaled(chip, {path: factor})
            except accelsim.AccelsimError:
                continue  # the description does not allow so much
            for index, run in enumerate(workloads(chip, path)):
                after = told(run(other), other)
                base = before(index, shared or path) if shared else before(index, "any")
                if {k: v for k, v in after.items() if k != "events"} != {
                    k: v for k, v in base.items() if k != "events"
                }:
                    changed = True
                    break
            if changed:
                break
        if not changed:
            dead.append(path)
    assert dead == []


def numbers_of_file(chip: GpuChip) -> list[str]:
    """All numeric figures; a row of `peak` that stands for several pairs once."""
    others = [path for path in numbers(chip) if not path.startswith("peak.")]
    return [*others, *(f"peak.{row}.{key}" for row in range(len(chip.raw["peak"])) for key in ("rate", "energy"))]
