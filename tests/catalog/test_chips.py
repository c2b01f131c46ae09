"""Every shipped GPU: its prose adds up, its figures agree with the datasheets, and no pair of formats is a dead end."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog, units
from accelsim.mapping.gpu.steps import widening
from accelsim.spec.base import STATUSES
from accelsim.spec.device import Conversion, GpuChip, Peak

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.stem: file for file in sorted((ROOT / "arch" / "gpu").glob("*.toml"))}
RAW = {name: tomllib.loads(file.read_text(encoding="utf-8")) for name, file in FILES.items()}
CHIPS = {name: GpuChip.model_validate(raw) for name, raw in RAW.items()}
FORMATS = {file.stem: catalog.format_(file) for file in sorted((ROOT / "dataformats").rglob("*.toml"))}

NAMES = (
    "v100", "a40", "a6000", "l40s", "rtx-4090", "a100-sxm-40gb", "a100-sxm-80gb", "a100-pcie-80gb", "h100-pcie",
    "h100-sxm", "h200-sxm", "b200-sxm", "mi300x",
)  # fmt: skip

# TFLOP/s (TOP/s), dense, as the makers print them; L40S: half of the figure with sparsity, see its file
PUBLISHED = {
    "v100": {"fp16": 125},
    "a40": {"bf16": 149.7, "tf32": 74.8, "int8": 299.3, "int4": 598.7},
    "a6000": {"bf16": 154.8, "tf32": 77.4, "int8": 309.7},
    "l40s": {"bf16": 366.5, "tf32": 183, "fp8_e4m3": 733, "int8": 733, "int4": 733},
    "rtx-4090": {"bf16": 165.2, "tf32": 82.6, "fp8_e4m3": 330.3, "int8": 660.6, "int4": 1321.2},
    "a100-sxm-40gb": {"bf16": 312, "tf32": 156, "int8": 624, "int4": 1248},
    "a100-sxm-80gb": {"bf16": 312, "tf32": 156, "int8": 624, "int4": 1248},
    "a100-pcie-80gb": {"bf16": 312, "tf32": 156, "int8": 624, "int4": 1248},
    "h100-pcie": {"bf16": 756, "fp8_e4m3": 1513, "int8": 1513},
    "h100-sxm": {"bf16": 989.4, "tf32": 494.7, "fp8_e4m3": 1979, "int8": 1979},
    "h200-sxm": {"bf16": 989.4, "tf32": 494.7, "fp8_e4m3": 1979, "int8": 1979},
    "b200-sxm": {"bf16": 2250, "fp8_e4m3": 4500, "fp6_e2m3": 4500, "nvfp4": 9000, "int8": 4500},
    "mi300x": {"bf16": 1307.4, "tf32": 653.7, "fp8_e4m3": 2614.9, "int8": 2614.9, "fp32": 163.4},
}

# GB, GB/s, W
BOARDS = {
    "v100": (32, 900, 300), "a40": (48, 696, 300), "a6000": (48, 768, 300), "l40s": (48, 864, 350),
    "rtx-4090": (24, 1008, 450), "a100-sxm-40gb": (40, 1555, 400), "a100-sxm-80gb": (80, 2039, 400),
    "a100-pcie-80gb": (80, 1935, 300), "h100-pcie": (80, 2039, 350), "h100-sxm": (80, 3350, 700),
    "h200-sxm": (141, 4800, 700), "b200-sxm": (180, 7700, 1000), "mi300x": (192, 5300, 750),
}  # fmt: skip

# Native pairs that cannot run at their full rate: what limits them there, and the fraction that is left.
SLOWER_THAN_PEAK = {
    "mi300x": ("l2", 0.84),  # the L2 of the compute dies, left out, would filter the traffic
}
# 4.25 and 4.5 bits through a port that 4 bits fill exactly; and 8.25 for 8
SCALE_BYTES = {"b200-sxm": 0.88}

# Chips whose components at full rate and full bandwidth at once, with idle power, exceed the board limit: the factor
# for the native format, and for the pair that draws most (fp16). The real parts lower their clock then.
ABOVE_THE_LIMIT = {"h100-pcie": (1.20, 1.34), "b200-sxm": (1.18, 1.33), "mi300x": (1.15, 1.26)}

_PEAK = re.compile(
    r"^# Published peak: (\d+) (?:SM|CU) x (\d+) dense (\w+) FLOP/clk/(?:SM|CU) x ([\d.]+) GHz = ([\d.]+) TFLOP/s", re.M
)
_BANDWIDTH = re.compile(
    r"^# Published bandwidth: (\d+) (?:stacks|devices) x (\d+) pin x ([\d.]+ Gbit/s) = ([\d.]+ [GT]B/s)", re.M
)
_POWER = re.compile(r"make (\d+) W")


def _text(name: str) -> str:
    return FILES[name].read_text(encoding="utf-8")


def _row(chip: GpuChip, first: str, second: str, sparsity: str = "dense") -> Peak | None:
    return next((r for r in chip.peak if set(r.operands) == {first, second} and r.sparsity == sparsity), None)


def _native(chip: GpuChip) -> list[Peak]:
    """Dense rows of the matrix unit itself, without fp32 on the lanes."""
    return [row for row in chip.peak if row.sparsity == "dense" and row.operands != ("fp32", "fp32")]


def _flops(chip: GpuChip, row: Peak) -> float:
    return chip.sm.count * row.flops_per_clock * chip.clock.sm.frequency_hz


def _tile(chip: GpuChip, row: Peak) -> tuple[int, int, float]:
    """Rows, columns and bytes per element of the largest tile of which two stages (64 deep in bf16) fit."""
    widest = max((FORMATS[operand] for operand in row.operands), key=lambda record: record.bits_per_element)
    size = widest.bytes_per_element
    depth = 128 / (widest.bits / 8 if widest.block > 1 else size)
    stages = {tn: 2 * (128 + tn / chip.sm.operand_sharing) * depth * size for tn in (256, 128)}
    return 128, next(tn for tn, needed in stages.items() if needed <= chip.sm.shared_bytes), size


def _traffic_per_flop(chip: GpuChip, row: Peak) -> dict[str, float]:
    """Bytes per FLOP of a tile's main loop on the register, shared, SM and L2 ports."""
    tm, tn, size = _tile(chip, row)
    staged = (tm + tn / chip.sm.operand_sharing) * size / (2 * tm * tn)
    return {"register": 8 / 32, "shared": (1 + chip.sm.operand_reads) * staged, "l2_port": staged, "l2": staged}


