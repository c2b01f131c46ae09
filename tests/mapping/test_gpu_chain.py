"""Attention's softmax waits for its scores, and long rows are read twice."""

from __future__ import annotations

from accelsim import catalog
from accelsim.mapping.gpu.library import row_kernels
from accelsim.simulation import simulate_operator


def achieved(chip: str, **dims: object) -> float:
    run = simulate_operator("attention", on=chip, format="bf16", causal=True, **dims)
    return float(run.rows("operators")[0]["achieved_flops_per_s"])


def test_matrix_units_rest_while_softmax_runs() -> None:
    """Tables of an A100 with head width 128 have 0.42 to 0.48 of the peak over 8,192 positions and more."""
    shape = {"batch": 8, "query": 8192, "kv": 8192, "heads": 32, "kv_heads": 32, "head_dim": 128}
    found = achieved("a100-sxm-80gb", **shape)
    assert 0.40 < found / (108 * 2048 * 1.41e9) < 0.50


def test_narrow_heads_are_slower() -> None:
    """Exponentials per score are the same, products half as many: with FP8 caches, 0.54 and 0.75 of an H200's peak."""
    wide, narrow = (
        achieved("h200-sxm", batch=8, query=12_288, kv=12_288, heads=heads, head_dim=width, weights="fp8_e4m3")
        for heads, width in ((16, 128), (32, 64))
    )
    assert narrow < 0.8 * wide


def test_a_row_that_no_kernel_holds_is_read_twice() -> None:
    chip = catalog.chip("h100-sxm")
    kernels = row_kernels(chip)
    assert kernels is not None
    held = kernels.softmax_columns
    short, long = (
        simulate_operator("softmax", rows=512, columns=columns, on=chip, format="bf16").summary["dram_bytes"] / columns
        for columns in (held, held + 1)
    )
    assert short == 512 * 2 * 2
    assert long == 512 * 2 * 3
