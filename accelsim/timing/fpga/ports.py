"""What the memories of an FPGA board give to its ports, from the commands of their channels."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from accelsim import catalog
from accelsim.spec.dram import Dram
from accelsim.spec.fpga import Ddr, Hbm
from accelsim.timing.dram.surface import surface

PATTERN = "sequential"
"""Of the surface: weights and caches are streams."""

_DDR_IN_FLIGHT = 1 << 18


@lru_cache(maxsize=64)
def dram(memory: Hbm | Ddr) -> Dram:
    """The DRAM of one stack or module, with the presets that the board has.

    Raises:
        UnknownNameError: no such DRAM.
        DescriptionError: no such preset.
    """
    return catalog.dram(memory.dram, {"selected.organization": memory.organization, "selected.timing": memory.timing})


def pseudo_channels(hbm: Hbm) -> int:
    """Pseudo-channels of all stacks."""
    organization = dram(hbm).organization
    return organization.channels * organization.pseudo_channels * hbm.stacks


def port_bytes_per_s(hbm: Hbm, frequency_hz: float) -> float:
    """What one port draws while its bursts run: its channel's achieved bandwidth, or its own width."""
    per_stack = ceil(hbm.channels / hbm.stacks)
    record = dram(hbm)
    in_flight = hbm.outstanding * hbm.burst_bytes * per_stack
    achieved = surface(record, (PATTERN,)).bandwidth_bytes_per_s(PATTERN, in_flight)
    channel = achieved / (record.organization.channels * record.organization.pseudo_channels)
    return min(channel, hbm.port_bits / 8 * frequency_hz)


def burst_share(hbm: Hbm, port_bytes_per_s_: float) -> float:
    """Share of that bandwidth that is left when each burst waits for its first word.

    As many bursts as are outstanding move in one latency and one burst time (Little's law).
    """
    moved = hbm.outstanding * hbm.burst_bytes
    return min(1.0, moved / (port_bytes_per_s_ * hbm.latency_s + hbm.burst_bytes))


def ddr_bytes_per_s(ddr: Ddr) -> float:
    """What all modules achieve on sequential reads."""
    record = dram(ddr)
    return ddr.channels * surface(record, (PATTERN,)).bandwidth_bytes_per_s(PATTERN, _DDR_IN_FLIGHT)
