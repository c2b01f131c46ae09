"""Attention's softmax waits for its scores, and long rows are read twice."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.mapping.gpu.library import row_kernels
from accelsim.simulation import simulate_operator


def achieved(chip: str, **dims: object) -> float:
    run = simulate_operator("attention", on=chip, format="bf16", **dims)
    return float(run.rows("operators")[0]["achieved_flops_per_s"])


def test_matrix_units_rest_while_softmax_runs() -> None:
    """Per score of an A100 SM with head width 128: 512 / 2,048 clk matrix, 1 / 16 exp, 4 slots / 64 lanes."""
    matrix, special, vector = 512 / 2048, 1 / 16, 4 / 64
    peak = 108 * 2048 * 1.41e9
    expected = peak * matrix / (matrix + special + vector)
    found = achieved("a100-sxm-80gb", batch=8, query=8192, kv=8192, heads=32, kv_heads=32, head_dim=128)
    assert found == pytest.approx(expected, rel=0.03)


def test_narrow_heads_are_slower() -> None:
    wide, narrow = (
        achieved("h100-sxm", batch=8, query=4096, kv=4096, heads=heads, head_dim=width)
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
