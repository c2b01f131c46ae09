"""Names without a file: every family takes every legal size, and no other; wrong names get the nearest right ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.errors import AccelsimError, DescriptionError, UnknownNameError

# family, smallest and largest legal size
SIZES = [
    ("int{}", 1, 32), ("uint{}", 1, 32), ("int{}_symmetric", 2, 32), ("posit{}", 2, 32), ("posit{}_es1", 2, 32),
    ("takum{}", 2, 32), ("flint{}", 3, 8), ("flint{}u", 2, 8), ("dybit{}", 3, 8), ("dybit{}u", 2, 8), ("pot{}", 2, 8),
    ("pot{}u", 2, 8), ("e{}m2", 0, 10), ("e4m{}", 0, 27), ("ue5m{}", 0, 27), ("binary8p{}sf", 1, 7), ("mxint{}", 2, 9),
    ("int4_g{}", 1, 512),
]  # fmt: skip


@pytest.mark.parametrize(("family", "least", "most"), SIZES)
def test_every_legal_size_has_a_record_and_the_next_one_has_none(family, least, most):
    for size in range(least, most + 1):
        record = catalog.format_(family.format(size))
        assert record.bits >= 1
        assert catalog.format_(record.name).definition() == record.definition(), "its name names it"
    for size in (least - 1, most + 1):
        if family not in ("int4_g{}",) or size < 1:
            with pytest.raises(AccelsimError):
                catalog.format_(family.format(size))


@pytest.mark.parametrize(
    ("name", "bits", "bits_per_element"),
    [
        ("posit6", 6, 6), ("flint3u", 3, 3), ("int3", 3, 3), ("e3m2", 6, 6), ("uint4_g64_zp", 4, 4 + 20 / 64),
        ("int5_g32", 5, 5.5), ("posit8_g24", 8, 8 + 16 / 24), ("takum8_channel", 8, 8), ("nf4_tensor", 4, 4),
        ("ternary_packed_g40", 2, 1.6 + 16 / 40), ("mxfp6_e3m2_even", 6, 6.25), ("mxfp8_e3m4", 8, 8.25),
        ("mxint4", 4, 4.25), ("dybit4_g32", 4, 4.5), ("hif8_channel", 8, 8), ("binary8p4se_g64", 8, 8.25),
    ],
)  # fmt: skip
def test_bits_of_names(name, bits, bits_per_element):
    record = catalog.format_(name)
    assert (record.bits, record.bits_per_element) == (bits, bits_per_element)


@pytest.mark.parametrize(
    "element", ["int4", "fp8_e5m2", "posit6", "flint4", "nf4", "dybit4", "hif8", "lns8", "e2m2", "pot4"]
)
@pytest.mark.parametrize("suffix", ["tensor", "channel", "g48"])
def test_any_element_takes_any_granularity(element, suffix):
    made = accelsim.dataformat(f"{element}_{suffix}")
    x = [[0.5, -1.25, 3.0, 100.0]] * 2
    assert made.unpack(made.pack(made.encode(x)), (2, 4)).codes.shape == (2, 4)
    assert abs(made.quantize(x)[0, 3] - 100) < 10


@pytest.mark.parametrize("name", ["posit8", "posit6", "posit8_es0", "takum8"])
def test_scales_bring_numbers_to_where_a_tapered_format_is_dense(name):
    x = np.random.default_rng(3).standard_t(4, size=(8, 512)).astype(np.float32) * 0.02
    noise = {each: np.square(accelsim.dataformat(each).quantize(x) - x).mean() for each in (name, f"{name}_channel")}
    assert noise[f"{name}_channel"] < noise[name]
    assert accelsim.dataformat(f"{name}_channel").quantize(np.zeros((2, 8))).any() == 0


@pytest.mark.parametrize(
    ("base", "rule"), list(itertools.product(["mxfp4", "mxfp8_e4m3", "mxint8"], ["ceil", "even", "rceil"]))
)
def test_rules_of_mx_are_names_of_their_own(base, rule):
    plain, other = catalog.format_(base), catalog.format_(f"{base}_{rule}")
    assert catalog.format_(f"{base}_floor") is plain
    assert other.definition() == plain.definition() | {"scale_rule": rule}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("mxpf4", "mxfp4"), ("posti8", "posit8"), ("fp8_e4m4", "fp8_e4m3"), ("int3_g0", "int3"), ("nf5", "nf4"),
        ("binary8p3", "binary8p3se"), ("fp8_e4m3fnzu", "fp8_e4m3"), ("gobo", "gobo3"),
    ],
)  # fmt: skip
def test_wrong_names_get_the_nearest(wrong, right):
    with pytest.raises(UnknownNameError, match=rf"nearest: .*\b{right}\b"):
        catalog.format_(wrong)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("posit33", "at most 32"), ("e12m2", "exponent_bits"), ("e0m0", "needs an exponent or a mantissa"),
        ("flint2", "3 to 8"), ("binary8p8se", "too much"), ("posit8_g24_zp", "zero point needs integers"),
        ("apot5u", "cannot be split"), ("mxfp4_g32", "scales of its own"),
        ("adaptivfloat8_tensor", "scales of its own"),
    ],
)  # fmt: skip
def test_impossible_sizes_say_why(name, why):
    with pytest.raises(DescriptionError, match=why):
        catalog.format_(name)
