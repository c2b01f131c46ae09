"""What formats cost the vector unit: by the chip's rows, else by their structure; on the way in and on the way out."""

from __future__ import annotations

import pytest

import accelsim
from accelsim import catalog
from accelsim.graph import build
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Kind
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.steps import beside, narrowing, widening
from accelsim.numerics import registry
from accelsim.spec.device import Conversion, GpuChip
from accelsim.spec.infeasible import Infeasible
from tests.mapping.operators import Mapped

H100 = catalog.chip("h100-sxm")
assert isinstance(H100, GpuChip)
assert H100.software is not None
SOFTWARE = H100.software


def flops(name: str, target: str = "bf16") -> float | None:
    way = widening(H100, catalog.format_(name), target)
    return way.flops_per_element if isinstance(way, Conversion) else 0.0 if way else None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bf16", 0.0),
        ("nf4", 6.0),  # a row of its own
        ("dybit4", SOFTWARE.table_16),
        ("posit6", SOFTWARE.table_256),
        ("takum12", SOFTWARE.fields),
        ("int4_g32", 2.0 + SOFTWARE.multiply),  # int4's row and the group's scale
        ("uint4_g128_zp", SOFTWARE.table_16 + 2 * SOFTWARE.multiply),  # scale and zero point
        ("mxfp4_even", 3.0 + SOFTWARE.multiply),
        ("int8_channel", 4.0),  # the channel's scale is applied to sums
        ("gguf_q4_k", SOFTWARE.table_16 + 2 * SOFTWARE.multiply),  # scale and least value
        ("olive4", SOFTWARE.table_16 + SOFTWARE.outlier),
    ],
)
def test_widening_is_the_sum_of_the_steps_of_the_structure(name: str, expected: float) -> None:
    assert flops(name) == expected


def test_a_scale_of_a_tensor_or_channel_leaves_the_native_unit_to_its_element() -> None:
    pair = resolve(H100, catalog.format_("int8_tensor"), catalog.format_("int8_channel"))
    assert not isinstance(pair, Infeasible)
    assert (pair.operands, pair.first, pair.second) == (("int8", "int8"), None, None)
    blocks = resolve(H100, catalog.format_("int8_g128"), catalog.format_("int8_channel"))
    assert not isinstance(blocks, Infeasible)
    assert blocks.first is not None, "scales along the depth cannot wait for the sum"


@pytest.mark.parametrize("name", catalog.names("formats"))
def test_every_shipped_format_runs_as_weights_and_as_cache(name: str) -> None:
    form = catalog.format_(name)
    assert form.kind in registry.implemented()
    for role in ("weights", "kv_cache"):
        run = accelsim.simulate("gpt2", on="h100-sxm", prompt=64, generate=2, fidelity="roofline", **{role: name})
        assert run.infeasible is None, run.infeasible
        assert run.summary["total_time_s"] > 0


def test_without_the_table_only_rows_count(tiny_chip: GpuChip) -> None:
    assert tiny_chip.software is None
    assert widening(tiny_chip, catalog.format_("posit6"), "bf16") is None
    assert narrowing(tiny_chip, catalog.format_("posit6")) is None
    op = Mapped(tiny_chip, "bf16").operator("add", elements=64)
    assert not isinstance(beside(op, tiny_chip), Infeasible)
    refused = accelsim.simulate_operator("add", on=tiny_chip, format="posit6", elements=64).infeasible
    assert refused is not None
    assert "no way between posit6 and fp32" in refused.reason
    assert any("[software]" in lever for lever in refused.levers)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bf16", 0.0),
        ("fp8_e4m3", 1.0),  # a row of its own
        ("int4_g128", SOFTWARE.round + SOFTWARE.absmax),
        ("mxfp8_e4m3", 1.0 + SOFTWARE.absmax),
        ("posit8", SOFTWARE.round),
        ("olive4", SOFTWARE.round + SOFTWARE.absmax + SOFTWARE.outlier),
    ],
)
def test_narrowing_is_the_sum_of_the_steps_of_the_structure(name: str, expected: float) -> None:
    assert narrowing(H100, catalog.format_(name)) == expected


def test_a_narrow_cache_is_paid_for_where_it_is_written() -> None:
    runs = {
        name: accelsim.simulate("llama-2-7b", on="h100-sxm", prompt=512, generate=2, kv_cache=name)
        for name in ("bf16", "mxfp8_e4m3")
    }
    rows = {name: run.operators.set_index("name") for name, run in runs.items()}
    append = next(name for name in rows["bf16"].index if "append" in name)
    rules = {name: set(table.loc[[append], "priced_by"]) for name, table in rows.items()}
    assert not any("convert" in rule for rule in rules["bf16"])
    assert all(rule.endswith("+convert(fp32->mxfp8_e4m3)") for rule in rules["mxfp8_e4m3"])
    energy = {name: run.summary["energy_vector_j"] for name, run in runs.items()}
    assert energy["mxfp8_e4m3"] > energy["bf16"]


@pytest.mark.parametrize(("weights", "converted"), [("fp8_e4m3", False), ("mxfp8_e4m3", True)])
def test_codes_that_stay_as_they_are_cost_nothing(weights: str, converted: bool) -> None:
    fp8, other = catalog.format_("fp8_e4m3"), catalog.format_(weights)
    formats = Formats(weights=other, activations=fp8, kv_cache=fp8, wide=other)
    graph = build.prefill(catalog.model("gpt2"), batch=1, prompt=64, formats=formats)
    embedding = next(op for _, op in graph if op.kind is Kind.EMBEDDING)
    steps = beside(embedding, H100)
    assert not isinstance(steps, Infeasible)
    assert (steps.flops > 0) == converted
    assert bool(steps.names) == converted


def test_element_wise_work_on_narrow_activations_widens_and_narrows_them() -> None:
    kernel = Mapped(H100, "fp8_e4m3").kernel("add", elements=1 << 20)
    assert kernel.priced_by == "stream/add+convert(fp32->fp8_e4m3,fp8_e4m3->fp32)"
    plain = Mapped(H100, "bf16").kernel("add", elements=1 << 20)
    inputs, outputs = 2 * (1 << 20), 1 << 20
    assert kernel.events["vector"] - plain.events["vector"] == 4 * inputs + 1 * outputs
    assert {"narrow", "convert"} <= set(kernel.constants)


def test_results_of_a_matrix_product_are_narrowed_beside_the_main_loop() -> None:
    kernel = Mapped(H100, "mxfp8_e4m3").matmul(256, 512, 1024)
    assert "+convert(fp32->mxfp8_e4m3)" in kernel.priced_by
    assert "software" in kernel.constants
