"""Controllers against DRAMsim3's figures, and against what a stream must cost by hand."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.timing.dram.controller import decode, serve

# DRAMsim3 2981759, own driver, 100,000 requests of 64 B; random ones over 1 GiB.
# Columns: description, pattern, whether they are writes, cycles, picojoule per bit, microjoule of each component.
REFERENCE = [
    ("dramsim3-hbm2-8gb", "sequential", 0, 26939, 1.95,
     {"activate": 2.6, "read": 80.4, "refresh": 2.9, "background": 14.0}),
    ("dramsim3-hbm2-8gb", "random", 0, 105043, 4.50,
     {"activate": 83.0, "read": 80.4, "refresh": 12.7, "background": 54.4}),
    ("dramsim3-hbm2-8gb", "sequential", 1, 27298, None, {}),
    ("dramsim3-ddr4-3200", "sequential", 0, 602230, 21.6,
     {"activate": 5.7, "read": 445, "refresh": 102, "background": 551}),
    ("dramsim3-ddr4-3200", "random", 0, 496751, 33.1,
     {"activate": 674, "read": 445, "refresh": 84, "background": 489}),
]  # fmt: skip


def addresses(dram, pattern, count, seed=1):
    size = dram.organization.access_bytes
    if pattern == "sequential":
        return np.arange(count) * size
    span = min(1 << 30, dram.organization.capacity_bytes)
    return np.random.default_rng(seed).integers(0, span // size, count) * size


@pytest.mark.parametrize(("name", "pattern", "write", "cycles", "energy", "parts"), REFERENCE)
def test_bandwidth_and_energy_are_those_of_the_reference(name, pattern, write, cycles, energy, parts):
    dram = catalog.dram(name)
    served = serve(dram, addresses(dram, pattern, 100_000), np.full(100_000, write))
    assert served.cycles == pytest.approx(cycles, rel=0.02)
    if pattern == "sequential" and not write:
        assert served.cycles == pytest.approx(cycles, rel=3e-4)
    if energy:
        assert served.energy_j_per_bit * 1e12 == pytest.approx(energy, rel=0.01)
    for part, microjoules in parts.items():
        assert served.energy.as_dict()[part] * 1e6 == pytest.approx(microjoules, rel=0.02)
    hits = {"sequential": 0.968 if "hbm2" in name else 0.992, "random": 0.001}[pattern]
    assert served.row_hit_share == pytest.approx(hits, abs=0.002)


@pytest.mark.parametrize(
    ("count", "pattern", "cycles"), [(1_000_000, "sequential", 271454), (300_000, "random", 311677)]
)
def test_longer_streams_are_those_of_the_reference(count, pattern, cycles):
    dram = catalog.dram("dramsim3-hbm2-8gb")
    assert serve(dram, addresses(dram, pattern, count)).cycles == pytest.approx(cycles, rel=0.01)


def test_one_read_takes_activation_column_and_burst():
    for name in catalog.names("dram"):
        dram = catalog.dram(name)
        cycles = dram.timing.cycles
        served = serve(dram, [0])
        rcd = cycles.get("nRCDRD", cycles.get("nRCD", 0))
        # one cycle from the waiting room to the command queue
        assert served.cycles == 1 + rcd + cycles["nCL"] + cycles["nBL"], name
        assert served.commands["RD"] == served.commands["ACT"] == 1


def test_no_stream_beats_the_bus():
    for name in catalog.names("dram"):
        dram = catalog.dram(name)
        for pattern in ("sequential", "random"):
            served = serve(dram, addresses(dram, pattern, 5000))
            assert 0 < served.bandwidth_bytes_per_s < dram.peak_bytes_per_s


def test_every_request_is_served_once():
    rng = np.random.default_rng(3)
    for name in ("ddr5", "hbm3", "lpddr4x"):
        dram = catalog.dram(name)
        place = rng.integers(0, 1 << 22, 4000) * dram.organization.access_bytes
        served = serve(dram, place, rng.random(4000) < 0.4)
        columns = served.commands["RD"] + served.commands["WR"]
        assert columns + served.merged == 4000
        assert np.all(served.latency_cycles > 0)


def test_a_read_of_a_waiting_write_and_a_second_read_need_no_access():
    dram = catalog.dram("ddr4")
    served = serve(dram, [64, 64, 128, 128], [1, 0, 0, 0])
    assert served.merged == 2
    assert served.commands["RD"] == served.commands["WR"] == 1


def test_writes_that_wait_for_reads_of_their_addresses_do_not_keep_these_out():
    """A full hall of writes, the first behind a read that has not had its turn yet."""
    rng = np.random.default_rng(5)
    dram = catalog.dram("ddr4")
    place = rng.integers(0, 3000, 6000) * dram.organization.access_bytes
    served = serve(dram, place, rng.random(6000) < 0.4)
    assert served.commands["RD"] + served.commands["WR"] + served.merged == 6000


def test_refresh_costs_time_and_can_be_switched_off():
    dram = catalog.dram("hbm3")
    stream = addresses(dram, "sequential", 60_000)
    cycles = {r: serve(dram.with_({"controller.refresh": r}), stream) for r in ("off", "per_bank", "all_bank")}
    assert cycles["off"].cycles < cycles["per_bank"].cycles < cycles["all_bank"].cycles
    assert cycles["off"].commands["REF"] == cycles["off"].commands["REFpb"] == 0
    assert cycles["per_bank"].commands["REFpb"] > 0 == cycles["per_bank"].commands["REF"]
    absent = serve(dram.with_({"timing.0.cycles.nREFI": 0}), stream)
    assert absent.cycles == cycles["off"].cycles


def test_without_the_activation_window_random_reads_are_faster():
    dram = catalog.dram("ddr4")
    stream = addresses(dram, "random", 20_000)
    free = dram.with_({"timing.0.cycles.nFAW": 0})
    assert serve(free, stream).cycles < serve(dram, stream).cycles


def test_closed_pages_cost_hits_and_spare_precharges():
    dram = catalog.dram("ddr4").with_({"controller.refresh": "off"})
    closed = dram.with_({"controller.page": "closed"})
    sequential, random = addresses(dram, "sequential", 5000), addresses(dram, "random", 5000)
    assert serve(closed, sequential).cycles > serve(dram, sequential).cycles
    served = serve(closed, random)
    assert served.commands["RDA"] == served.commands["ACT"] == 5000
    assert served.commands["PRE"] == served.row_hits == 0


def test_queues_per_bank_and_per_rank_serve_the_same():
    dram = catalog.dram("ddr4")
    one = dram.with_({"controller.queues": "per_rank", "controller.command_queue": 32})
    stream = addresses(dram, "random", 5000)
    served = serve(one, stream)
    assert served.commands["RD"] == 5000
    assert served.bandwidth_bytes_per_s == pytest.approx(serve(dram, stream).bandwidth_bytes_per_s, rel=0.4)


def test_turnarounds_cost_time():
    dram = catalog.dram("ddr4")
    stream = addresses(dram, "sequential", 20_000)
    writes = np.arange(20_000) % 2
    assert serve(dram, stream, writes).cycles > serve(dram, stream).cycles
    slow = dram.with_({"timing.0.cycles.nWTRS": 40, "timing.0.cycles.nWTRL": 40})
    assert serve(slow, stream, writes).cycles > serve(dram, stream, writes).cycles


def test_few_reads_in_flight_are_bound_by_latency():
    dram = catalog.dram("hbm3").with_({"controller.refresh": "off"})
    stream = addresses(dram, "sequential", 3000)
    one = serve(dram, stream, in_flight=1)
    assert one.cycles > 3000 * (dram.timing.cycles["nCL"] + dram.timing.cycles["nBL"])
    rates = [serve(dram, stream, in_flight=n).bandwidth_bytes_per_s for n in (1, 4, 16, 64, 256)]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(4 * rates[0], rel=0.1)


def test_arrivals_are_waited_for():
    dram = catalog.dram("ddr4")
    served = serve(dram, [0, 64], arrivals=[0, 5000])
    assert served.cycles >= 5000 + dram.timing.cycles["nCL"]


@pytest.mark.parametrize("name", catalog.names("dram"))
def test_addresses_and_banks_are_one_to_one(name):
    dram = catalog.dram(name)
    organization = dram.organization
    places = np.unique(
        np.random.default_rng(2).integers(0, organization.capacity_bytes // organization.access_bytes, 5000)
    )
    bank, row, access = decode(dram, places * organization.access_bytes)
    assert np.array_equal(access, places)
    assert bank.min() >= 0
    assert bank.max() < organization.all_banks
    assert row.max() < organization.rows
    seen, _, _ = decode(dram, np.arange(organization.channels) * organization.access_bytes)
    if dram.controller.address_order.endswith("ch"):
        assert len(set(seen)) == organization.channels


def test_split_columns_go_where_they_are_told():
    dram = catalog.dram("dramsim3-hbm2-8gb").with_({"controller.address_order": "roco3babgchco"})
    bank, row, _ = decode(dram, np.array([0, 4 * 64, 4 * 8 * 64, 4 * 8 * 4 * 64, 1 << 20]))
    assert bank.tolist() == [0, 16, 4, 1, 0]
    assert row.tolist() == [0, 0, 0, 0, 4]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (([],), "expected n > 0 addresses"),
        (([0, 64], [1]), "expected n > 0 addresses"),
        (([-64],), "address -64 is negative"),
        (([0, 64], None, [5, 4]), "do not decrease"),
    ],
)
def test_bad_requests_are_named(arguments, problem):
    with pytest.raises(RequestError, match=problem):
        serve(catalog.dram("ddr4"), *arguments)


def test_plain_python_gives_the_same(monkeypatch):
    rng = np.random.default_rng(5)
    for name in ("dramsim3-hbm2-8gb", "dramsim3-ddr4-3200", "lpddr5"):
        dram = catalog.dram(name)
        place = rng.integers(0, 1 << 14, 300) * dram.organization.access_bytes
        write = rng.random(300) < 0.3
        monkeypatch.delenv("ACCELSIM_NUMBA", raising=False)
        one = serve(dram, place, write, in_flight=8, log=50)
        monkeypatch.setenv("ACCELSIM_NUMBA", "0")
        two = serve(dram, place, write, in_flight=8, log=50)
        assert (one.cycles, one.commands, one.energy) == (two.cycles, two.commands, two.energy)
        assert np.array_equal(one.latency_cycles, two.latency_cycles)
        assert np.array_equal(one.log, two.log)
