"""A chip's memory as a DRAM: the sheet at the rate of the pins."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError, UnknownNameError
from accelsim.spec.device import GpuChip
from accelsim.timing.dram.attached import ON_THE_BUS, SHEETS, attached

GPUS = [name for name in catalog.names("arch") if isinstance(catalog.chip(name), GpuChip)]


def gpu(name):
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    return chip


@pytest.mark.parametrize("name", GPUS)
def test_the_channels_of_every_gpu_make_up_its_bandwidth(name):
    memory = gpu(name).memory
    channel = attached(memory.standard, memory.pin_rate_bytes_per_s)
    organization = channel.organization
    assert organization.channels == 1
    pins = organization.pseudo_channels * organization.bus_bits
    assert channel.peak_bytes_per_s == pytest.approx(pins * memory.pin_rate_bytes_per_s)
    channels = memory.stacks * memory.pins / pins
    assert channels == int(channels)
    assert channels * channel.peak_bytes_per_s == pytest.approx(memory.bandwidth_bytes_per_s, rel=3e-3)


@pytest.mark.parametrize("name", GPUS)
def test_times_are_kept_and_only_the_bus_counts_in_cycles(name):
    memory = gpu(name).memory
    channel = attached(memory.standard, memory.pin_rate_bytes_per_s)
    sheet = catalog.dram(SHEETS.get(memory.standard, memory.standard))
    before = next(timing for timing in sheet.timings if timing.name == channel.timing.name)
    for key, cycles in channel.timing.cycles.items():
        if key in ON_THE_BUS:
            assert cycles == before.cycles[key]
        else:
            given = dict(before.given)[key]
            ns = before.cycles[key] * before.tck_ps / 1e3
            now = cycles * channel.timing.tck_ps / 1e3
            slack = before.tck_ps / 1e3 if isinstance(given, str) else 0  # rounded up at both clocks
            assert ns - slack - 0.02 <= now < ns + channel.timing.tck_ps / 1e3 + 0.02, key


def test_the_nearest_timing_is_taken_and_of_two_the_one_in_use():
    assert attached("hbm2", 2.43e9 / 8).timing.name == "HBM2-2400"
    assert attached("hbm2", 1.754e9 / 8).timing.name == "HBM2-1800"
    slower = catalog.dram("gddr6").with_({"selected.timing": "GDDR6-14000_1250mV"})
    assert attached("gddr6", 16e9 / 8).timing.name == "GDDR6-14000_1350mV"
    assert attached(slower, 16e9 / 8).timing.name == "GDDR6-14000_1250mV"


def test_a_standard_is_a_name_a_path_or_a_record(tmp_path):
    file = tmp_path / "mine.toml"
    text = catalog.path("dram", "hbm3").read_text(encoding="utf-8")
    file.write_text(text.replace('name = "hbm3"', 'name = "mine"').replace("nFAW = 24", "nFAW = 0"), encoding="utf-8")
    mine = attached(str(file), 0.65e9)
    assert mine.name == "mine"
    assert mine.timing.cycles["nFAW"] == 0
    assert attached(catalog.dram("hbm3"), 0.65e9) == attached("hbm3", 0.65e9)


def test_what_the_chip_has_otherwise_is_in_the_controller():
    mine = attached("hbm3", 0.65e9, {"command_queue": 32, "refresh": "off"})
    assert (mine.controller.command_queue, mine.controller.refresh) == (32, "off")
    with pytest.raises(DescriptionError, match="command_queue"):
        attached("hbm3", 0.65e9, {"command_queue": 1000})
    with pytest.raises(UnknownNameError, match="hbm9"):
        attached("hbm9", 0.65e9)
