"""Products that are added in parts of k, stage within stage: tiles or planes of a chip, then chips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.integers import adds_integers, partial_sums
from accelsim.execution.plan import Unit
from accelsim.execution.stored import converter
from accelsim.mapping.sums import Sums
from accelsim.numerics.accumulator import AnyAccumulator, Fused
from accelsim.numerics.arithmetic import matmul
from accelsim.numerics.arithmetic.operand import Operand
from accelsim.spec.format import Format

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Product:
    """[m, k] times [k, n] by a unit with an accumulator."""

    a: Operand
    b: Operand
    unit: Unit

    @cached_property
    def ends(self) -> Array | None:
        """What multiplies at the very end; None where nothing does, or where the sum of every block takes it."""
        found = [x.end for x in (self.a, self.b) if x.end is not None]
        if not found or self._in_blocks:
            return None
        made: Array = np.prod(np.broadcast_arrays(*found), axis=0).astype(np.float32)
        return made

    @property
    def _in_blocks(self) -> bool:
        return adds_integers(self.unit) and bool(self.a.length or self.b.length)

    def piece(self, first: int, end: int, sums: Sums, *, scaled: bool) -> Array:
        """The sum of k from first to before end; `scaled` has in it what multiplies at the very end."""
        assert not isinstance(self.unit.accumulator, str)
        if self._in_blocks:
            return partial_sums(self.a, self.b, self.unit, ((first, end),))
        whole = scaled and (first, end) == (0, self.a.values.shape[-1])
        a, b = (self.a, self.b) if whole else (
            _taken(x, first, end, axis, scaled=scaled) for x, axis in ((self.a, -1), (self.b, -2))
        )  # fmt: skip
        return np.asarray(matmul(a, b, accumulator=grouped(self.unit.accumulator, sums)).values)


def total(x: Product, sums: Sums) -> Array:
    """[m, n] in fp32: all of k, in the parts of every stage."""
    return _total(x, sums, 0, x.a.values.shape[-1], scaled=True)


def of(x: Product, sums: Sums) -> list[Array]:
    """[m, n] of each part of the first stage, which `added` takes; `sums` rounds them."""
    return _parts(x, sums, 0, x.a.values.shape[-1], scaled=True)


def added(parts: list[Array], sums: Sums) -> Array:
    """The sum of the parts of one stage; one that is alone since the axis is short is rounded as others are."""
    if sums.stored is None:
        return _in_order(parts)
    parts = [_rounded(part, sums.stored) for part in parts]
    return _round_a_ring(parts, sums.stored) if sums.ring else _in_order(parts)


def grouped(how: AnyAccumulator, sums: Sums) -> AnyAccumulator:
    """The accumulator with as many products at once as the kernel has."""
    group = sums.stages[-1].group
    return replace(how, group=group) if group and isinstance(how, Fused) and how.group != group else how


def _total(x: Product, sums: Sums, first: int, end: int, *, scaled: bool) -> Array:
    if sums.within is None and sums.stored is None and len(sums.bounds(end, first)) == 1:
        return x.piece(first, end, sums, scaled=scaled)
    early = scaled and sums.rounds
    made = added(_parts(x, sums, first, end, scaled=early), sums)
    return made * x.ends if scaled and not early and x.ends is not None else made


def _parts(x: Product, sums: Sums, first: int, end: int, *, scaled: bool) -> list[Array]:
    inner = sums.within
    return [
        x.piece(start, stop, sums, scaled=scaled) if inner is None else _total(x, inner, start, stop, scaled=scaled)
        for start, stop in sums.bounds(end, first)
    ]


def _in_order(parts: list[Array]) -> Array:
    made = parts[0]
    for part in parts[1:]:
        made = made + part
    return made


def _round_a_ring(parts: list[Array], form: Format) -> Array:
    """Each piece of the columns begins at the neighbour of its owner, and is rounded wherever it comes by."""
    count, columns = len(parts), parts[0].shape[1]
    pieces = []
    for owner, (first, end) in enumerate(pairwise(columns * at // count for at in range(count + 1))):
        made = parts[(owner + 1) % count][:, first:end]
        for step in range(2, count + 1):
            made = _rounded(made + parts[(owner + step) % count][:, first:end], form)
        pieces.append(made)
    return np.concatenate(pieces, axis=1)


def _rounded(x: Array, form: Format) -> Array:
    return np.asarray(converter(form).quantize(x), dtype=np.float32)


def _taken(x: Operand, first: int, end: int, axis: int, *, scaled: bool) -> Operand:
    """Elements of k from first to before end; scales of blocks with them."""
    taken = slice(first, end)
    scales = x.scales
    if scales is not None:
        blocks = slice(first // x.length, -(-end // x.length))
        scales = scales[(slice(None), blocks) if axis == -1 else (blocks, slice(None))]
    values = x.values[(slice(None), taken) if axis == -1 else (taken, slice(None))]
    return replace(x, values=values, scales=scales, end=x.end if scaled else None)
