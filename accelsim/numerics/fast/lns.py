"""Logarithmic formats on the engine of all grids: their decision points are known as fractions."""

from __future__ import annotations

from accelsim.errors import RequestError
from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.reference.grid import Grid
from accelsim.numerics.reference.lns import LnsGrid
from accelsim.spec.format import LnsFormat


def build(record: LnsFormat, policy: Policy, grid: LnsGrid) -> ElementCodec:
    """The codec of a logarithmic format.

    Raises:
        RequestError: stochastic rounding.
    """
    return engine(record.name, policy, grid)


def engine(name: str, policy: Policy, grid: Grid) -> ElementCodec:
    """The engine of all grids, for one whose values are irrational.

    Raises:
        RequestError: stochastic rounding, which compares with more logarithms than there are codes.
    """
    if isinstance(policy.rounding, Stochastic):
        raise RequestError(
            f"{name}: stochastic rounding is not exact on a logarithmic grid; round to nearest, or take a linear format"
        )
    return GridCodec(grid, policy)
