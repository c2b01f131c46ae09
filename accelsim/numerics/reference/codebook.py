"""Codebooks: explicit levels, exact as binary64."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.grid import Exact, Special, TableGrid
from accelsim.spec.format import CodebookFormat


def build(record: CodebookFormat) -> CodebookGrid:
    """The grid of a codebook."""
    return CodebookGrid(record)


class CodebookGrid(TableGrid):
    """Code i is level i; codes beyond the last level are unused."""

    def __init__(self, record: CodebookFormat) -> None:
        self.bits = record.bits
        self._levels = tuple(map(Fraction, record.levels))

    def value(self, code: int) -> Exact:
        """The level of a code."""
        return self._levels[code] if code < len(self._levels) else Special.NAN
