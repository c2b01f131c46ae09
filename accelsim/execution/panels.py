"""Matrices of weights between their uses: codes packed to their bits, read again in panels of columns.

A product asks for no more than a panel at a time, so that memory holds packed weights and the operator at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.matrix import Prepared, prepare
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored, converter, decoded
from accelsim.numerics import packing
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import Format

Array = NDArray[Any]

PANEL_ELEMENTS: Final = 1 << 21
"""Elements of a matrix that are decoded at a time."""
_BYTE: Final = 8


class Packed:
    """Codes of rows, each row a stream of bits.

    Args:
        codes: [rows, n] unsigned integers; those of more than eight bits are kept as they are.
    """

    def __init__(self, codes: NDArray[Any]) -> None:
        self._n, self._dtype = codes.shape[1], codes.dtype
        self._bits = int(codes.max(initial=1)).bit_length()
        self._data = packing.pack_rows(codes, self._bits) if self._bits <= _BYTE else np.ascontiguousarray(codes)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return int(self._data.nbytes)

    def rows(self, part: slice) -> NDArray[Any]:
        """The codes of some rows."""
        data = self._data[part]
        return packing.unpack_rows(data, self._bits, self._n).astype(self._dtype) if self._bits <= _BYTE else data


@dataclass(frozen=True, eq=False)
class Values:
    """A [k, n] matrix as numbers; columns are rounded to a format when they are read.

    Attributes:
        values: as the weights have them, or decoded.
        form: that rounds them, without scales of its own; None leaves them as they are.
        encoded: their codes, where these can be read in columns.
    """

    values: Array
    form: Format | None = None
    encoded: Encoded | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """k, n."""
        return self.values.shape

    @property
    def whole(self) -> bool:
        """Whether columns are read all at once."""
        return self.encoded is not None and self.encoded.sliced(1, slice(0, 0)) is None

    def columns(self, part: slice) -> Stored:
        """Some columns in their storage format."""
        found = self.values[:, part]
        if self.form is not None:
            found = np.asarray(converter(self.form).quantize(found.T)).T
        if self.encoded is None or self.whole:
            return Stored(found, self.encoded)
        return Stored(found, self.encoded.sliced(1, part))


class Scaled:
    """A quantised [k, n] matrix whose blocks lie along k, packed.

    Args:
        rows: the transposed matrix, [n, k], encoded along its last axis.
    """

    whole = False

    def __init__(self, rows: Encoded) -> None:
        self.shape = rows.shape[::-1]
        marks = rows.mask_or_indices
        self._codes = Packed(rows.codes)
        self._marks = None if marks is None or marks.ndim < 2 else Packed(marks)
        self._rest = replace(rows, codes=rows.codes[:0].copy(), mask_or_indices=None if self._marks else marks)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        parts = (self._rest.scales, self._codes, self._marks)
        return sum(part.nbytes for part in parts if part is not None)

    def columns(self, part: slice) -> Stored:
        """Some columns in their storage format."""
        codes, scales = self._codes.rows(part), self._rest.scales
        marks = self._rest.mask_or_indices if self._marks is None else self._marks.rows(part)
        scales = scales if scales is None or scales.ndim < 2 else scales[part]
        rows = replace(self._rest, codes=codes, scales=scales, mask_or_indices=marks, shape=codes.shape)
        return Stored(decoded(rows).T, rows.transposed())


class Codes:
    """A [k, n] matrix in a format without scales, packed.

    Args:
        rows: codes of the transposed matrix, [n, k].
        form: that made them.
    """

    whole = False

    def __init__(self, rows: NDArray[Any], form: Format) -> None:
        self.shape, self._form = rows.shape[::-1], form
        self._codes = Packed(rows)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._codes.nbytes

    def columns(self, part: slice) -> Stored:
        """Some columns in their storage format."""
        return Stored(np.asarray(converter(self._form).decode(self._codes.rows(part))).T)


Matrix = Values | Scaled | Codes


@dataclass(frozen=True, eq=False)
class Panels:
    """A matrix as a unit takes it, panel by panel; every walk through it decodes it anew.

    Attributes:
        matrix: [k, n].
        unit: that multiplies.
    """

    matrix: Matrix
    unit: Unit

    def __iter__(self) -> Iterator[Prepared]:
        k, n = self.matrix.shape
        step = n if self.matrix.whole else max(1, PANEL_ELEMENTS // max(k, 1))
        for at in range(0, n, max(step, 1)):
            yield prepare(self.matrix.columns(slice(at, min(at + step, n))), self.unit, -2)

    @property
    def nbytes(self) -> int:
        """About the bytes that all panels take."""
        k, n = self.matrix.shape
        return k * n * (4 if self.unit.accumulator == "fp32" else 8)
