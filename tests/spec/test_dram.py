"""DRAM descriptions: what follows from them, and the faults that are named."""

from __future__ import annotations

import re
import tomllib

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError, UnknownNameError
from accelsim.spec import read
from accelsim.spec.dram import Dram, address_fields, expression

NAMES = catalog.names("dram")
UNITS = {"KiB": 2**10, "GB/s": 1e9, "TB/s": 1e12, "GiB": 2**30, "B": 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_prose_adds_up(name):
    """`Published peak: 16 channel x 2 pseudo x 32 B / (2 clk x 0.625 ns) = 819.2 GB/s` and the like for capacity."""
    dram = catalog.dram(name)
    prose = catalog.prose(catalog.path("dram", name))
    peak = re.search(r"peak: (.*) x (\d+) B / \((\d+) clk x ([\d.]+) ns\) = ([\d.]+) (\S+?)\.?$", prose, re.M)
    buses = 1
    for count in re.findall(r"\d+", peak[1]):
        buses *= int(count)
    by_hand = buses * int(peak[2]) / (int(peak[3]) * float(peak[4]) * 1e-9)
    assert by_hand == pytest.approx(float(peak[5]) * UNITS[peak[6]], rel=1e-3)
    assert dram.peak_bytes_per_s == pytest.approx(by_hand, rel=1e-3)
    capacity = re.search(r"capacity: (.*) x (\d+) KiB = (\d+) GiB", prose)
    rows = 1
    for count in re.findall(r"\d+", capacity[1]):
        rows *= int(count)
    assert rows * int(capacity[2]) * 2**10 == int(capacity[3]) * 2**30 == dram.organization.capacity_bytes


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_can_be_selected(name):
    dram = catalog.dram(name)
    for timing in dram.timings:
        for organization in dram.organizations:
            chosen = dram.with_({"selected.timing": timing.name, "selected.organization": organization.name})
            assert chosen.timing == timing
            assert chosen.organization == organization


def broken(name="ddr4", **changes):
    raw = catalog.dram(name).raw
    for path, value in changes.items():
        *parents, key = path.split("__")
        table = raw
        for part in parents:
            table = table[int(part)] if part.isdecimal() else table[part]
        if value is None:
            del table[key]
        else:
            table[key] = value
    with pytest.raises(DescriptionError) as caught:
        read.validate(Dram, raw, origin=name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timing__0__cycles__nRC": 51}, "nRC = 51 is below nRAS = 52: legal is 72 or more"),
        ({"timing__0__cycles__nRC": 71}, "more than two cycles below nRAS + nRP = 74: legal is 72 or more"),
        ({"timing__0__cycles__nRCDRD": None}, "timing DDR4-3200AA has no nRCDRD, which a constraint reads"),
        ({"timing__0__cycles__nRFC": "9 us"}, "does not end before the next refresh: legal is less than nREFI = 12480"),
        ({"timing__0__cycles__nWR": -1}, "nWR = -1 is negative"),
        ({"timing__0__cycles__nWR": "12 V"}, "a parameter is a number of cycles or a time"),
        ({"organization__0__rows": 60000}, "rows = 60000 is no power of two from 1 to 16777216: try 32768 or 65536"),
        ({"organization__0__columns": 4}, "columns = 4 must be at least burst_length = 8"),
        ({"selected__timing": "DDR4-3200AB"}, "did you mean 'DDR4-3200AA'"),
        ({"protocol__constraints__0__following": ["RED"]}, "constraint 0 names the unknown command 'RED'"),
        ({"protocol__constraints__0__latency": "nBL +"}, "'nBL +' is no expression"),
        ({"protocol__commands__0__name": "PRE"}, "two commands have one name"),
        ({"controller__address_order": "rorabacobgbg"}, "parts of 'bg' must add up to its 2 bits"),
        ({"energy__currents__IDD4R": "10 mA"}, "IDD4R is below the active standby current"),
    ],
)
def test_faults_are_named_with_the_legal_range(changes, problem):
    assert problem in broken(**changes)


def test_a_constraint_of_a_level_below_its_command_is_refused():
    raw = catalog.dram("ddr4").raw
    raw["protocol"]["constraints"].append({"level": "bank", "preceding": ["REF"], "following": ["ACT"], "latency": 1})
    with pytest.raises(DescriptionError, match="names REF, which addresses a whole rank: give it that level"):
        read.validate(Dram, raw, origin="ddr4")


def test_an_optional_parameter_may_be_absent():
    raw = catalog.dram("ddr4").raw
    for name in ("nFAW", "nREFI", "nRFC"):
        del raw["timing"][0]["cycles"][name]
    assert read.validate(Dram, raw, origin="ddr4").timing.cycles.get("nFAW") is None


