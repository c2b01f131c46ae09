"""Finite grids whose codes are not in the order of their values."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

from accelsim.numerics.reference.grid import TableGrid


class RankedGrid(TableGrid):
    """Ties go to the magnitude of even rank, zero being 0, since both neighbours may have odd codes."""

    @cached_property
    def _ranks(self) -> dict[Fraction, int]:
        return {value: rank for rank, value in enumerate(sorted({abs(value) for value in self._codes}))}

    def even(self, value: Fraction) -> bool:
        """Whether an even number of magnitudes is smaller."""
        return self._ranks[abs(value)] % 2 == 0
