"""Depth of pipelines and tiles of an overlay, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import catalog
from accelsim.graph.operator import Kind, Operator
from accelsim.spec.fpga import FpgaPart
from accelsim.timing.fpga.flightllm import Parallelism, bound, compute_time, memory_time
from accelsim.timing.fpga.pipeline import Shape, levels, product_cycles, vector_work


def part(name: str = "dfx-u280", **overrides: object) -> FpgaPart:
    found: Any = catalog.chip(name, overrides or None)
    assert isinstance(found, FpgaPart)
    return found


def test_a_sum_of_n_terms_passes_the_logarithm_of_n_adders() -> None:
    assert [levels(n) for n in (1, 2, 3, 16, 64, 65)] == [0, 1, 2, 4, 6, 7]


@pytest.mark.parametrize(
    ("d", "lanes", "k", "cycles"),
    [
        (64, 16, 1024, 4 * 3 + 6 + 11 * (6 + 4)),  # 16 tiles are accumulated
        (64, 16, 64, 4 * 3 + 6 + 11 * 6),
        (128, 8, 64, 3 * 3 + 6 + 11 * 7),  # the tree is as deep as it is wide, however short the vector
        (32, 32, 64, 5 * 3 + 6 + 11 * (5 + 1)),
    ],
)
def test_a_product_passes_registers_a_multiplier_and_the_adders(d: int, lanes: int, k: int, cycles: int) -> None:
    assert product_cycles(part().matrix, Shape(1, d, lanes), k) == cycles


def test_tiles_are_rounded_up_both_ways() -> None:
    assert Shape(1, 64, 16).tiles(1024, 64) == 16 * 4
    assert Shape(1, 64, 16).tiles(1025, 65) == 17 * 5
    assert Shape(128, 16, 2).products == 4096


def norm(kind: str) -> Operator:
    return Operator(name="norm", kind=Kind.NORM, dims={}, inputs=(), outputs=(), attributes={"norm": kind})


def test_a_layer_norm_is_eight_instructions_on_dfx_and_two_passes_on_flightllm() -> None:
    work = vector_work(part().vector, norm("layer"), 1024)
    total = 11 * (6 + 4)  # a tree over 64 lanes, 16 of its sums accumulated
    assert work.instructions == work.passes == 8
    assert work.latency == 2 * (total + 6) + 11 + 4 + 20 + 6 + 6 + 11
    chained = vector_work(part("flightllm-u280").vector, norm("rms"), 4096)
    assert (chained.instructions, chained.passes) == (1, 2)


def test_the_printed_cycle_model() -> None:
    """T_mem = (MK + KN + MN) / BW, T_cmp = MKN / (pM pK pN); decode has M = pM = 1."""
    decode = Parallelism(1, 16, 64)
    assert compute_time(1, 4096, 4096, decode) == 4096 * 4096 / 1024
    assert memory_time(1, 4096, 4096, 512.0) == (4096 + 4096 * 4096 + 4096) / 512
    assert bound(1, 4096, 4096, decode, 512.0) == "memory"
    assert bound(1, 4096, 4096, decode, 1100.0) == "compute"
    panel = Parallelism(128, 16, 2)
    assert compute_time(128, 4096, 4096, panel) == 128 * 4096 * 4096 / 4096
    assert bound(128, 4096, 4096, panel, 512.0) == "compute"


@pytest.mark.parametrize("name", ["flightllm-u280", "flightllm-vhk158"])
def test_tiles_of_the_units_are_the_printed_compute_time(name: str) -> None:
    found = part(name)
    assert found.panel is not None
    for shape in (Shape(1, found.matrix.d, found.matrix.l), Shape(found.panel.rows, found.panel.d, found.panel.l)):
        printed = compute_time(shape.rows, 4096, 4096, Parallelism(shape.rows, shape.d, shape.l))
        assert shape.tiles(4096, 4096) == printed
