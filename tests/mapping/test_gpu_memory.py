"""What kernels draw from a GPU's memory: the DRAM's surface, behind the latency of the chip."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.errors import UnknownNameError
from accelsim.explain import Explanation, explain
from accelsim.mapping.gpu.memory import FIGURE, PATTERN, MemoryPort, channel, port
from accelsim.mapping.gpu.resources import MEMORY
from accelsim.spec.device import GpuChip
from accelsim.timing.dram import kept
from accelsim.timing.dram.surface import IN_FLIGHT, READS, digest, sample, surface
from tests.physics.models import few_layers
from tests.physics.random_chips import gpu

ROOT = Path(__file__).resolve().parents[2]
GPUS = [name for name in catalog.names("arch") if isinstance(catalog.chip(name), GpuChip)]
PAGE = ROOT / "docs" / "dram.md"
STREAM = re.compile(r"^\| `([\w-]+)`[^|]* \|" + r" (\d+), (\d+) \|" * 4 + "$", re.MULTILINE)
"""A row of the page: chip, then GB/s measured and ours for init, read, scale and triad."""


def test_streams_of_the_page_are_ours_and_near_the_measured_ones() -> None:
    found = STREAM.findall(PAGE.read_text(encoding="utf-8"))
    assert len(found) >= 7
    for name, *figures in found:
        chip = gpu(name)
        memory = port(chip)
        for (measured, ours), reads in zip(pairwise_of(figures), (0.0, 1.0, 1 / 2, 2 / 3), strict=True):
            rate = memory.streaming(reads) * chip.memory.bandwidth_bytes_per_s / 1e9
            assert rate == pytest.approx(ours, abs=1), name
            if name != "h200-sxm":  # whose streams were still growing at the largest occupancy
                assert rate / measured == pytest.approx(1, abs=0.11), name


def pairwise_of(figures: list[str]) -> list[tuple[int, int]]:
    """Two by two."""
    return [(int(first), int(second)) for first, second in zip(figures[::2], figures[1::2], strict=True)]


@pytest.mark.parametrize("name", GPUS)
def test_every_shipped_gpu_has_a_shipped_surface(name: str) -> None:
    made = channel(gpu(name).memory)
    shipped = kept.shipped()[digest(made)]
    assert isinstance(shipped, dict)
    assert name in shipped["of"]
    assert surface(made, (PATTERN,)).samples[PATTERN] == tuple(map(tuple, shipped[PATTERN]))


@pytest.mark.parametrize(("name", "at"), [("h100-sxm", 3), ("h100-sxm", 2), ("l40s", 3), ("v100", 1)])
def test_shipped_surfaces_are_what_the_controllers_do(name: str, at: int) -> None:
    """A few of their points, sampled anew; `docs/surfaces.py` writes the file."""
    made = channel(gpu(name).memory)
    grid = surface(made, (PATTERN,)).samples[PATTERN]
    for column, reads in enumerate(READS):
        fresh = max(sample(made, PATTERN, in_flight, reads) for in_flight in IN_FLIGHT[: at + 1])
        assert grid[at][column] == int(fresh)


def test_the_generator_names_the_shipped_memories() -> None:
    spec = importlib.util.spec_from_file_location("surfaces", ROOT / "docs" / "surfaces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.channels()) == set(json.loads(kept.shipped_file().read_text(encoding="utf-8")))


@given(st.sampled_from(GPUS), st.floats(1, 1e9), st.floats(0, 1))
def test_nothing_is_drawn_above_samples_peak_or_latency(name: str, under_way: float, reads: float) -> None:
    chip = gpu(name)
    memory = port(chip)
    highest = max(map(max, surface(memory.dram, (PATTERN,)).samples[PATTERN])) / memory.dram.peak_bytes_per_s
    assert 0 < memory.share(under_way, reads) <= memory.streaming(reads) * (1 + 1e-12)
    assert memory.streaming(reads) <= highest < 1
    waits = under_way / chip.timing.memory_latency_s / chip.memory.bandwidth_bytes_per_s
    assert memory.share(under_way) <= waits * (1 + 1e-9)


def test_few_bytes_under_way_wait_for_the_latency_of_the_chip() -> None:
    chip = gpu("h100-sxm")
    memory = port(chip)
    waits = 1000 / chip.timing.memory_latency_s / chip.memory.bandwidth_bytes_per_s
    assert memory.share(1000) == pytest.approx(waits, rel=1e-9)
    # two thirds of the way up, queues at the banks begin to show
    most = chip.timing.memory_latency_s * chip.memory.bandwidth_bytes_per_s
    assert 0.5 < memory.share(most) < 0.9


def decode(chip: GpuChip, **more: Any) -> float:
    run = accelsim.simulate(few_layers("llama-3-8b", 1), chip, prompt=500, generate=2, **more)
    return float(run.phases.set_index("phase").loc["decode", "time_s"])


@pytest.mark.parametrize("field", ["nFAW", "nREFI"])
def test_a_field_removed_from_the_sheet_changes_a_decode_time(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kept.CACHE, str(tmp_path / "surfaces"))
    lines = catalog.path("dram", "hbm3").read_text(encoding="utf-8").splitlines(keepends=True)
    removed = [line for line in lines if not line.startswith(f"{field} = ")]
    assert len(removed) == len(lines) - 1
    sheet = tmp_path / "hbm3-changed.toml"
    sheet.write_text("".join(removed).replace('name = "hbm3"', 'name = "hbm3-changed"'), encoding="utf-8")
    chip = gpu("h100-sxm")
    changed = chip.with_({"memory.standard": str(sheet)})
    # streams activate few rows: the window of four activations is worth little, refresh a per cent
    assert decode(changed) < decode(chip) * (1 - {"nFAW": 1e-6, "nREFI": 4e-3}[field])
    assert decode(changed, fidelity="roofline") == decode(chip, fidelity="roofline")


def test_refresh_can_be_turned_off_by_a_dotted_key() -> None:
    chip = gpu("h100-sxm")
    assert decode(chip.with_({"memory.controller.refresh": "off"})) < decode(chip) * 0.995


def test_an_unknown_standard_stops_events_and_not_the_roofline() -> None:
    chip = gpu("h100-sxm").with_({"memory.standard": "hbm33"})
    assert decode(chip, fidelity="roofline") > 0
    with pytest.raises(UnknownNameError, match="nearest: hbm3"):
        decode(chip)


def test_kernels_name_the_sheet() -> None:
    made = explain("llama-3-8b", "down_proj", "h100-sxm")
    assert isinstance(made, Explanation)
    (figure,) = [constant for constant in made.constants if constant.path == FIGURE]
    assert figure.source.startswith("hbm3 HBM3-6400 at a clock of 0.7643 ns: Ramulator 2")
    assert "timing.in_flight" in figure.source
    assert (figure.unit, figure.status) == ("B/s", "assumed")
    assert figure.value == port(gpu("h100-sxm")).streaming_bytes_per_s
    assert 0.9 * 3.35e12 < figure.value < 3.35e12


def test_concurrent_kernels_draw_no_more_than_a_stream() -> None:
    chip = gpu("h100-sxm")
    run = accelsim.simulate(few_layers("llama-3-8b", 1), chip, prompt=500, generate=2, streams="graph")
    best = max(map(max, surface(port(chip).dram, (PATTERN,)).samples[PATTERN])) / port(chip).dram.peak_bytes_per_s
    rows = run.timeline[run.timeline["resource"] == MEMORY]
    seconds = (rows["end_ps"] - rows["start_ps"]) * 1e-12
    assert (rows["bytes"] <= seconds * best * chip.memory.bandwidth_bytes_per_s * (1 + 1e-6) + 1).all()


def test_a_run_of_a_shipped_chip_imports_no_controller() -> None:
    code = (
        "import sys, accelsim; accelsim.simulate_operator('matmul', on='h100-sxm', m=1, n=4096, k=4096);"
        "sys.exit('accelsim.timing.dram.controller' in sys.modules or 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_one_port_serves_as_long_as_nothing_of_the_memory_changes() -> None:
    chip = gpu("h100-sxm")
    assert port(chip) is port(chip.with_({"sm.count": 66}))
    other = port(chip.with_({"memory.bandwidth": 2 * chip.memory.bandwidth_bytes_per_s}))
    assert isinstance(other, MemoryPort)
    assert other.channels == 2 * port(chip).channels
    assert other.streaming() == port(chip).streaming()
