"""The resources of a system of tensor streaming processors."""

from __future__ import annotations

from typing import Final

from accelsim.mapping.kernel import Resource
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.timing.tsp.floorplan import Floorplan

SRAM: Final = "chip.sram"
STREAM: Final = "chip.stream"
LOAD: Final = "chip.mxm.load"
MXM: Final = "chip.mxm"
VXM: Final = "chip.vxm"
CONVERT: Final = "chip.vxm.convert"
LOCAL: Final = "chip.link.local"
GLOBAL: Final = "chip.link.global"
PIPELINE: Final = "chip.pipeline"
LOCAL_FLIGHT: Final = "chip.link.local.flight"
GLOBAL_FLIGHT: Final = "chip.link.global.flight"
TURNAROUND: Final = "chip.turnaround"


def resources(system: TspSystem, part: TspPart) -> dict[str, Resource]:
    """Slices, streams and links of all chips by name; those of one chip work for `1 / count` of the rate.

    Streams count bytes times hops. `chip.pipeline`, the flights and `chip.turnaround` are no units but time that the
    schedule spends on ways through the slices, on ways between chips and between operators, in cycles.
    """
    chips, clock = system.count, part.clock.core.frequency_hz
    places = 2 * Floorplan.of(part).mxm

    def unit(name: str, each: int, bound: str, component: str) -> Resource:
        return Resource(name, "clk", clock * chips * each, chips * each, bound, component)

    def time(name: str, bound: str) -> Resource:
        return Resource(name, "clk", clock, 1, bound, "")

    found = (
        Resource(SRAM, "B", clock * chips * part.sram_bytes_per_clock, chips * part.mem.slices, "sram", "memory"),
        Resource(STREAM, "B", clock * chips * part.stream_bytes_per_clock * places, chips, "sram", "register"),
        unit(LOAD, part.mxm.planes, "sram", ""),
        unit(MXM, part.mxm.planes, "compute", "tensor"),
        unit(VXM, part.vxm.alus, "vector", "vector"),
        unit(CONVERT, part.vxm.alus, "convert", "vector"),
        unit(LOCAL, max(1, system.fabric.local_links), "link", "link"),
        unit(GLOBAL, max(1, system.fabric.global_links), "link", "link"),
        time(PIPELINE, "pipeline"),
        time(LOCAL_FLIGHT, "link"),
        time(GLOBAL_FLIGHT, "link"),
        time(TURNAROUND, "issue"),
    )
    return {resource.name: resource for resource in found}
