"""Every shipped CPU: its prose adds up, and a model decodes on it at the rate of its memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import accelsim
from accelsim import catalog, units
from accelsim.mapping.gpu.memory import port
from accelsim.spec.device import GpuChip

ROOT = Path(__file__).resolve().parents[2]
NAMES = [file.stem for file in sorted((ROOT / "arch" / "cpu").glob("*.toml"))]
XEON = "xeon-silver-4215-2s"

_PEAK = re.compile(r"^# Published peak: (\d+) core x (\d+) (\w+) FLOP/clk/core x ([\d.]+ GHz) = ([\d.]+ TFLOP/s)", re.M)
_BANDWIDTH = re.compile(
    r"^# Published bandwidth: (\d+) channels x (\d+) pin x ([\d.]+ Gbit/s) = ([\d.]+ GB/s)", re.M
)  # fmt: skip


def cpu(name: str) -> GpuChip:
    found = catalog.chip(name)
    assert isinstance(found, GpuChip)
    assert found.family == "cpu"
    return found


def test_a_cpu_ships():
    assert XEON in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_arithmetic_of_the_prose(name):
    chip, text = cpu(name), (ROOT / "arch" / "cpu" / f"{name}.toml").read_text(encoding="utf-8")
    peak, bandwidth = _PEAK.search(text), _BANDWIDTH.search(text)
    assert peak
    assert bandwidth
    row = next(row for row in chip.peak if row.operands == (peak[3], peak[3]))
    assert (int(peak[1]), float(peak[2])) == (chip.sm.count, row.flops_per_clock)
    assert units.parse(peak[4], "Hz") == chip.clock.sm.frequency_hz
    assert chip.peak_flops_per_s(row) == pytest.approx(units.parse(peak[5], "FLOP/s"), rel=1e-3)
    memory = chip.memory
    assert (int(bandwidth[1]), int(bandwidth[2])) == (memory.stacks, memory.pins)
    rates = (units.parse(bandwidth[3], "B/s") * memory.stacks * memory.pins, units.parse(bandwidth[4], "B/s"))
    assert rates == pytest.approx((memory.bandwidth_bytes_per_s, memory.bandwidth_bytes_per_s))


@pytest.mark.parametrize("name", NAMES)
def test_both_units_at_full_rate_draw_what_the_sockets_may(name):
    chip = cpu(name)
    for row in chip.peak:
        assert row.energy_j_per_flop is not None
        drawn = chip.power.idle_w + chip.peak_flops_per_s(row) * row.energy_j_per_flop
        assert drawn == pytest.approx(chip.power.limit_w, rel=0.01)


@pytest.mark.parametrize("weights", [None, "bf16", "int8"])
def test_decoding_reads_the_weights_at_the_rate_of_the_memory(weights):
    """Sixteen cores draw 173 GB/s, a 65th of it for each tile's copy of the input; the rest are forks and joins."""
    chip = cpu(XEON)
    run = accelsim.simulate(
        "llama-2-7b", XEON, prompt=32, generate=2, weights=weights, activations=weights, kv_cache=weights
    )
    under_way = chip.sm.count * chip.timing.bytes_in_flight_per_sm
    reach = port(chip).share(under_way) * chip.memory.bandwidth_bytes_per_s
    assert 0.9 < reach / (under_way / chip.timing.memory_latency_s) < 1  # they wait for each other in the channels
    rows = [row for row in run.rows("operators") if row["phase"] == "decode" and row["kind"] == "matmul"]
    assert {row["bound"] for row in rows} == {"memory"}
    read = sum(row["bytes"] for row in rows)
    assert 1.0 <= sum(row["time_s"] for row in rows) * reach / read < 1.05
    assert run.summary["time_per_output_token_s"] < 1.1 * read / reach


def test_a_single_row_is_not_padded():
    """A GPU's matrix instruction takes sixteen rows at least; lanes take one."""
    sizes = {"n": 4096, "k": 4096, "format": "fp32"}
    slow = {"peak.0.rate": "1 FLOP/clk"}
    one = accelsim.simulate_operator("matmul", m=1, on=XEON, overrides=slow, **sizes)
    padded = accelsim.simulate_operator("matmul", m=1, on=XEON, overrides={**slow, "sm.tile_rows": 16}, **sizes)
    assert one.operators["bound"].tolist() == padded.operators["bound"].tolist() == ["compute"]
    assert 14 < padded.summary["total_time_s"] / one.summary["total_time_s"] < 16


def test_more_rows_than_an_instruction_of_a_gpu_are_refused():
    with pytest.raises(accelsim.AccelsimError, match="tile_rows"):
        catalog.chip("h100-sxm", {"sm.tile_rows": 17})
