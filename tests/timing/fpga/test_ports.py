"""What the ports of a board draw: sampled channels, widths, and bursts that wait for their first word."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import catalog
from accelsim.spec.fpga import FpgaPart
from accelsim.timing.dram.surface import surface
from accelsim.timing.fpga import ports


def part(name: str = "dfx-u280", **overrides: object) -> FpgaPart:
    found: Any = catalog.chip(name, {key.replace("__", "."): value for key, value in overrides.items()})
    assert isinstance(found, FpgaPart)
    return found


@pytest.mark.parametrize(("name", "gigabytes"), [("dfx-u280", 8), ("flightllm-u280", 8), ("flightllm-vhk158", 32)])
def test_the_stacks_have_what_is_printed(name: str, gigabytes: int) -> None:
    hbm = part(name).hbm
    record = ports.dram(hbm)
    assert hbm.stacks * record.peak_bytes_per_s == pytest.approx(hbm.bandwidth_bytes_per_s, rel=0.003)
    assert hbm.stacks * record.organization.capacity_bytes == gigabytes << 30 == hbm.capacity_bytes
    assert ports.pseudo_channels(hbm) == 32


def test_modules_have_what_is_printed() -> None:
    ddr = part().ddr
    assert ddr.channels * ports.dram(ddr).peak_bytes_per_s == pytest.approx(38.4e9, rel=0.001)
    assert 0.8 < ports.ddr_bytes_per_s(ddr) / 38.4e9 <= 1


def test_a_port_is_as_wide_as_it_is_or_as_fast_as_its_channel() -> None:
    dfx, flight = part(), part("flightllm-u280")
    assert ports.port_bytes_per_s(dfx.hbm, 200e6) == 512 / 8 * 200e6
    sampled = surface(ports.dram(flight.hbm)).bandwidth_bytes_per_s("sequential", 16 * 4096)
    assert ports.port_bytes_per_s(flight.hbm, 225e6) == sampled / 16 < 14.4e9
    assert ports.port_bytes_per_s(dfx.hbm, 100e6) == 512 / 8 * 100e6


def test_a_burst_waits_for_its_first_word() -> None:
    hbm = part().hbm
    burst_s = 4096 / 12.8e9
    assert ports.burst_share(hbm, 12.8e9) == pytest.approx(burst_s / (burst_s + 122.2e-9), rel=1e-12)
    assert ports.burst_share(part(hbm__outstanding=2).hbm, 12.8e9) == 1
    halved = ports.burst_share(part(hbm__burst="2 KiB").hbm, 12.8e9)
    assert halved == pytest.approx(160 / (160 + 122.2), rel=1e-6)
    assert ports.burst_share(part(hbm__latency="0 s").hbm, 12.8e9) == 1
