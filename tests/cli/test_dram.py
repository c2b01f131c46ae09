"""The `dram` command: figures, pictures, traces and errors."""

from __future__ import annotations

import json

import pytest

from accelsim.cli import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(["dram", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_it_prints_what_a_dram_engineer_asks_for(run):
    code, out, _ = run("hbm3", "--pattern", "random", "--requests", 3000)
    assert code == 0
    for word in (
        "bandwidth",
        "read latency",
        "row hits",
        "ACT 3,",
        "pJ/bit",
        "activate",
        "background",
        "of 819.2 GB/s",
    ):
        assert word in out


def test_json_has_the_same_in_si_units(run):
    code, out, _ = run("dramsim3-hbm2-8gb", "--requests", 20000, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["schema"] == "accelsim/dram/1"
    assert 200e9 < found["bandwidth_bytes_per_s"] < found["peak_bytes_per_s"] == pytest.approx(256e9)
    assert found["energy_j"]["total"] == pytest.approx(found["energy_j_per_bit"] * 8 * found["bytes"])


def test_options_reach_the_controller(run):
    open_, closed = (json.loads(run("ddr4", "--requests", 2000, "--page", p, "--json")[1]) for p in ("open", "closed"))
    assert open_["cycles"] < closed["cycles"]
    off = json.loads(run("ddr4", "--requests", 60000, "--refresh", "off", "--json")[1])
    assert off["commands"]["REF"] == 0
    mixed = json.loads(run("ddr4", "--requests", 1000, "--reads", "0.75", "--json")[1])
    assert mixed["commands"]["WR"] == 250
    fewer = json.loads(run("hbm3", "--requests", 1000, "--set", "organization.channels=8", "--json")[1])
    assert fewer["peak_bytes_per_s"] == pytest.approx(409.6e9)
    one = ("ddr4", "--requests", 500, "--pattern", "random", "--in-flight", 1, "--json")
    later = [json.loads(run(*one, *more)[1]) for more in ((), ("--set", "timing.nRCDRD=40"))]
    assert later[0]["read_latency_mean_s"] < later[1]["read_latency_mean_s"]
    slow = json.loads(run("ddr4", "--requests", 1000, "--in-flight", 1, "--json")[1])
    assert slow["bandwidth_bytes_per_s"] < 0.3 * slow["peak_bytes_per_s"]


def test_a_picture_is_drawn(run, tmp_path):
    file = tmp_path / "commands.svg"
    assert run("hbm2", "--requests", 500, "--reads", "0.5", "--picture", file)[0] == 0
    text = file.read_text(encoding="utf-8")
    for word in ("commands of channel 0", "bg 0, bank 0", "ACT 0", "RD", "data 1", "row open", "clock cycles of 1 ns"):
        assert word in text


def test_a_trace_runs(run, tmp_path):
    file = tmp_path / "own.trace"
    file.write_text("0x40 READ 0\n0x80 WRITE 5\n", encoding="utf-8")
    found = json.loads(run("ddr4", "--trace", file, "--json")[1])
    assert found["requests"] == 2
    file.write_text("0x40 READ 0\noops\n", encoding="utf-8")
    code, _, err = run("ddr4", "--trace", file)
    assert code == 2
    assert "line 2: 'oops'" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("hbm9",), "no DRAM named 'hbm9'\n  nearest: hbm"),
        (("ddr4", "--set", "timing.0.cycles.nRC=40"), "nRC = 40 is below nRAS = 52: legal is 72 or more"),
        (("ddr4", "--set", "timing.0.cycles.nRC=60"), "nRC = 60 is more than two cycles below nRAS + nRP = 74"),
        (("ddr4", "--set", "timing.nRC=40"), "nRC = 40 is below nRAS = 52: legal is 72 or more"),
        (("hbm3", "--set", "timing.nRASS=40"), "nearest: timing.nRAS"),
        (("ddr4", "--set", "organization.banks=3"), "banks = 3 is no power of two from 1 to 64: try 2 or 4"),
        (("ddr4", "--set", "organization.0.banks=3"), "banks = 3 is no power of two from 1 to 64: try 2 or 4"),
        (("ddr4", "--refresh", "per_bank"), "needs a refresh command of level bank"),
        (("ddr4", "--requests", 0), "legal is 1 or more"),
        (("ddr4", "--set", "controller.address_order=rorabaco"), "'bg' (bank_groups) is missing"),
    ],
)
def test_bad_input_is_named(run, arguments, problem):
    code, _, err = run(*arguments)
    assert code == 2
    assert problem in err
