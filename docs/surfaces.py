"""Samples the memories of the shipped chips anew: `arch/dram/surfaces.json`, so that no run has to.

A surface belongs to the hash of a DRAM's description; see `accelsim.timing.dram.surface`. `make outputs` runs this.
"""

from __future__ import annotations

import json
from math import floor

from accelsim import catalog
from accelsim.devices.pim.ordinary import host_chip, ordinary
from accelsim.mapping.gpu.memory import PATTERN, channel
from accelsim.spec.device import GpuChip
from accelsim.spec.dram import Dram
from accelsim.spec.fpga import FpgaPart
from accelsim.spec.system import System
from accelsim.timing.dram import kept
from accelsim.timing.dram.surface import digest, sampled
from accelsim.timing.fpga.ports import dram


def channels() -> dict[str, tuple[Dram, list[str]]]:
    """Hash -> the channel, and the shipped chips, or systems as their host's memory, that have it."""
    found: dict[str, tuple[Dram, list[str]]] = {}
    for name in catalog.names("arch"):
        chip = catalog.chip(name)
        if isinstance(chip, System) and chip.memory == "replaces":
            chip = host_chip(chip, ordinary(catalog.part(chip)))
        if isinstance(chip, GpuChip):
            memories = [channel(chip.memory)]
        elif isinstance(chip, FpgaPart):
            memories = [dram(memory) for memory in (chip.hbm, chip.ddr) if memory is not None]
        else:
            continue
        for memory in memories:
            found.setdefault(digest(memory), (memory, []))[1].append(name)
    return found


def whole(grid: kept.Grid) -> list[list[int]]:
    """Samples in whole bytes per second, never above what was sampled."""
    return [[floor(rate) for rate in row] for row in grid]


def main() -> None:
    """Writes the file."""
    lines = []
    for key, (memory, names) in sorted(channels().items(), key=lambda item: item[1][1]):
        content = {"of": f"{memory.name}: {', '.join(names)}", PATTERN: whole(sampled(memory, PATTERN))}
        lines.append(f"{json.dumps(key)}: {json.dumps(content)}")
    kept.shipped_file().write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
