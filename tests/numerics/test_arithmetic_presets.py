"""Every accumulator has inputs whose sum is its own: neither that of BLAS in fp32 and a cast, nor that of a loop."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.numerics.accumulator import accumulator, presets
from accelsim.numerics.format import DataFormat
from accelsim.spec.format.names import from_name

NAMED_IN_THE_PLAN = (
    "volta-fp16", "ampere-fp16", "ampere-bf16", "ada-fp8", "hopper-bf16", "hopper-fp8", "hopper-fp8-promote128",
    "blackwell-fp8", "blackwell-fp4", "cdna3", "hbm-pim-fp16", "aim-bf16", "dfx-fp16", "groq-int8", "groq-fp16",
    "ipu-amp",
)  # fmt: skip


def form(name: str) -> DataFormat:
    return DataFormat(from_name(name))


def test_machines_are_listed_with_source_and_status() -> None:
    made = presets()
    assert set(NAMED_IN_THE_PLAN) <= set(made)
    for name, record in made.items():
        assert accumulator(name) is record
        assert len(record.source) > 40
        assert record.status in ("measured", "derived", "assumed")
    made.clear()  # a copy
    assert presets()


def apart(*numbers: float, every: int) -> list[float]:
    """Numbers in groups of their own."""
    row = [0.0] * (every * len(numbers))
    row[::every] = numbers
    return row


CUT = ([2.0**24, 1.5], 2.0**24)  # BLAS rounds to 2^24 + 2; these cut 1.5 to 1, or the sum toward zero
LOST = ([2.0**25, -(2.0**25), 1.5], 0.0)  # 1.5 is less than the last bit that stays; BLAS has 1.5
# Odd numbers of 24 bits, then what takes nearly all away: 13 is left. In fp32 every order loses some of the last bits.
ODD = [2.0**24 - x for x in (1, 5, 11, 17, 29, 41, 59, 71, 97, 107, 113, 131, 149, 173, 199)]
LAST = ([*ODD, 13.0 - sum(ODD)], 13.0)


def halves(group: int) -> tuple[list[float], float]:
    """A register of fp16 stays at 2048 in each group; fp32 comes to 2050, which fp16 has."""
    return apart(2048.0, 1.0, 1.0, every=group), 2048.0


OWN = {
    "exact": (*LAST, "fp32"),
    "fp16": (*halves(1), "fp16"),
    "fp16-fma": (*halves(1), "fp16"),
    "bf16": ([256.0, 1.0, 1.0], 256.0, "bf16"),
    "fp16-tree": ([2048.0, 1.0, 1.0, 1.0], 2050.0, "fp16"),  # 2048 + 2; fp32 comes to 2051, a tie that becomes 2052
    "fp16-tree4": ([2048.0, 1.0, 1.0, 0.0], 2048.0, "fp16"),
    "fp16-lanes2": ([2048.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2048.0, "fp16"),
    "fp32-tree": ([2.0**24, 1.0, 1.0, 1.0], 2.0**24 + 2, "fp32"),
    "fp32-lanes2": ([2.0**24, 1.0, 1.0, 1.0], 2.0**24 + 2, "fp32"),
    "fp32-truncate": (*CUT, "fp32"),
    "e8m13-truncate": ([2.0**14, 1.0, -1.0, 0.5], 2.0**14 - 1.0, "fp32"),
    "int8": ([127.0, 1.0], -128.0, "fp32"),
    "int8-saturate": ([127.0, 1.0], 127.0, "fp32"),
    "quire16": (*LAST, "fp32"),
    "volta-fp16": (*CUT, "fp32"),
    "volta-fp16-half": (*halves(4), "fp16"),
    "turing-fp16": (*CUT, "fp32"),
    "turing-fp16-half": (*halves(8), "fp16"),
    "ampere-fp16": (*CUT, "fp32"),
    "ampere-fp16-half": (*halves(8), "fp16"),
    "ampere-bf16": (*CUT, "fp32"),
    "ada-fp8": ([2.0**14, 0.75, 0.75], 2.0**14, "fp32"),
    "ada-fp8-half": (*halves(16), "fp16"),
    "hopper-fp16": (*CUT, "fp32"),
    "hopper-fp16-half": (*halves(16), "fp16"),
    "hopper-bf16": (*CUT, "fp32"),
    "hopper-fp8": ([2.0**14, 0.75, 0.75], 2.0**14, "fp32"),
    "hopper-fp8-half": (*halves(32), "fp16"),
    "hopper-fp8-promote128": ([2.0**14, 0.75, 0.75, *[0.0] * 125, 0.75], 2.0**14 + 0.75, "fp32"),
    "blackwell-fp16": (*CUT, "fp32"),
    "blackwell-fp16-half": (*halves(16), "fp16"),
    "blackwell-bf16": (*CUT, "fp32"),
    "blackwell-fp8": (*CUT, "fp32"),
    "blackwell-fp8-half": (*halves(32), "fp16"),
    "blackwell-fp4": (*CUT, "fp32"),
    "cdna3": (*LOST, "fp32"),
    "cdna3-fp8": (*LOST, "fp32"),
    "hbm-pim-fp16": (*halves(16), "fp16"),
    "aim-bf16": ([256.0, 1.0, 1.0], 256.0, "bf16"),
    "dfx-fp16": (*halves(64), "fp16"),
    "groq-int8": ([2.0**30, 2.0**30], -(2.0**31), "fp32"),
    "groq-fp16": (*LAST, "fp32"),
    "ipu-amp": (*LAST, "fp32"),
}


def test_every_preset_has_its_own_inputs() -> None:
    assert set(presets()) <= set(OWN)


@pytest.mark.parametrize("name", OWN)
def test_the_sum_is_the_accumulators_own(name: str) -> None:
    row, want, out = OWN[name]
    a, b = np.array([row], dtype=np.float32), np.ones((len(row), 1), dtype=np.float32)
    made = form("fp32").matmul(a, b, accumulator=name, out=out)
    assert made.values.item() == want
    assert made.accumulator == accumulator(name)
    in_sequence = np.float32(0)
    for x in a[0]:
        in_sequence = np.float32(in_sequence + x)
    blas = (np.repeat(a, 3, axis=0) @ np.repeat(b, 3, axis=1))[0, 0]  # a matrix: a vector may be summed in float64
    for other in (blas, in_sequence):
        assert form(out).quantize(np.float64(other)) != want


@pytest.mark.parametrize("name", ["fp32", "fp32-fma", "fp32-tree16", "fp32-lanes16"])
def test_a_stated_order_is_not_that_of_blas(name: str) -> None:
    random = np.random.default_rng(9)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 2000), (2000, 8)))
    made = form("fp32").matmul(a, b, accumulator=name)
    assert not np.array_equal(made.values, a @ b)
    assert np.allclose(made.values, a @ b, rtol=1e-3, atol=1e-3)
