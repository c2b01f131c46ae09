"""IEEE P3109 on the path of all floats."""

from __future__ import annotations

from accelsim.numerics.fast import float as floats
from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.float import FloatGrid
from accelsim.spec.format import P3109Format


def build(record: P3109Format, policy: Policy, grid: FloatGrid) -> ElementCodec:
    """The codec of a P3109 format."""
    return floats.build(record.as_float(), policy, grid)
