"""Weights are kept packed and read in panels of columns: nothing changes but the memory that they take."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.execution import panels
from accelsim.execution.matrix import multiply, prepare
from accelsim.execution.panels import Codes, Panels, Scaled, Values
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored, converter, decoded
from accelsim.numerics.accumulator import accumulator

SCALED = ("mxfp4", "nvfp4", "mx6", "int4_g128", "int3_g32", "uint4_g64_zp", "int8_channel", "fp8_e4m3_tensor",
          "posit8_channel", "flint4_channel", "olive4", "ant4", "gguf_q4_0", "mxfp8_e4m3", "gobo3")  # fmt: skip
PLAIN = ("fp8_e4m3", "fp6_e2m3", "posit8", "bf16")


def matrix():
    """[k, n] as it lies in files, [n, k]."""
    return np.random.default_rng(4).standard_normal((72, 160)).astype(np.float32).T


@pytest.mark.parametrize("name", SCALED)
def test_columns_of_packed_codes_are_those_of_the_matrix(name):
    form = catalog.format_(name)
    whole = converter(form).encode(matrix(), axis=0)
    held = Scaled(converter(form).encode(matrix().T))
    part = slice(9, 50)
    found = held.columns(part)
    assert np.array_equal(found.values, decoded(whole)[:, part])
    assert np.array_equal(found.encoded.codes, whole.codes[:, part])
    assert (found.encoded.axis, found.encoded.shape) == (0, (160, 41))
    if name != "gobo3":  # whose outliers are stored beside the codes, and here among them
        assert held.nbytes <= 1.25 * whole.nbytes


@pytest.mark.parametrize("name", PLAIN)
def test_formats_without_scales(name):
    form = catalog.format_(name)
    want = converter(form).quantize(matrix())
    held = Codes(converter(form).encode(matrix().T), form) if form.bits <= 8 else Values(matrix(), form)
    assert np.array_equal(held.columns(slice(9, 50)).values, want[:, 9:50])
    if form.bits <= 8:
        assert held.nbytes == 160 * 72 * form.bits // 8


@pytest.mark.parametrize("numerics", ["fp32", "exact", "fp64", "hopper-bf16", "aim-bf16"])
@pytest.mark.parametrize("name", ["mxfp4", "int8_channel", "fp8_e4m3"])
def test_products_do_not_depend_on_panels(name, numerics, monkeypatch):
    form = catalog.format_(name)
    rows = converter(form).encode(matrix().T)
    held = Scaled(rows) if form.scaled else Codes(rows, form)
    bf16 = catalog.format_("bf16")
    unit = Unit(numerics) if numerics in ("fp32", "exact", "fp64") else Unit(accumulator(numerics), bf16, bf16)
    left = prepare(Stored(np.random.default_rng(5).standard_normal((7, 160)).astype(np.float32)), unit, -1)
    want = multiply(left, prepare(held.columns(slice(0, 72)), unit, -2), unit)
    monkeypatch.setattr(panels, "PANEL_ELEMENTS", 160 * 13)
    assert len(list(Panels(held, unit))) == 6
    assert np.array_equal(multiply(left, Panels(held, unit), unit), want)


def test_codes_that_columns_share_are_read_all_at_once():
    """Blocks along the other axis: what is given so is not cut."""
    encoded = converter(catalog.format_("mxfp4")).encode(matrix(), axis=1)
    held = Values(decoded(encoded), encoded=encoded)
    assert held.whole
    assert len(list(Panels(held, Unit("fp32")))) == 1
