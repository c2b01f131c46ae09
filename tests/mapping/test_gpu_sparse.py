"""Weights of 2:4 sparsity, scales of long blocks, launches without a graph, and classes of kernels by format."""

from __future__ import annotations

import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.mapping.gpu.launch import HOST_LAUNCH_S, STREAM_GAP_S
from accelsim.mapping.gpu.pairs import resolve
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


def chip(name: str) -> GpuChip:
    found = catalog.chip(name)
    assert isinstance(found, GpuChip)
    return found


def matmul_s(on: str, m: int, **keys: object) -> float:
    run = accelsim.simulate_operator("matmul", on=on, m=m, n=8192, k=8192, **keys)  # type: ignore[arg-type]
    assert run.infeasible is None
    return float(run.summary["total_time_s"])


@pytest.mark.parametrize(
    ("name", "bits"), [("bf16_2of4", 9), ("fp8_e4m3_2of4", 5), ("int4_2of4", 2.5), ("int8_g128_2of4", (8.125 + 2) / 2)]
)
def test_half_of_the_codes_and_their_places(name: str, bits: float) -> None:
    assert catalog.format_(name).bits_per_element == bits


def test_sparse_weights_take_the_rate_of_their_sparsity() -> None:
    dense, sparse = (
        resolve(chip("h100-sxm"), catalog.format_("bf16"), catalog.format_(w)) for w in ("bf16", "bf16_2of4")
    )
    assert not isinstance(dense, Infeasible)
    assert not isinstance(sparse, Infeasible)
    assert sparse.peak.flops_per_clock == 2 * dense.peak.flops_per_clock
    assert sparse.event != dense.event
    for m, least, most in ((8192, 1.5, 2.0), (1, 1.5, 16 / 9)):
        assert least < matmul_s("h100-sxm", m) / matmul_s("h100-sxm", m, format="bf16", weights="bf16_2of4") < most
    run = accelsim.simulate_operator("matmul", on="a100-sxm-80gb", m=64, n=4096, k=4096, weights="bf16_2of4")
    assert "+2:4@" in run.operators.iloc[0]["priced_by"]
    assert run.operators.iloc[0]["weight_bytes"] == 4096 * 4096 * 9 / 8


def test_a_chip_without_that_rate_says_so() -> None:
    run = accelsim.simulate_operator("matmul", on="v100", m=64, n=64, k=64, format="fp16", weights="fp16_2of4")
    assert run.infeasible is not None
    assert "2:4 sparsity" in str(run.infeasible)
    with pytest.raises(RequestError, match="only weights can be kept two of four; try bf16"):
        accelsim.simulate("llama-2-7b", "h100-sxm", activations="bf16_2of4")


def test_scales_of_long_blocks_go_to_partial_sums() -> None:
    block, short = (catalog.format_(name) for name in ("deepseek_fp8", "mxfp8_e4m3"))
    found = resolve(chip("h100-sxm"), block, block)
    assert not isinstance(found, Infeasible)
    assert found.operands == ("fp8_e4m3", "fp8_e4m3")
    assert found.rescale == 2 / 128
    assert found.label(block.name, block.name) == "+rescale"
    other = resolve(chip("h100-sxm"), short, short)
    assert not isinstance(other, Infeasible)
    assert other.rescale == 0
    assert other.first is not None  # 32 elements are too few: converted


def test_kernels_of_a_format_have_their_own_constants() -> None:
    record = catalog.calibration("h100-sxm-trtllm-1.3")
    pairs = [("fp8_e4m3", "fp8"), ("deepseek_fp8", "fp8_block")]
    for name, kernel in pairs:
        row = record.nearest(catalog.format_(name), catalog.format_(name))
        assert row is not None
        assert row.kernel == kernel
    ampere = catalog.calibration("a100-sxm-80gb-trtllm-1.0")
    for weights in ("int4", "int4_g128", "int4_2of4"):
        row = ampere.nearest(catalog.format_("fp16"), catalog.format_(weights))
        assert row is not None
        assert row.kernel == "int4_wo"
    assert record.nearest(catalog.format_("bf16"), catalog.format_("bf16")) is None


def test_a_stream_launches_later_and_no_faster_than_its_host() -> None:
    for m in (1, 4096):
        graph, stream = (matmul_s("h100-sxm", m, launch=way) for way in ("graph", "stream"))
        assert stream - graph == pytest.approx(STREAM_GAP_S, rel=1e-3)
    short = accelsim.simulate_operator(
        "add", on="h100-sxm", elements=256, launch="stream", overrides={"timing.launch": "1 ns"}
    )
    assert short.summary["total_time_s"] == pytest.approx(HOST_LAUNCH_S, rel=1e-3)
    with pytest.raises(RequestError, match="launch = 'eager': allowed are graph, stream"):
        matmul_s("h100-sxm", 1, launch="eager")


def test_whole_models_quantise_their_activations() -> None:
    keys = {"weights": "fp8_e4m3", "activations": "fp8_e4m3", "prompt": 32, "generate": 2}
    dynamic, static = (accelsim.simulate("llama-2-7b", "h100-sxm", scales=way, **keys) for way in ("dynamic", "static"))
    rows = dynamic.operators
    passes = rows[(rows["kind"] == "quantize") & (rows["phase"] == "decode")]
    assert list(passes["count"]) == [32] * 4
    assert dynamic.summary["time_per_output_token_s"] > static.summary["time_per_output_token_s"]
    with pytest.raises(RequestError, match="scales = 'none': allowed are dynamic, static"):
        accelsim.simulate("llama-2-7b", "h100-sxm", scales="none", **keys)
