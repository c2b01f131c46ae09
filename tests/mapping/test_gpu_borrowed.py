"""Constants of one chip's kernels on another."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.mapping.gpu.borrowed import borrowed
from accelsim.mapping.gpu.library import library
from accelsim.mapping.gpu.memory import port
from accelsim.spec.device import GpuChip


def chip(name: str) -> GpuChip:
    found = catalog.chip(name)
    assert isinstance(found, GpuChip)
    return found


def drawn(record_of: str, on: str) -> float:
    """The part of the peak that GEMMs draw."""
    record = borrowed(catalog.calibration(record_of), chip(on))
    return record.gemm.memory_efficiency * port(chip(on)).streaming()


def test_the_part_of_the_peak_carries_over_to_another_memory() -> None:
    own = drawn("a100-sxm-80gb-trtllm-1.0", "a100-sxm-80gb")
    assert drawn("a100-sxm-80gb-trtllm-1.0", "a6000") == pytest.approx(own, rel=1e-3)
    taken = library(chip("a6000")).calibration
    assert taken.gemm.memory_efficiency > 1.05 * catalog.calibration(taken.name).gemm.memory_efficiency
    attention = library(chip("a6000")).attention.attention
    assert attention is not None
    assert attention.decode.memory_efficiency <= 1


def test_measured_chips_and_like_memories_keep_theirs() -> None:
    for name, on in (("l40s-trtllm-1.3", "l40s"), ("l40s-trtllm-1.3", "a40"), ("cpu-plain", "a6000")):
        record = catalog.calibration(name)
        assert borrowed(record, chip(on)) is record


def test_what_is_drawn_of_a_peak_hardly_depends_on_the_memory() -> None:
    """Why: L40S lies among the chips with HBM by the part of the peak, and outside by that of its streams."""
    names = {name: catalog.calibration(name) for name in catalog.names("calibrations")}
    fitted = {r.chip: name for name, r in names.items() if r.provenance}
    peak = {on: drawn(name, on) for on, name in fitted.items()}
    streams = {on: names[name].gemm.memory_efficiency for on, name in fitted.items()}
    others = [on for on in peak if on != "l40s"]
    assert min(peak[on] for on in others) < peak["l40s"] < max(peak[on] for on in others)
    assert streams["l40s"] > max(streams[on] for on in others)
