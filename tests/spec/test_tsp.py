"""The description of the tensor streaming processor: its arithmetic, its topology, and what is refused."""

from __future__ import annotations

import re

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError
from accelsim.numerics.accumulator_presets import PRESETS
from accelsim.spec.tsp import TspPart, TspSystem, lone
from tests.mapping.tsp_parts import part, system


def test_the_prose_of_the_chip_adds_up() -> None:
    chip, prose = part(), catalog.prose(catalog.path("arch", "groq-tsp"))
    int8, fp16 = chip.peak
    published = re.search(
        r"Published peak: (\d+) planes x (\d+) x (\d+) MAC x 2 x ([\d.]+) GHz = ([\d.]+) TOP/s", prose
    )
    assert published is not None
    planes, rows, columns, gigahertz, tera = map(float, published.groups())
    assert (planes, rows, columns) == (chip.mxm.planes, chip.lanes.vector, chip.lanes.vector)
    assert gigahertz * 1e9 == chip.clock.core.frequency_hz
    assert tera == pytest.approx(planes * rows * columns * 2 * gigahertz / 1e3, abs=0.05)
    assert chip.peak_flops_per_s(int8) / 1e12 == pytest.approx(tera, abs=0.05)
    assert chip.peak_flops_per_s(fp16) == chip.peak_flops_per_s(int8) / 4
    assert "= 56320 B/clk" in prose
    assert chip.sram_bytes_per_clock == 56320
    assert "= 20480 B/clk" in prose
    assert chip.stream_bytes_per_clock == 20480
    assert chip.capacity_bytes == 220 * 2**20


def test_published_rates_at_one_gigahertz() -> None:
    chip = part(clock__core__frequency="1 GHz")
    assert chip.peak_flops_per_s(chip.peak[0]) == pytest.approx(820e12, rel=2e-3)  # the paper's 820 TOPS
    assert chip.sram_bytes_per_clock * 1e9 == pytest.approx(55 * 2**40, rel=0.07)  # its 55 TiB/s are 51 in fact
    links = chip.c2c.links * chip.c2c.bytes_per_s * 2
    assert links == pytest.approx(480e9, rel=0.07)  # 448 GB/s when cabled


def test_accumulators_are_presets_of_the_numerics() -> None:
    for row in part().peak:
        assert row.preset in PRESETS


def test_the_links_join_as_many_chips_as_published() -> None:
    fabric = system().fabric
    assert fabric.ports + 1 == 33  # 33 nodes, 264 chips, with a link from each to each
    assert fabric.largest() * fabric.node == 10_440
    assert system(count=10_440).nodes == 1305


def test_systems_of_one_node_and_of_many() -> None:
    assert [(s.width, s.nodes) for s in map(system, ("groq-lpu-1", "groq-lpu-8", "groq-lpu-576"))] == [
        (1, 1), (8, 1), (8, 72)
    ]  # fmt: skip
    assert (system(count=4).width, system(count=4).nodes) == (4, 1)
    found = lone(part())
    assert isinstance(found, TspSystem)
    assert (found.width, found.nodes) == (1, 1)


def test_figures_of_the_chip_can_be_changed_on_a_system() -> None:
    changed = system(c2c__bandwidth="20 GB/s", count=16)
    chip = catalog.part(changed)
    assert isinstance(chip, TspPart)
    assert chip.c2c.bytes_per_s == 20e9
    assert changed.count == 16
    assert chip.c2c.status_of("bandwidth") == "assumed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "must be at least 1"),
        ({"count": 12}, "no whole number of nodes of 8 chips: try 8 or 16"),
        ({"count": 10_448}, r"join 1305 nodes \(10440 chips\) at most"),
        ({"fabric__global_links": 0}, "72 nodes do not connect.*more fabric.global_links"),
        ({"fabric__local_links": 6}, "does not join the 8 chips of a node each to each: it takes 7"),
    ],
)
def test_systems_that_do_not_connect_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        system(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mxm__planes": 3}, "two hemispheres need an even number"),
        ({"mxm__planes": 2}, "do not divide the 1 of a hemisphere"),
        ({"mem__slices": 10}, "even number of at least 16"),
        ({"mxm__weight_streams": 32}, "weights and activations share the 32 streams"),
        ({"clock__core__frequency": "0 GHz"}, "must be greater than zero"),
        ({"vxm__alus": 2}, "at least 4"),
        ({"mem__slices": 16, "mem__banks": 1}, "too few ports: more slices, or fewer links"),
    ],
)
def test_chips_that_nobody_could_build_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        part(**changes)
