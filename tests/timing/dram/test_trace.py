"""Address traces of both simulators, and what is said about lines that are none."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.timing.dram.controller import decode, serve
from accelsim.timing.dram.pattern import stream
from accelsim.timing.dram.trace import load

DDR4 = catalog.dram("ddr4")
HBM3 = catalog.dram("hbm3")


def written(tmp_path, text):
    file = tmp_path / "own.trace"
    file.write_text(text, encoding="utf-8")
    return file


def test_dramsim3_traces_have_addresses_kinds_and_cycles(tmp_path):
    trace = load(DDR4, written(tmp_path, "0x2000D5C0 READ  30\n1FF96FC0 WRITE   160\n\n# note\n0x2000D600 READ  165\n"))
    assert trace.addresses.tolist() == [0x2000D5C0, 0x1FF96FC0, 0x2000D600]
    assert trace.writes.tolist() == [0, 1, 0]
    assert trace.arrivals.tolist() == [30, 160, 165]
    assert serve(DDR4, trace.addresses, trace.writes, trace.arrivals).commands["WR"] == 1


def test_ramulator_traces_have_addresses_and_kinds(tmp_path):
    trace = load(DDR4, written(tmp_path, "0x12345680 R\n20734016 W\nLD 0x40\nST 128\n"))
    assert trace.addresses.tolist() == [0x12345680, 20734016, 0x40, 128]
    assert trace.writes.tolist() == [0, 1, 0, 1]
    assert trace.arrivals.tolist() == [0, 0, 0, 0]


def test_places_of_levels_are_addresses(tmp_path):
    trace = load(HBM3, written(tmp_path, "R 3,1,1,2,3,100,5\nW 0,0,0,0,0,1,0\n"))
    bank, row, _ = decode(HBM3, trace.addresses)
    assert row.tolist() == [100, 1]
    assert bank.tolist() == [(((3 * 2 + 1) * 2 + 1) * 4 + 2) * 4 + 3, 0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0x40 READ 1\n0x80 FETCH 2\n", r"line 2: '0x80 FETCH 2': expected `ADDRESS READ\|WRITE CYCLE`"),
        ("0x40 READ 9\n0x80 READ 2\n", "line 2: cycle 2 is before 9"),
        ("0x40 R\nhello\n", "line 2: 'hello'"),
        ("zz R\n", "line 1: 'zz R': "),
        ("LD -5\n", "line 1: 'LD -5': -5 is negative"),
        ("R 0,0,0\n", "line 1: 'R 0,0,0': 3 levels, and hbm3 has 7: channels, pseudo_channels, ranks"),
        ("R 0,0,0,0,9,0,0\n", "banks 9: legal is 0 to 3"),
        ("# nothing\n", "no request in it"),
    ],
)
def test_other_lines_are_named(tmp_path, text, problem):
    with pytest.raises(RequestError, match=problem):
        load(HBM3, written(tmp_path, text))


def test_streams_have_the_share_of_reads_that_is_asked_for():
    for share in (0.0, 0.25, 0.5, 0.9, 1.0):
        places, writes = stream(DDR4, "random", 4000, share)
        assert np.sum(~writes) == pytest.approx(4000 * share, abs=1)
        assert places.max() < DDR4.organization.capacity_bytes
    assert np.array_equal(stream(DDR4, "random", 9, seed=4)[0], stream(DDR4, "random", 9, seed=4)[0])
    assert stream(DDR4, "strided", 3, stride=4)[0].tolist() == [0, 256, 512]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("randon", 1), "unknown pattern 'randon': did you mean 'random'"),
        (("random", 0), "legal is 1 or more"),
        (("random", 1, 1.5), "a share from 0 to 1"),
    ],
)
def test_bad_patterns_are_named(arguments, problem):
    with pytest.raises(RequestError, match=problem):
        stream(DDR4, *arguments)
