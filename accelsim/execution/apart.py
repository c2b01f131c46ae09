"""Outlier columns of an input: taken out before the rest is quantised, and multiplied in fp16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.matrix import multiply, prepare
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored, converter
from accelsim.spec.format.names import from_name

Array = NDArray[Any]


@dataclass(frozen=True)
class Apart:
    """The outlier columns of a tensor.

    Attributes:
        columns: which.
        values: [rows, columns], rounded to fp16.
    """

    columns: NDArray[np.intp]
    values: Array

    def product(self, weight: Array, unit: Unit, rows: slice = slice(None)) -> Array:
        """[rows, n]: the columns times the rows [k, n] of a weight that go with them, which are rounded to fp16."""
        right = np.asarray(_half(weight[self.columns]))
        return multiply(prepare(Stored(self.values[rows]), unit, -1), prepare(Stored(right), unit, -2), unit)

    def returned(self, rest: Array) -> Array:
        """The tensor [rows, k] with the columns in their places."""
        made = rest.copy()
        made[:, self.columns] = self.values
        return made


def _half(x: Array) -> Array:
    return np.asarray(converter(from_name("fp16")).quantize(x))


def taken_out(x: Array, threshold: float) -> tuple[Array, Apart]:
    """The tensor [rows, k] with zeros in the columns that reach the threshold anywhere, and these columns."""
    columns = np.flatnonzero(np.abs(x).max(axis=0, initial=0) >= threshold)
    rest = x.copy()
    rest[:, columns] = 0
    return rest, Apart(columns, _half(x[:, columns]))
