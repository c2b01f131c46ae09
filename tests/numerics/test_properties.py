"""Every cell of the matrix of properties: what holds, on drawn numbers; what does not, on its counterexample."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.formats import dataformat
from accelsim.numerics import registry
from tests.contract import grids
from tests.numerics.matrix import PROPERTIES
from tests.numerics.matrix_rows import PAGE, ROWS, Fails, page

MAGNITUDES = st.one_of(
    st.integers(1, 1024).map(lambda n: n / 4), st.floats(0.25, 256, width=32), st.sampled_from([0.0, 1.0, 6.0, 127.0])
)
ARRAYS = st.lists(st.builds(lambda m, minus: -m if minus else m, MAGNITUDES, st.booleans()), min_size=1, max_size=40)
FEW = settings(max_examples=max(settings().max_examples // 4, 5))  # there are hundreds of cells

HOLD = [
    pytest.param(row, name, id=f"{row.label}-{name}", marks=pytest.mark.long if row.slow else ())
    for row in ROWS
    for name in PROPERTIES
    if row.cell(name) is None
]
FAIL = [
    pytest.param(row, name, cell, id=f"{row.label}-{name}")
    for row in ROWS
    for name in PROPERTIES
    if isinstance(cell := row.cell(name), Fails)
]


@functools.cache
def made(row, name):
    return dataformat(name, **ROWS[row].parameters)


@pytest.mark.parametrize(("row", "name"), HOLD)
@FEW
@given(x=ARRAYS, which=st.integers(0, 1000))
def test_a_property_holds(row, name, x, which):
    form = made(ROWS.index(row), row.names[which % len(row.names)])
    assert PROPERTIES[name](form, np.array(x, dtype=np.float32)), form.name


@pytest.mark.parametrize(("row", "name"), HOLD)
def test_it_holds_for_every_format_of_the_row(row, name):
    x = np.random.default_rng(1).normal(size=37).astype(np.float32) * np.float32(4)
    for form in row.names:
        assert PROPERTIES[name](made(ROWS.index(row), form), np.where(np.abs(x) < 0.25, np.float32(0), x)), form


@pytest.mark.parametrize(("row", "name", "cell"), FAIL)
def test_a_counterexample_is_one(row, name, cell):
    form = made(ROWS.index(row), cell.name or row.names[0])
    assert not PROPERTIES[name](form, np.array(cell.x, dtype=np.float32))


def test_every_shipped_format_has_a_row_of_its_kind():
    named = [name for row in ROWS if not row.parameters for name in row.names]
    assert len(set(named)) == len(named)
    shipped = {name for name in grids.shipped() if grids.record_of(name).kind in registry.implemented()}
    assert shipped == set(named), "give it a row in tests/numerics/matrix_rows.py"
    for row in ROWS:
        for name in row.names:
            assert (grids.record_of(name).kind, grids.record_of(name).scaled) == (row.kind, row.scaled), name


def test_the_page_is_the_matrix():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.numerics.matrix_rows"
