"""Units that add integers: what has no scale of its own gets one, and scales that lie along k multiply partial sums.

A sum of integers is exact whatever its order. A scale of a row, a column or a token multiplies the sum; scales of
blocks along k multiply the sums of their blocks, which are then added in fp32 in increasing k. The scales of values lie
along the keys that P V adds up, and are brought to P before it is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.plan import Unit
from accelsim.execution.stored import converter, valued
from accelsim.numerics.arithmetic import matmul, operand
from accelsim.numerics.arithmetic.operand import Operand
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import BlockFormat, Format, IntegerFormat

Array = NDArray[Any]


def adds_integers(unit: Unit) -> bool:
    """Whether both operands enter as integers without a scale."""
    return isinstance(unit.first, IntegerFormat) and isinstance(unit.second, IntegerFormat)


def integers(values: Array, form: Format, axis: int) -> Operand:
    """Numbers as integers with a scale for each row or column, which multiplies the sum."""
    twin = valued(form)
    return operand(np.asarray(values, dtype=np.float64), converter(twin), axis)


def in_blocks(form: Format) -> bool:
    """Whether a stored format is integers in blocks along k."""
    return (
        isinstance(form, BlockFormat)
        and form.granularity == "block"
        and isinstance(form.element, IntegerFormat)
        and form.zero_point is None
        and form.scale_scale is None
    )


def partial_sums(a: Operand, b: Operand, unit: Unit, parts: Sequence[tuple[int, int]]) -> Array:
    """[m, k] times [k, n] where blocks along k have scales: a sum for each block, times its scales, added in fp32.

    Args:
        a: the first operand.
        b: the second.
        unit: that adds integers.
        parts: first element and end of the parts of k, which are added in fp32 after their blocks.
    """
    assert not isinstance(unit.accumulator, str)
    made: Array | None = None
    for first, end in parts:
        cuts = {first, end, *(at for x in (a, b) if x.length for at in range(0, end, x.length) if at > first)}
        part: Array | None = None
        for start, stop in pairwise(sorted(cuts)):
            left, right = _piece(a, start, stop, -1), _piece(b, start, stop, -2)
            found = np.asarray(matmul(left, right, accumulator=unit.accumulator).values, dtype=np.float32)
            part = found if part is None else part + found
        assert part is not None
        made = part if made is None else made + part
    assert made is not None
    return made


def _piece(x: Operand, start: int, stop: int, axis: int) -> Operand:
    here: list[Any] = [slice(None)] * x.values.ndim
    here[axis] = slice(start, stop)
    end = x.end
    if x.scales is not None:
        block: list[Any] = [slice(None)] * x.scales.ndim
        block[axis] = slice(start // x.length, start // x.length + 1)
        scale = x.scales[tuple(block)]
        end = scale if end is None else end * scale
    return replace(x, values=x.values[tuple(here)], scales=None, length=0, end=end)


def weighted_values(p: Array, v: Array, unit: Unit) -> tuple[Operand, Operand]:
    """P [queries, keys] and V [keys, width] as integers: each row of P with V's scales in it, V without them."""
    assert unit.first is not None
    assert unit.second is not None
    held: Encoded = converter(valued(unit.second)).encode(np.asarray(v, dtype=np.float64), axis=-1)
    found = operand(held, held.format, -1)
    assert found.end is not None
    scaled = np.asarray(p, dtype=np.float64) * found.end.reshape(1, -1)
    return integers(scaled, unit.first, -1), replace(found, end=None)
