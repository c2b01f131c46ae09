"""IEEE P3109: floats with NaN and infinity in places of their own."""

from __future__ import annotations

from accelsim.numerics.reference.float import FloatGrid
from accelsim.spec.format import P3109Format


def build(record: P3109Format) -> FloatGrid:
    """The grid of a P3109 format."""
    return FloatGrid(record.as_float())
