"""Rates of slices and links against what is published, and the ways through the chip."""

from __future__ import annotations

import pytest

from accelsim.mapping.tsp import matrix, vector
from accelsim.timing.tsp import topology
from accelsim.timing.tsp.floorplan import Floorplan
from accelsim.timing.tsp.rates import flight_cycles, link_cycles, loads, vector_pass
from tests.mapping.tsp_parts import part, system


def test_all_weights_are_in_the_planes_within_forty_cycles() -> None:
    """Abts et al., ISCA 2020: 409,600 weights in less than 40 cycles, the way through the chip included."""
    chip = part()
    best = max(loads(chip, chip.peak[0], out_bytes=1), key=lambda way: way.rows * way.groups)
    assert best.groups == 2
    sets = best.sets(chip.lanes.vector)
    assert 20 <= sets <= 22  # 16 streams would do it in 20 cycles; activations keep one of each plane's
    first_hop = Floorplan.of(chip).mxm - Floorplan.of(chip).mem
    assert sets + chip.mem.read + first_hop < 40


def test_links_and_their_latency() -> None:
    chip = part()
    assert link_cycles(chip) == 21  # 320 B at 14 GB/s in cycles of 900 MHz: 20.6
    assert flight_cycles(chip) == 216  # as published
    assert link_cycles(part(c2c__bandwidth="1 TB/s")) == 1


def test_conversion_is_limited_by_alus_and_wider_operations_by_chains() -> None:
    chip = part()
    int8_to_fp16 = chip.convert[0]
    best = max(loads(chip, chip.peak[1], 1.0, 2, int8_to_fp16), key=lambda way: way.rows / way.stride)
    assert (best.groups, best.rows, best.stride) == (1, 7, 1)  # 16 ALUs per lane, one on either side for sums
    three = chip.convert[2]
    assert max(way.rows / way.stride for way in loads(chip, chip.peak[1], 1.0, 2, three)) == pytest.approx(7 / 3)
    assert vector_pass(chip, 1, 2, 2).width == 16
    assert vector_pass(chip, 8, 2, 2).width == 2
    assert vector_pass(chip, 40, 2, 2).stride == 3


def test_no_way_takes_more_streams_ports_or_alus_than_there_are() -> None:
    for chip in (part(), part(lanes__streams=24), part(mem__banks=1), part(mxm__planes=16), part(vxm__alus=6)):
        for row in chip.peak:
            for convert in (None, *chip.convert):
                for way in loads(chip, row, 1.0, 4, convert):
                    outward = way.groups * (way.rows * way.size + way.act)
                    assert outward <= chip.lanes.streams
                    assert way.rows <= chip.mxm.weight_streams
                    assert 2 * way.groups * way.size <= chip.mxm.planes
                    if convert:
                        used = way.rows * way.groups * convert.operations / way.stride + way.groups
                        assert used <= chip.vxm.alus / 2


def test_time_of_a_pass_is_tiles_plus_delays_plus_hops() -> None:
    """T = N + d_func + delta (Abts et al., ISCA 2020, equation 4), for one vector there and back."""
    chip = part()
    (section,) = vector.passes(chip, "one", elements=320, operations=1, read=1, written=1)
    read, write = (next(run for run in section.program.runs if run.name.endswith(end)) for end in ("read0", "write0"))
    hops = abs(read.place) + abs(write.place)
    functional = chip.mem.read + chip.vxm.latency + chip.mem.write
    assert section.cycles == chip.lanes.tiles + functional + hops


def test_widths_that_are_no_multiple_of_320_waste_what_is_published() -> None:
    """256 of 320 rows and columns of a plane in ResNet; 4,096 are 12.8 tiles of 13."""
    chip = part()
    for width, used in ((256, 256 / 320), (4096, 12.8 / 13), (320, 1.0)):
        ways = loads(chip, chip.peak[0], out_bytes=1)
        options = matrix.tilings(chip, chip.peak[0], ways, vectors=1 << 20, k=width, n=width, copies=4)
        cycles, best = options[0]
        assert best.steady == pytest.approx((1 << 20) * width**2 * 4 / (4 * 320**2) / used**2, rel=0.003)
        assert cycles >= best.steady


def test_the_topology() -> None:
    fabric = system().fabric
    assert topology.links(fabric, 1) == 0
    assert topology.links(fabric, 2) == topology.links(fabric, 72) == 2
    assert [topology.hops(fabric, apart) for apart in (0, 1, 8, 9, 71)] == [0, 1, 1, 3, 3]
