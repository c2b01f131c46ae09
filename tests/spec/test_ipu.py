"""IPUs as described: the prose adds up, systems connect, and what cannot be is refused with the number and a remedy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError, UnknownNameError
from accelsim.numerics.accumulator_presets import PRESETS
from accelsim.spec.ipu import IpuPart, IpuSystem

PARTS = ("ipu-gc200", "ipu-bow", "ipu-c600", "ipu-mk1")
SYSTEMS = ("ipu-mk2-8", "ipu-mk2-32", "ipu-c600-8", "ipu-bow-8")
PUBLISHED_TFLOPS = {"ipu-gc200": 250, "ipu-bow": 350, "ipu-c600": 280, "ipu-mk1": 124.5}
_PEAK = re.compile(r"Published peak: (\d+) tiles x (\d+) fp16 FLOP/clk/tile x ([\d.]+) GHz = ([\d.]+) TFLOP/s")
_EXCHANGE = re.compile(r"Published exchange: (\d+) tiles x (\d+) B/clk x ([\d.]+) GHz = ([\d.]+) TB/s")


def part(name: str) -> IpuPart:
    record = catalog.chip(name)
    assert isinstance(record, IpuPart)
    return record


def system(name: str = "ipu-mk2-8", **changes: Any) -> IpuSystem:
    record = catalog.chip(name, changes or None)
    assert isinstance(record, IpuSystem)
    return record


@pytest.mark.parametrize("name", PARTS)
def test_the_arithmetic_of_the_prose_is_right_and_agrees_with_the_maker(name: str) -> None:
    prose, chip = catalog.prose(catalog.path("arch", name)), part(name)
    tiles, rate, clock, peak = (float(number) for number in _PEAK.search(prose).groups())  # type: ignore[union-attr]
    row = chip.peak[0]
    assert (tiles, rate, clock * 1e9) == (chip.tile.count, row.flops_per_clock, chip.clock.tile.frequency_hz)
    assert chip.peak_flops_per_s(row) == pytest.approx(peak * 1e12, rel=1e-3)
    assert chip.peak_flops_per_s(row) == pytest.approx(PUBLISHED_TFLOPS[name] * 1e12, rel=0.01)
    tiles, width, clock, rate = (float(n) for n in _EXCHANGE.search(prose).groups())  # type: ignore[union-attr]
    assert tiles * width * clock / 1e3 == pytest.approx(rate, abs=0.006)
    assert width == chip.exchange.bytes_per_clock


@pytest.mark.parametrize("name", PARTS)
def test_a_block_of_weights_takes_whole_cycles_per_row(name: str) -> None:
    for row in part(name).peak:
        assert row.clocks_per_row in (4.0, 8.0)


@pytest.mark.parametrize("name", PARTS)
def test_formats_and_accumulator_exist(name: str) -> None:
    chip = part(name)
    assert chip.accumulator in PRESETS
    for row in chip.peak:
        assert all(catalog.format_(operand).bits > 0 for operand in row.operands)
    for conversion in chip.convert:
        assert all(catalog.format_(operand).bits > 0 for operand in (*conversion.sources, *conversion.targets))


@pytest.mark.parametrize("name", PARTS)
def test_the_energy_check_of_the_prose_adds_up(name: str) -> None:
    prose, chip = catalog.prose(catalog.path("arch", name)).replace("\n", " "), part(name)
    found = re.search(
        r"rate (\d+) W matrix units; .*? rate (\d+) W of SRAM, .*? receiving (\d+) W of exchange, and (\d+) W idle: "
        r"(\d+) W",
        prose,
    )
    assert found
    tiles = chip.tile.count * chip.clock.tile.frequency_hz
    expected = (
        chip.peak_flops_per_s(chip.peak[0]) * chip.peak[0].energy_j_per_flop,
        tiles * chip.tile.load_bytes_per_clock * chip.energy.sram_j_per_byte,
        tiles * chip.exchange.bytes_per_clock * chip.energy.exchange_j_per_byte,
        chip.power.idle_w,
    )
    printed = [float(number) for number in found.groups()]
    assert printed == pytest.approx([*expected, sum(expected)], abs=1.0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_name_parts_that_exist_and_have_enough_links(name: str) -> None:
    made = system(name)
    chip = catalog.part(made)
    assert isinstance(chip, IpuPart)
    assert made.degree() * made.neighbour_lanes <= chip.link.lanes
    assert all(made.hops(i, i + 1) == 1 for i in range(made.count - 1))


def test_figures_of_the_part_can_be_changed_through_the_system() -> None:
    changed = system(**{"tile.count": 736, "count": 4})
    assert changed.count == 4
    chip = catalog.part(changed)
    assert isinstance(chip, IpuPart)
    assert chip.tile.count == 736
    with pytest.raises(UnknownNameError, match=r"tile\.count"):
        catalog.part(system(**{"tile.cout": 3}))


@pytest.mark.parametrize(
    ("topology", "ways"),
    [
        ("line", {(0, 7): 7, (2, 5): 3}),
        ("ring", {(0, 7): 1, (1, 6): 3}),
        ("ladder", {(0, 7): 3, (0, 3): 1, (1, 2): 1, (0, 4): 2}),
        ("mesh", {(0, 7): 1, (3, 3): 0}),
    ],
)
def test_hops_are_those_of_the_topology(topology: str, ways: dict[tuple[int, int], int]) -> None:
    made = system(topology=topology, neighbour_lanes=1)
    assert {pair: made.hops(*pair) for pair in ways} == ways
    assert all(made.hops(a, b) == made.hops(b, a) for a in range(8) for b in range(8))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 0}, "count = 0"),
        ({"count": 7}, "does not connect count = 7 chips, .* try ring"),
        ({"tensor_parallel": 3}, "tensor_parallel = 3 does not divide count = 8"),
        ({"embedding_groups": 8}, "embedding_groups = 8 of 8 leaves no chip for the layers"),
        ({"topology": "torus"}, "torus"),
    ],
)
def test_systems_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        system(**changes)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tile.sram", "180 KiB", "leaves no room for tensors beside reserved"),
        ("tile.count", 0, "tile.count"),
        ("exchange.sharing", 3, "exchange.sharing"),
        ("clock.tile.frequency", "0 GHz", "clock.tile.frequency"),
    ],
)
def test_parts_that_cannot_be_are_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        catalog.chip("ipu-gc200", {key: value})


def test_a_pair_of_formats_stands_once() -> None:
    raw = part("ipu-gc200").raw
    raw["peak"].append({**raw["peak"][0]})
    with pytest.raises(ValueError, match="fp16 x fp16 stands twice"):
        IpuPart.model_validate(raw)
