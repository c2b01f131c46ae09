"""Constraints and derived columns: parsed arithmetic, and nothing that Python could run."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore import expression

TABLE = {
    "batch": np.array([1, 2, 4]),
    "memory.bandwidth": np.array([1e12, 2e12, 4e12]),
    "chip": np.array(["a", "b", "b"], dtype=object),
    "fits": np.array([True, False, True]),
    "energy_j": np.array([1.0, np.nan, 3.0]),
    "seed": 7,
}


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("batch < 4", [True, True, False]),
        ("1 < batch <= 4", [False, True, True]),
        ("fits and not chip == 'a'", [False, False, True]),
        ("chip != 'a' or batch == 1", [True, True, True]),
        ("memory.bandwidth / batch >= 1e12", [True, True, True]),
        ("energy_j < 2", [True, False, False]),  # what is not known does not hold
        ("energy_j != energy_j", [False, True, False]),
        ("max(batch, 2, seed - 4) == 3", [True, True, False]),
        ("log2(batch) + min(batch, 2) * 2 ** 2 // 3 % 5 > 2", [False, True, True]),
        ("-batch > -3", [True, True, False]),
        ("fits", [True, False, True]),
        ("chip == 3", [False, False, False]),
    ],
)
def test_a_constraint_holds_where_its_arithmetic_says(text, held):
    assert expression.truth(text, TABLE, 3).tolist() == held


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "().__class__", "open('x')", "[1][0]", "batch if fits else 1", "lambda: 1",
        "batch is 1", "batch in (1, 2)", "f'{batch}'", "batch := 3", "", "batch <", "{1: 2}", "max(batch)",
        "log2(1, 2)", "min(*batch)", "abs(x=1)", "batch & 1", "~batch", "None", "1j", "eval('1')", "(lambda x: x)(1)",
    ],
)  # fmt: skip
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(RequestError, match=r"allowed are|takes"):
        expression.columns(text)


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no column named 'energy_jj'.*\n.*nearest: energy_j"):
        expression.check("energy_jj < 3", TABLE, "constraint limit")


def test_arithmetic_with_names_is_refused():
    with pytest.raises(RequestError, match="no number"):
        expression.value("chip * 2", TABLE, 3)


def test_columns_of_an_expression():
    assert expression.columns("memory.bandwidth * batch > min(seed, 2)") == {"memory.bandwidth", "batch", "seed"}