def test_overrides_mean_the_presets_in_use():
    dram = catalog.dram("hbm3")
    assert dram.with_({"timing.nRAS": 46}).timing.cycles["nRAS"] == 46
    assert dram.with_({"timing.nRAS": "46"}).timing == dram.with_({"timing.HBM3-6400.cycles.nRAS": 46}).timing
    assert dram.with_({"timing.nRFC": "400 ns"}).timing.cycles["nRFC"] == 640
    assert dram.with_({"timing.tCK_ps": 700}).peak_bytes_per_s == pytest.approx(dram.peak_bytes_per_s * 625 / 700)
    assert "nRAS" in dram.with_({"timing.nRAS": 46}).timing.assumed
    changed = dram.with_({"selected.organization": "32Gb_16high", "organization.channels": 8})
    assert [one.channels for one in changed.organizations] == [16, 8]
    assert dram.with_({"organization.channels": 8}).organization.channels == 8
    assert dram.with_({"organization.32Gb_16high.channels": 8}).organization == dram.organization


def test_an_absent_parameter_can_be_set():
    dram = catalog.dram("hbm3")
    assert "nREFIpb" not in dram.timing.cycles
    assert dram.with_({"timing.nREFIpb": "100 ns", "timing.nRAS": 44}).timing.cycles["nREFIpb"] == 160


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("timing.tRAS", r"no key named 'timing.tRAS'\s+nearest: timing.nRAS,.*timing HBM3-6400 has: tCK_ps, nBL,"),
        ("timing.0.cycles.nRAZ", r"nearest: timing.0.cycles.nRAS"),
        ("timing.n32AW", r"no key named 'timing.n32AW'"),
        ("timing.3.nRAS", r"no preset named 'timing.3'\s+\[\[timing\]\] has: 0 \(HBM3-6400\)"),
        ("organization.bank", r"nearest: organization.banks,.*organization 16Gb_8high has: name, channels,"),
    ],
)
def test_keys_that_no_preset_has_are_named(key, problem):
    with pytest.raises(UnknownNameError, match=problem):
        catalog.dram("hbm3").with_({key: 4})


def test_a_preset_with_a_fault_is_one_fault():
    with pytest.raises(DescriptionError) as caught:
        catalog.dram("hbm3").with_({"timing.nRC": 40})
    assert len(caught.value.faults) == 1


def test_times_become_cycles_rounded_up():
    raw = catalog.dram("ddr4").raw
    raw["timing"][0]["cycles"] |= {"nRP": "13.75 ns", "nWR": "13.76 ns", "nRTP": "7.5 ns"}
    cycles = read.validate(Dram, raw, origin="ddr4").timing.cycles
    assert (cycles["nRP"], cycles["nWR"], cycles["nRTP"]) == (22, 23, 12)


def test_expressions_have_whole_numbers_names_and_a_few_operations():
    assert expression.value("max(nBL, nCCDS) * 2 + nCL // 3 - 1", {"nBL": 4, "nCCDS": 2, "nCL": 10}) == 10
    assert expression.names("nCL + max(nBL, 3)") == {"nCL", "nBL"}
    for text in ("nCL.real", "__import__('os')", "1.5 * nCL", "nCL if nBL else 2", "[1]", "True", "f(x=1)"):
        with pytest.raises(ValueError, match="is no expression"):
            expression.names(text)
    with pytest.raises(ValueError, match="divides by zero"):
        expression.value("3 // nCL", {"nCL": 0})


def test_address_fields_cover_every_bit_once():
    for name in NAMES:
        dram = catalog.dram(name)
        fields = address_fields(dram.controller.address_order, dram.organization)
        bits = [at + k for _, at, count, _ in fields for k in range(count)]
        assert bits == list(range(len(bits)))
        assert 2 ** len(bits) * dram.organization.access_bytes == dram.organization.capacity_bytes


def test_a_standard_of_ones_own_is_one_file(tmp_path):
    text = catalog.path("dram", "ddr4").read_text(encoding="utf-8").replace('name = "ddr4"', 'name = "my-dram"', 1)
    file = tmp_path / "my-dram.toml"
    file.write_text(text, encoding="utf-8")
    assert catalog.find(str(file))[0] == "dram"
    assert catalog.dram(file).name == "my-dram"
    assert tomllib.loads(text)["standard"] == "DDR4"
    assert catalog.check(file) == catalog.dram(file)


def test_the_clock_of_a_timing_can_be_overridden():
    changed = catalog.dram("hbm3").with_({"timing.0.tCK_ps": 764.0})
    assert changed.timing.tck_ps == 764.0
    assert set(changed.timing.assumed) - set(catalog.dram("hbm3").timing.assumed) == {"tCK_ps"}
    assert changed.timing.source.endswith("overridden: tCK_ps")
