"""AdaptivFloat on arrays: the grid of a fixed bias, or one bias for a tensor."""

from __future__ import annotations

from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.tuned import TunedCodec
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.adaptivfloat import AdaptivFloatReference
from accelsim.numerics.reference.grid import Grid
from accelsim.spec.format import AdaptivFloatFormat


def build(
    record: AdaptivFloatFormat, policy: Policy | str | None, grid: Grid | None = None
) -> ElementCodec | TunedCodec:
    """The codec of a format with the grid of its fixed bias, or of one that chooses its bias."""
    if grid is not None and isinstance(policy, Policy):
        return GridCodec(grid, policy)
    return TunedCodec(AdaptivFloatReference(record), record.bits, policy)
