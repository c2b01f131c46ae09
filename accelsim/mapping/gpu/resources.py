"""The resources of one GPU, from its description."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from accelsim.mapping.gpu.links import fastest
from accelsim.mapping.kernel import Resource
from accelsim.spec.device import GpuChip

TENSOR: Final = "chip.sm.tensor"
VECTOR: Final = "chip.sm.vector"
SPECIAL: Final = "chip.sm.special"
REGISTER: Final = "chip.sm.register"
SHARED: Final = "chip.sm.shared"
L2_PORT: Final = "chip.sm.l2_port"
L2: Final = "chip.l2"
MEMORY: Final = "chip.memory"
LINK: Final = "chip.link"


def resources(chip: GpuChip) -> dict[str, Resource]:
    """Units and ports by name. Units count cycles of one SM; all SMs together are one resource."""
    sms, clock = chip.sm.count, chip.clock.sm.frequency_hz
    cycles = float(sms * clock)
    return {
        r.name: r
        for r in (
            Resource(TENSOR, "clk", cycles, sms, "compute", "tensor"),
            Resource(VECTOR, "clk", cycles, sms, "vector", "vector"),
            Resource(SPECIAL, "clk", cycles, sms, "vector", "vector"),
            Resource(REGISTER, "B", cycles * chip.sm.register_bytes_per_clock, sms, "sram", "register"),
            Resource(SHARED, "B", cycles * chip.sm.shared_bytes_per_clock, sms, "sram", "shared"),
            Resource(L2_PORT, "B", cycles * chip.sm.l2_port_bytes_per_clock, sms, "cache", ""),
            Resource(L2, "B", clock * chip.l2.bytes_per_clock, 1, "cache", "l2"),
            Resource(MEMORY, "B", chip.memory.bandwidth_bytes_per_s, 1, "memory", "memory"),
        )
    }


def joined(chip: GpuChip, devices: int) -> dict[str, Resource]:
    """The same of several equal GPUs that work in step, each resource of all of them together, and their links."""
    found = resources(chip)
    link = fastest(chip)
    if link is not None:
        found[LINK] = Resource(LINK, "B", link.bandwidth_bytes_per_s, 1, "link", "link")
    return {
        name: replace(resource, rate=resource.rate * devices, count=resource.count * devices)
        for name, resource in found.items()
    }