def _power_w(chip: GpuChip, row: Peak) -> float:
    """All components with the matrix unit and the memory at full rate."""
    energy, flops, bytes_ = chip.energy, _flops(chip, row), _traffic_per_flop(chip, row)
    per_flop = (
        row.energy_j_per_flop + bytes_["register"] * energy.register_j_per_byte
        + bytes_["shared"] * energy.shared_j_per_byte + bytes_["l2"] * energy.l2_j_per_byte
    )  # fmt: skip
    return flops * per_flop + chip.memory.bandwidth_bytes_per_s * energy.memory_j_per_byte + chip.power.idle_w


def _conversion(chip: GpuChip, source: str, target: str) -> Conversion | None:
    return next((row for row in chip.convert if source in row.sources and target in row.targets), None)


def _tables(node: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every table of figures in a chip file, with its path."""
    found = []
    if isinstance(node, dict):
        if path not in ("native", "clock"):
            found.append((path, node))
        for key, value in node.items():
            found += _tables(value, f"{path}.{key}".strip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if isinstance(value, dict):
                found += _tables(value, f"{path}.{index}")
    return [(where, table) for where, table in found if where != "native"]


def test_the_chips_of_the_design_ship():
    assert set(FILES) >= set(NAMES)
    assert set(PUBLISHED) == set(BOARDS) == set(NAMES)


@pytest.mark.parametrize("name", FILES)
def test_a_chip_is_named_like_its_file_and_opens_with_prose(name):
    assert CHIPS[name].name == name
    lines = _text(name).splitlines()
    prose = lines[: next(i for i, line in enumerate(lines) if not line.startswith("# "))]
    assert len(prose) >= 5
    joined = " ".join(line[2:] for line in prose)
    for promise in ("Modelled:", "Left out:", "Published peak:", "Published bandwidth:"):
        assert joined.count(promise) == 1, promise


@pytest.mark.parametrize("name", FILES)
def test_the_published_peak_adds_up(name):
    chip, found = CHIPS[name], _PEAK.search(_text(name))
    assert found, "no '# Published peak: ...' line"
    count, rate, frequency, peak = int(found[1]), float(found[2]), float(found[4]) * 1e9, float(found[5]) * 1e12
    assert count * rate * frequency == pytest.approx(peak, rel=5e-4)
    row = _row(chip, found[3], found[3])
    assert row
    assert (count, rate) == (chip.sm.count, row.flops_per_clock)
    assert frequency == pytest.approx(chip.clock.sm.frequency_hz, rel=1e-12)


@pytest.mark.parametrize("name", FILES)
def test_the_published_bandwidth_adds_up(name):
    memory, found = CHIPS[name].memory, _BANDWIDTH.search(_text(name))
    assert found, "no '# Published bandwidth: ...' line"
    stacks, pins, pin_rate = int(found[1]), int(found[2]), units.parse(found[3], "B/s")
    assert (stacks, pins) == (memory.stacks, memory.pins)
    assert pin_rate == pytest.approx(memory.pin_rate_bytes_per_s)
    assert stacks * pins * pin_rate == pytest.approx(memory.bandwidth_bytes_per_s, rel=5e-3)
    assert units.parse(found[4], "B/s") == pytest.approx(memory.bandwidth_bytes_per_s, rel=1e-3)


@pytest.mark.parametrize(("name", "operand"), [(name, operand) for name in NAMES for operand in PUBLISHED[name]])
def test_rates_give_the_datasheet_peak(name, operand):
    row = _row(CHIPS[name], operand, operand)
    assert row
    assert _flops(CHIPS[name], row) / 1e12 == pytest.approx(PUBLISHED[name][operand], rel=4e-3)


@pytest.mark.parametrize("name", NAMES)
def test_boards_are_those_of_the_datasheet(name):
    chip, (capacity, bandwidth, limit) = CHIPS[name], BOARDS[name]
    assert chip.memory.capacity_bytes == capacity * 1e9
    assert chip.memory.bandwidth_bytes_per_s / 1e9 == pytest.approx(bandwidth, rel=5e-3)
    assert chip.power.limit_w == limit
    assert 0.05 * limit < chip.power.idle_w < 0.4 * limit


@pytest.mark.parametrize("name", FILES)
def test_sparse_rows_are_twice_the_dense_ones(name):
    chip = CHIPS[name]
    sparse = [row for row in chip.peak if row.sparsity == "2:4"]
    for row in sparse:
        dense = _row(chip, *row.operands)
        assert dense
        assert row.accumulator == dense.accumulator
        assert row.flops_per_clock == 2 * dense.flops_per_clock
        assert row.energy_j_per_flop == pytest.approx(dense.energy_j_per_flop / 2, rel=0.01)
    assert bool(sparse) == (chip.generation != "volta")


@pytest.mark.parametrize("name", FILES)
def test_formats_that_a_chip_names_exist(name):
    chip = CHIPS[name]
    named = {operand for row in chip.peak for operand in row.operands}
    named |= {fmt for row in chip.convert for fmt in (*row.sources, *row.targets)}
    named |= {chip.native.weights, chip.native.activations, chip.native.kv_cache}
    assert named <= set(FORMATS)


@pytest.mark.parametrize("name", FILES)
def test_native_formats_run_without_conversion(name):
    native = CHIPS[name].native
    assert _row(CHIPS[name], native.activations, native.weights)
    assert _row(CHIPS[name], native.activations, native.kv_cache)
    expected = "fp16" if name == "v100" else "bf16"
    assert native.weights == expected


@pytest.mark.parametrize("name", FILES)
def test_every_pair_of_shipped_formats_runs_somehow(name):
    """As it is, by a row of `convert`, or by what its structure takes in software."""
    chip = CHIPS[name]
    pairs = {pair for row in chip.peak for pair in (row.operands, row.operands[::-1])}
    operands = {operand for pair in pairs for operand in pair}
    reached = {
        record.name: frozenset(operand for operand in operands if widening(chip, record, operand))
        for record in FORMATS.values()
        if record.bits <= 16
    }
    assert len(reached) >= 100
    distinct = {targets: fmt for fmt, targets in reached.items()}
    dead_ends = [
        (a, b)
        for (first, a), (second, b) in itertools.product(distinct.items(), repeat=2)
        if not any(x in first and y in second for x, y in pairs)
    ]
    assert dead_ends == []


def test_bf16_on_volta_runs_on_the_lanes():
    chip = CHIPS["v100"]
    assert not _conversion(chip, "bf16", "fp16"), "fp16 has not the range of bf16"
    row = _row(chip, "fp32", "fp32")
    assert row
    assert row.flops_per_clock == chip.vector.flops_per_clock
    assert not any("bf16" in r.operands or "tf32" in r.operands for r in chip.peak)


@pytest.mark.parametrize("name", FILES)
def test_no_conversion_loses_range(name):
    narrow = {
        ("bf16", "fp16"), ("fp32", "tf32"), ("fp32", "bf16"), ("fp32", "fp16"), ("tf32", "bf16"),
        ("posit8", "fp16"), ("posit16", "fp16"), ("posit16", "bf16"), ("fp8_e5m2", "fp8_e4m3"),
    }  # fmt: skip
    offered = {(s, t) for row in CHIPS[name].convert for s in row.sources for t in row.targets}
    assert not offered & narrow
    for source, target in offered:
        assert FORMATS[source].bits <= FORMATS[target].bits, (source, target)


@pytest.mark.parametrize("name", FILES)
def test_a_conversion_stands_once(name):
    offered = [(s, t) for row in CHIPS[name].convert for s in row.sources for t in row.targets]
    assert len(offered) == len(set(offered))


def test_native_formats_grow_with_the_generations():
    def has(name: str, operand: str) -> bool:
        return _row(CHIPS[name], operand, operand) is not None

    assert {n for n in NAMES if has(n, "fp8_e4m3")} == {
        "l40s",
        "rtx-4090",
        "h100-pcie",
        "h100-sxm",
        "h200-sxm",
        "b200-sxm",
        "mi300x",
    }
    assert {n for n in NAMES if has(n, "mxfp4")} == {n for n in NAMES if has(n, "nvfp4")} == {"b200-sxm"}
    assert {n for n in NAMES if has(n, "int4")} == {
        "a40", "a6000", "l40s", "rtx-4090", "a100-sxm-40gb", "a100-sxm-80gb", "a100-pcie-80gb"
    }  # fmt: skip


def test_mixed_block_scaled_pairs_run_at_the_rate_of_the_wider_one():
    chip = CHIPS["b200-sxm"]
    mixed, wide, narrow = (_row(chip, *p) for p in (("mxfp8_e4m3", "mxfp4"), ("mxfp8_e4m3",) * 2, ("mxfp4",) * 2))
    assert mixed
    assert wide
    assert narrow
    assert mixed.flops_per_clock == wide.flops_per_clock == narrow.flops_per_clock / 2
    plain = _row(chip, "fp4_e2m1", "fp4_e2m1")
    assert plain
    assert plain.flops_per_clock == wide.flops_per_clock, "fp4 without block scales runs at the fp8 rate"


@pytest.mark.parametrize("name", FILES)
def test_register_port_carries_both_units_at_their_full_rates(name):
    chip = CHIPS[name]
    assert 6 * chip.vector.flops_per_clock <= chip.sm.register_bytes_per_clock
    assert max(row.flops_per_clock for row in chip.peak) / 2 / 16 * 8 <= chip.sm.register_bytes_per_clock


@pytest.mark.parametrize("name", FILES)
def test_a_large_tile_keeps_the_matrix_unit_busy(name):
    chip = CHIPS[name]
    ports = {
        "shared": chip.sm.shared_bytes_per_clock,
        "l2_port": chip.sm.l2_port_bytes_per_clock,
        "l2": chip.l2.bytes_per_clock / chip.sm.count,
    }
    limit, left = SLOWER_THAN_PEAK.get(name, ("", 1.0))
    for row in _native(chip):
        scaled = any(FORMATS[operand].block > 1 for operand in row.operands)
        demand = _traffic_per_flop(chip, row)
        for port, width in ports.items():
            reached = min(1.0, width / (demand[port] * row.flops_per_clock))
            if port == limit:
                assert reached == pytest.approx(left, abs=0.01), row.operands
            else:
                assert reached >= (SCALE_BYTES.get(name, 1.0) if scaled else 1.0), (row.operands, port)


@pytest.mark.parametrize("name", FILES)
def test_power_at_full_rate_is_plausible(name):
    chip = CHIPS[name]
    native = _row(chip, chip.native.activations, chip.native.weights)
    assert native
    usual = _power_w(chip, native) / chip.power.limit_w
    worst = max(_power_w(chip, row) for row in _native(chip)) / chip.power.limit_w
    if name in ABOVE_THE_LIMIT:
        assert (usual, worst) == pytest.approx(ABOVE_THE_LIMIT[name], abs=0.01), "the list is out of date"
    else:
        assert 0.25 < worst <= 1.0
    assert usual <= 1.3


@pytest.mark.parametrize("name", [name for name in FILES if _POWER.search(_text(name))])
def test_the_energy_check_of_the_prose_adds_up(name):
    row = _row(CHIPS[name], "bf16", "bf16")
    found = _POWER.search(_text(name))
    assert row
    assert found
    assert _power_w(CHIPS[name], row) == pytest.approx(float(found[1]), rel=0.01)


def test_components_explain_less_than_the_measured_board():
    """H200, large bf16 GEMMs: 0.993 pJ/FLOP at 691 W on the board (power-logged public tables)."""
    chip = CHIPS["h200-sxm"]
    row = _row(chip, "bf16", "bf16")
    assert row
    rate = 691 / 0.993e-12
    streaming = chip.memory.bandwidth_bytes_per_s * chip.energy.memory_j_per_byte
    explained = (_power_w(chip, row) - chip.power.idle_w - streaming) * rate / _flops(chip, row) + chip.power.idle_w
    assert explained == pytest.approx(370, rel=0.02), "the figure of the prose"
    assert explained < 691


@pytest.mark.parametrize("name", FILES)
def test_reads_in_flight_cover_the_memory_latency(name):
    chip = CHIPS[name]
    reachable = chip.sm.count * chip.timing.bytes_in_flight_per_sm / chip.timing.memory_latency_s
    assert 2 <= reachable / chip.memory.bandwidth_bytes_per_s <= 12
    assert chip.l2.latency_s < chip.timing.memory_latency_s < 1e-6
    assert chip.memory.bandwidth_bytes_per_s < chip.l2.bytes_per_clock * chip.clock.sm.frequency_hz


@pytest.mark.parametrize("name", FILES)
def test_every_table_says_where_its_figures_come_from(name):
    tables = _tables(RAW[name])
    assert len(tables) > 20
    for where, table in tables:
        assert len(table.get("source", "")) > 10, where
        assert table.get("status") in STATUSES, where


def test_the_status_of_one_figure_is_never_better_than_its_table():
    row = _row(CHIPS["h100-sxm"], "bf16", "bf16")
    assert row
    assert (row.status_of("rate"), row.status_of("energy")) == ("derived", "assumed")
    overridden = row.model_copy(update={"status": "assumed"})
    assert overridden.status_of("rate") == "assumed"


def test_a_status_of_an_unknown_key_is_refused():
    raw = tomllib.loads(_text("h100-sxm"))
    raw["timing"]["assumed"] = ["memory_latancy"]
    with pytest.raises(ValueError, match=r"memory_latancy.*did you mean 'memory_latency'"):
        GpuChip.model_validate(raw)


def test_a_row_of_several_pairs_is_a_row_for_each():
    raw = tomllib.loads(_text("h100-sxm"))
    listed = next(row for row in raw["peak"] if isinstance(row["operands"][0], list))
    alike = [
        row for row in CHIPS["h100-sxm"].peak if list(row.operands) in listed["operands"] and row.sparsity == "dense"
    ]
    assert len(alike) == len(listed["operands"]) == 3
    assert len({(row.flops_per_clock, row.energy_j_per_flop) for row in alike}) == 1
    raw["peak"].append({**listed, "operands": listed["operands"][:1]})
    with pytest.raises(ValueError, match="stands twice"):
        GpuChip.model_validate(raw)


def test_no_two_chips_are_the_same():
    figures = {name: _without_words(raw) for name, raw in RAW.items()}
    for name, mine in figures.items():
        assert not [other for other, theirs in figures.items() if other != name and theirs == mine]


def test_the_two_a100_sxm_differ_in_memory_only():
    small, large = CHIPS["a100-sxm-40gb"], CHIPS["a100-sxm-80gb"]
    assert (small.sm.count, small.clock, small.l2.capacity_bytes) == (
        large.sm.count,
        large.clock,
        large.l2.capacity_bytes,
    )
    assert [r.flops_per_clock for r in small.peak] == [r.flops_per_clock for r in large.peak]
    assert large.memory.capacity_bytes == 2 * small.memory.capacity_bytes


def _without_words(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            k: _without_words(v)
            for k, v in node.items()
            if k not in ("name", "source", "notes", "status", "generation")
        }
    return [_without_words(v) for v in node] if isinstance(node, list) else node
