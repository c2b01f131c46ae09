"""Pairs of formats: native, converted in a phase that is named and paid for, or refused; and grouped experts."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.graph import build, routing
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.resources import MEMORY, TENSOR, VECTOR
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible
from tests.mapping.operators import Mapped

H100 = catalog.chip("h100-sxm")
assert isinstance(H100, GpuChip)


@pytest.mark.parametrize("weights", ["mxfp4", "nvfp4", "int4", "fp8_e4m3", "fp6_e3m2"])
def test_converted_weights_are_widened_in_every_tile_and_the_rule_names_it(weights: str) -> None:
    plain, narrow = Mapped(H100, "bf16").matmul(64, 4096, 4096), Mapped(H100, "bf16", weights).matmul(64, 4096, 4096)
    assert "convert" not in plain.priced_by
    assert f"+convert({weights}->bf16)@" in narrow.priced_by
    pair = resolve(H100, *map(catalog.format_, ("bf16", weights)))
    assert not isinstance(pair, Infeasible)
    assert pair.second is not None
    tm, tn = map(int, narrow.choice["tile"].split("x"))
    split, depth = narrow.choice["split"], narrow.choice["depth_steps"] * 64
    flops = pair.second.flops_per_element * ceil(64 / tm) * ceil(4096 / tn) * tn * depth * split
    added = (split > 1) * split * 64 * 4096
    cycles = sum(d.amount for phase in narrow.phases for d in phase.compute if d.resource == VECTOR)
    assert cycles == pytest.approx((flops + added) / H100.vector.flops_per_clock, abs=3)
    # what every tile widens is charged as arithmetic, and fewer bytes come from memory
    assert narrow.events["vector"] == flops + added
    assert narrow.demand(MEMORY) < plain.demand(MEMORY)


@pytest.mark.parametrize("operands", [row.operands for row in H100.peak if row.sparsity == "dense"])
def test_native_pairs_convert_nothing_in_either_order(operands: tuple[str, str]) -> None:
    for activation, weight in (operands, operands[::-1]):
        pair = resolve(H100, catalog.format_(activation), catalog.format_(weight))
        assert not isinstance(pair, Infeasible)
        assert pair.first is None
        assert pair.second is None
        assert set(pair.peak.operands) == set(operands)


def test_both_operands_are_converted_where_no_row_takes_either() -> None:
    kernel = Mapped(H100, "mxfp8_e4m3", "mxfp4").matmul(64, 512, 512)
    assert "mxfp8_e4m3->" in kernel.priced_by
    assert "mxfp4->" in kernel.priced_by


def test_the_cheapest_conversion_is_taken() -> None:
    pair = resolve(H100, *map(catalog.format_, ("int8", "int4")))
    assert not isinstance(pair, Infeasible)
    assert pair.operands == ("int8", "int8"), "one widening to int8, at twice the rate of bf16"


def test_a_pair_without_a_path_is_a_result_that_names_the_pairs(tiny_chip: GpuChip) -> None:
    run = accelsim.simulate_operator("matmul", m=8, n=64, k=64, on=tiny_chip, format="int8")
    assert run.infeasible is not None
    assert run.infeasible.kind == "unsupported"
    assert "int8 x int8" in run.infeasible.reason
    assert any("bf16 x bf16, fp8_e4m3 x fp8_e4m3" in lever for lever in run.infeasible.levers)
    assert any("[[convert]]" in lever for lever in run.infeasible.levers)


def test_a_converted_run_is_charged_for_cycles_and_energy() -> None:
    options = {"m": 4096, "n": 4096, "k": 4096, "on": "h100-sxm", "format": "bf16"}
    plain = accelsim.simulate_operator("matmul", **options)
    narrow = accelsim.simulate_operator("matmul", weights="mxfp4", **options)
    assert plain.summary["energy_vector_j"] == 0
    assert narrow.summary["energy_vector_j"] > 0
    vector = narrow.resources.set_index("resource").loc[VECTOR]
    assert vector["amount"] > 0
    assert vector["busy_s"] > 0


def experts(tokens: int, name: str = "mixtral-8x7b", how: str = "uniform") -> list[Operator]:
    """Grouped expert products of one decode step or prompt."""
    bf16 = catalog.format_("bf16")
    formats = Formats(weights=bf16, activations=bf16, kv_cache=bf16, wide=bf16)
    graph = build.decode(
        catalog.model(name), batch=tokens, prompt=16, step=1, formats=formats, routing=routing.parse(how, 3)
    )
    return [op for _, op in graph if op.kind is Kind.EXPERTS]


@pytest.mark.parametrize("tokens", [1, 2, 5, 64])
@pytest.mark.parametrize("how", ["uniform", "zipf:1.2", "uniform:drawn"])
def test_weights_of_each_distinct_expert_are_read_once(tokens: int, how: str) -> None:
    model = catalog.model("mixtral-8x7b")
    hidden = model.hidden
    on = Mapped(H100)
    distinct = routing.parse(how, 3).distinct(8, 2, tokens)
    assert distinct <= min(8, 2 * tokens)
    for op in experts(tokens, how=how):
        kernel = on.mapper.kernel(op)
        assert not isinstance(kernel, Infeasible)
        width = op.dims["n"] * op.dims["k"]
        assert width == hidden * 14_336
        weights = 2 * float(distinct) * width
        others = 2 * 2 * tokens * (op.dims["k"] + op.dims["n"])
        assert kernel.demand(MEMORY) == pytest.approx(weights + others, abs=3)


def test_expert_tiles_are_those_of_each_experts_own_rows() -> None:
    (op, *_) = experts(64)
    kernel = Mapped(H100).mapper.kernel(op)
    assert not isinstance(kernel, Infeasible)
    tm, tn = (int(part) for part in kernel.choice["tile"].split("x"))
    loads = np.asarray(op.attributes["loads"])
    assert sum(loads) == pytest.approx(128)
    rows = [16] * 8
    assert kernel.choice["tiles"] == sum(ceil(r / tm) for r in rows) * ceil(op.dims["n"] / tn) * kernel.choice["split"]
    assert kernel.demand(TENSOR) * 4096 >= 2 * 128 * op.dims["n"] * op.dims["k"]
