"""Prepacked formats are block formats but for their bytes."""

from __future__ import annotations

from accelsim.numerics.reference.block import BlockReference
from accelsim.spec.format import PrepackedFormat


def build(record: PrepackedFormat) -> BlockReference:
    """The reference of a prepacked format."""
    return BlockReference(record)
