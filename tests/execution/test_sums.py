"""Exact sums against the exact reference of numerics, on operands that make rounding hard."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from accelsim.execution import sums
from accelsim.execution.lanes import Lanes

FP32 = accelsim.dataformat("fp32")


def operands(kind: str, m: int = 40, k: int = 96, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    a = random.normal(size=(m, k)).astype(np.float32)
    b = random.normal(size=(k, n)).astype(np.float32)
    if kind == "cancel":  # all but the last bits go
        a[:, k // 2 :] = -a[:, : k // 2]
        b[k // 2 :] = b[: k // 2]
        a[:, 3] *= np.float32(1 + 2**-22)
    if kind == "ties":  # few bits, so that exact sums lie half-way between two fp32
        a, b = np.rint(a * 1000), np.rint(b * 3000)
        a[:, 0], b[0] = 2.0**13, 2.0**12
    if kind == "wide":
        a *= np.exp2(random.integers(-60, 60, size=a.shape)).astype(np.float32)
    if kind == "zeros":
        a[::2], b[:, ::3] = 0, 0
    return a.astype(np.float32), b.astype(np.float32)


@pytest.mark.parametrize("kind", ["plain", "cancel", "ties", "wide", "zeros"])
def test_products_are_exact_and_rounded_once(kind: str) -> None:
    a, b = operands(kind)
    want = FP32.matmul(a, b, accumulator="exact").values
    found = sums.exactly(a.astype(np.float64), b.astype(np.float64))
    assert found.tobytes() == want.tobytes()
    rows = sums.rows_exactly(a.astype(np.float64), b[:, 0].astype(np.float64))
    assert rows.tobytes() == want[:, 0].tobytes()


def test_ties_are_ties() -> None:
    a, b = operands("ties")
    exact = a.astype(np.float64) @ b.astype(np.float64)
    below, above = exact.astype(np.float32), np.nextafter(exact.astype(np.float32), np.float32(np.inf))
    assert (exact != below).any()
    assert (np.abs(exact - below) == np.abs(above.astype(np.float64) - exact)).any()


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_sums_in_sequence_are_those_of_the_accumulator(compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELSIM_NUMBA", compiled)
    a, b = operands("plain", k=97, n=300)
    want = FP32.matmul(a, b, accumulator="fp32").values
    assert sums.in_sequence(a, b).tobytes() == want.tobytes()
    start = np.ones((40, 300), dtype=np.float32)
    want = FP32.matmul(a, b, accumulator="fp32", c=start).values
    assert sums.in_sequence(a, b, start).tobytes() == want.tobytes()


@pytest.mark.parametrize("width", ["fp16", "bf16", "fp32"])
def test_lanes_round_every_operation(width: str) -> None:
    lanes, form = Lanes(width), accelsim.dataformat(width)
    random = np.random.default_rng(0)
    x, y = (form.quantize(random.normal(size=500).astype(np.float32)) for _ in range(2))
    for found, want in ((lanes.add(x, y), form.add(x, y)), (lanes.multiply(x, y), form.mul(x, y))):
        np.testing.assert_array_equal(found, want)
    total = np.float32(0)
    for term in x:
        total = form.quantize(np.float32(total + term))
    assert lanes.sum(x) == total


def test_functions_of_the_lanes() -> None:
    lanes, x = Lanes("fp64"), np.linspace(-9, 9, 101)
    np.testing.assert_allclose(lanes.silu(x), x / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(lanes.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    cube = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(lanes.gelu(x), x / 2 * (1 + np.tanh(cube)), rtol=1e-12, atol=1e-15)
    assert np.abs(lanes.gelu_exact(x) - lanes.gelu(x)).max() < 1e-3
    np.testing.assert_array_equal(lanes.relu2(x), np.maximum(x, 0) ** 2)


def test_the_table_of_dfx_is_near_the_formula() -> None:
    from accelsim.execution.tables import gelu_by_table

    lanes, x = Lanes("fp16"), np.linspace(-10, 10, 4001).astype(np.float16).astype(np.float32)
    exact = Lanes("fp64").gelu_exact(x.astype(np.float64))
    found = gelu_by_table(x, 2048, lanes)
    assert np.abs(found - exact).max() < 2.0**-9 * 8  # the last bit of fp16 near 8
    assert np.abs(gelu_by_table(x, 16, lanes) - exact).max() > 0.01  # fewer entries are seen


def test_sums_that_cancel_are_settled_beside_their_errors():
    """Half of the rows cancel to a last bit, so that only the expansion decides; the others need the errors only."""
    rng = np.random.default_rng(7)
    a, b = (rng.standard_normal((60, 64)) for _ in range(2))
    a[:30, 32:], b[:30, 32:] = a[:30, :32] * (1 + 2.0**-50), -b[:30, :32]
    bound = np.sqrt((a * a).sum(1)) * np.sqrt((b * b).sum(1)) * 80 * 2.0**-53
    assert np.array_equal(sums._closely(a, b, bound), sums._without_error(a, b))
