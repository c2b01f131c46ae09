"""Passes over activations in a narrow format: where they go, what they leave alone, and where scales are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accelsim import catalog
from accelsim.evaluate.phases import Work
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Graph, Kind
from accelsim.graph.quantize import between
from accelsim.graph.routing import Routing

BF16, FP8 = catalog.format_("bf16"), catalog.format_("fp8_e4m3")
NARROW = Formats(weights=FP8, activations=FP8, kv_cache=BF16, wide=BF16)


def graph(
    model: str, scales: str | None, *, fuse: bool = True, phase: str = "decode", formats: Formats = NARROW
) -> Graph:
    work = Work(catalog.model(model), formats, 2, 64, 3, "last", Routing(), fuse, scales)
    return work.prefill() if phase == "prefill" else next(work.decode_steps())


@pytest.mark.parametrize("model", ["llama-3-8b", "mixtral-8x7b", "gemma-2-9b", "deepseek-v3"])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("scales", ["dynamic", "static"])
def test_products_take_the_narrow_format_and_all_else_the_wide_one(model: str, fuse: bool, scales: str) -> None:
    made = graph(model, scales, fuse=fuse)
    names = [op.name for block in made.blocks for op in block.operators]
    assert len(set(names)) == len(names)
    for _, op in made:
        if op.kind in (Kind.MATMUL, Kind.EXPERTS):
            quantised = op.inputs[1].format == FP8
            assert op.inputs[0].format == (FP8 if quantised else BF16), op.name
            assert op.outputs[0].format == BF16
        if op.kind is Kind.QUANTIZE:
            assert (op.inputs[0].format, op.outputs[0].format) == (BF16, FP8)
            assert op.dims["elements"] == op.inputs[0].elements


def test_products_of_one_input_share_a_pass() -> None:
    names = [op.name for _, op in graph("llama-3-8b", "dynamic", fuse=False) if op.kind is Kind.QUANTIZE]
    assert [name.rpartition(".")[2] for name in names] == ["q_quantize", "o_quantize", "gate_quantize", "down_quantize"]


def test_what_knows_its_scale_writes_narrow_without_a_pass() -> None:
    made = graph("llama-3-8b", "static")
    assert not [op for _, op in made if op.kind is Kind.QUANTIZE]
    written = {op.name: [out.format.name for out in op.outputs] for _, op in made}
    assert written["layers.attention.attend"] == ["fp8_e4m3"]
    assert written["layers.mlp.activation_multiply"] == ["fp8_e4m3"]
    assert "fp8_e4m3" in written["layers.attention_add_mlp_norm"]
    assert "bf16" in written["layers.attention_add_mlp_norm"]
    # the norm of a layer is written by the layer before it, and for the first by the embedding
    assert "fp8_e4m3" in written["layers.mlp_add_attention_norm"]
    assert written["layers.opening_norm"] == ["fp8_e4m3"]


def test_a_tensor_that_is_read_wide_as_well_is_written_twice() -> None:
    written = {op.name: [out.format.name for out in op.outputs] for _, op in graph("mixtral-8x7b", "static")}
    found = next(formats for name, formats in written.items() if name.endswith("attention_add_mlp_norm"))
    assert found.count("bf16") == 2  # the residual stream and what the router reads
    assert "fp8_e4m3" in found or any(name.endswith("dispatch") and "fp8_e4m3" in f for name, f in written.items())


@pytest.mark.parametrize("keys", [{"weights": BF16}, {"activations": BF16}])
def test_nothing_happens_unless_both_are_narrow(keys: dict[str, object]) -> None:
    formats = replace(NARROW, **keys)
    assert between(formats) is formats
    assert graph("llama-3-8b", "dynamic", formats=formats) == graph("llama-3-8b", None, formats=formats)
