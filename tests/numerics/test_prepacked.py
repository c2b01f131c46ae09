"""FP6-LLM's layout: the bytes of the authors' code, and what a format of its kind promises."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import DescriptionError
from tests.numerics.scaled import assert_equal_to_reference, assert_packs

# SHA-256 of what weight_matrix_prepacking_fp_eXmY of usyd-fsalab/fp6_llm 9802c5a makes of the codes below
AUTHORS = {
    ("fp6_e3m2", 64, 64): "195194906d45daa12d9da24bed5f41f12c42769c369d4babaea17e6b061d4b88",
    ("fp6_e3m2", 128, 192): "f420b0d4cc7e07c0c8e8c4e1a99b8edd97869833399b2b39cf0b77dec0f121b7",
    ("e2m2", 64, 64): "42387e9a1afa09b36992112c9bfe34481e3814295837a0f026ae8c44e197900d",
    ("e2m2", 128, 192): "df4c205ef9ecff94da2a79bdb70fef018bbbaf422f5711ec003468c5b12332ad",
}


@pytest.mark.parametrize(("element", "rows", "n"), AUTHORS)
def test_the_bytes_are_those_of_the_authors(element, rows, n):
    made = accelsim.dataformat("fp6_llm", element=element)
    r, c = np.arange(rows)[:, None], np.arange(n)
    codes = ((37 * r + 11 * c + r * c) % (1 << made.bits)).astype(np.uint8)
    given = replace(made.encode(np.ones((rows, n))), codes=codes)
    data = made.pack(given)
    assert hashlib.sha256(data[: rows * n * made.bits // 8]).hexdigest() == AUTHORS[element, rows, n]
    np.testing.assert_array_equal(made.unpack(data, (rows, n)).codes, codes)


def test_equals_the_reference():
    assert_equal_to_reference(catalog.format_("fp6_llm"))


@pytest.mark.parametrize("element", ["fp6_e2m3", "e2m2", "int7"])
def test_other_elements(element):
    made = accelsim.dataformat("fp6_llm", element=element)
    x = np.random.default_rng(2).normal(size=(70, 130)).astype(np.float32)
    assert_packs(made, made.encode(x))
    plain = accelsim.dataformat(f"{element}_channel", scale="fp16")
    np.testing.assert_array_equal(made.quantize(x), plain.quantize(x))


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0), (1,), (3, 37, 2)])
def test_any_shape_packs(shape):
    made = accelsim.dataformat("fp6_llm")
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    for axis in range(-len(shape), len(shape)) or (0,):
        assert_packs(made, made.encode(x, axis=axis))


def test_memory_is_whole_tiles_and_a_scale_for_each_row():
    made = accelsim.dataformat("fp6_llm")
    assert made.storage_bytes((64, 64)) == 64 * 64 * 6 // 8 + 64 * 2
    assert made.storage_bytes((65, 64)) == 128 * 64 * 6 // 8 + 65 * 2
    assert made.bits_per_element == 6


def test_an_fp16_times_two_to_the_twelfth_is_the_weight():
    """The kernel shifts exponent and mantissa into an fp16 of which they are the lowest exponents: subnormals too."""
    element = accelsim.dataformat("fp6_e3m2")
    codes = np.arange(64, dtype=np.uint16)
    bits = (codes >> 5) << 15 | (codes & 31) << 8
    np.testing.assert_array_equal(bits.view(np.float16).astype(np.float32) * 2.0**12, element.decode(codes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"element": "fp4_e2m1"}, "5 to 7"), ({"granularity": "block", "length": 32}, "channel")],
)
def test_impossible_descriptions_are_refused(changes, message):
    with pytest.raises(DescriptionError, match=message):
        accelsim.dataformat("fp6_llm", **changes)
