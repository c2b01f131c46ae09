"""Matrix products as a unit of the plan does them: operands brought to its formats, its accumulator, its order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution import parts
from accelsim.execution import sums as exact_sums
from accelsim.execution.integers import adds_integers, in_blocks, integers, weighted_values
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored, converter
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.numerics.arithmetic import matmul, operand
from accelsim.numerics.arithmetic.operand import Operand
from accelsim.spec.format import BlockFormat, Format

Array = NDArray[Any]
Prepared = Array | Operand


def prepare(x: Stored, unit: Unit, axis: int) -> Prepared:
    """An operand as the unit's accumulator takes it.

    Args:
        x: the tensor, at least two-dimensional.
        unit: of the plan.
        axis: that of k: -1 for the first operand, -2 for the second.
    """
    if unit.accumulator == "fp32":
        return np.ascontiguousarray(x.values, dtype=np.float32)
    if isinstance(unit.accumulator, str):
        return np.ascontiguousarray(x.values, dtype=np.float64)
    target = unit.first if axis == -1 else unit.second
    encoded = x.encoded
    if encoded is not None and (unit.native or (adds_integers(unit) and in_blocks(encoded.format.record))):
        return operand(encoded, converter(encoded.format.record), axis)
    if encoded is not None and _scales_at_the_end(encoded.format.record):
        found = operand(encoded, converter(encoded.format.record), axis)
        return found if target is None else _as(found, target)
    values = np.asarray(x.values, dtype=np.float64)
    if target is None:
        return Operand(values)
    if adds_integers(unit):
        return integers(values, target, axis)
    if target.scaled:
        return operand(values, converter(target), axis)
    return operand(x.values, converter(target), axis)


def _scales_at_the_end(form: Format) -> bool:
    """Scales of rows, columns and whole tensors multiply the sum; elements go through the unit without them."""
    return isinstance(form, BlockFormat) and form.granularity != "block" and form.zero_point is None


def _as(found: Operand, target: Format) -> Operand:
    if target.scaled or found.scales is not None:
        return found
    made = operand(found.values, converter(target), -1)
    return replace(made, end=found.end)


def multiply(
    a: Prepared, b: Prepared | Iterable[Prepared], unit: Unit, start: Array | None = None, sums: Sums = WHOLE
) -> Array:
    """[m, k] times [k, n], two-dimensional; fp64 for that mode, else fp32.

    Args:
        a: the first operand.
        b: the second, or panels of its columns, without a start.
        unit: that multiplies.
        start: [m, n] that the sum begins with; only of products in one part.
        sums: parts of k, each added from zero, then to each other. Sums of "exact", "fp64" and "fp32" have one part.
    """
    if not isinstance(b, np.ndarray | Operand):
        if not sums.ring:
            return np.concatenate([multiply(a, panel, unit, sums=sums) for panel in b], axis=1)
        found = [parts.of(_product(a, panel, unit), sums) for panel in b]  # pieces of a ring are of all columns
        return parts.added([np.concatenate(part, axis=1) for part in zip(*found, strict=True)], sums)
    if isinstance(a, Operand) and isinstance(b, Operand):
        if start is None:
            return parts.total(_product(a, b, unit), sums)
        assert not sums.split
        assert not isinstance(unit.accumulator, str)
        return np.asarray(matmul(a, b, accumulator=parts.grouped(unit.accumulator, sums), c=start).values)
    assert not isinstance(a, Operand)
    assert not isinstance(b, Operand)
    if unit.accumulator == "exact":
        made = exact_sums.exactly(a, b)
        return made if start is None else start + made
    return exact_sums.in_sequence(a, b, start)


def _product(a: Prepared, b: Prepared, unit: Unit) -> parts.Product:
    assert isinstance(a, Operand)
    assert isinstance(b, Operand)
    return parts.Product(a, b, unit)


def weighted(p: Array, v: Array, unit: Unit) -> tuple[Prepared, Prepared]:
    """P [queries, keys] and V [keys, width] as the unit takes them."""
    if adds_integers(unit):
        return weighted_values(p, v, unit)
    return prepare(Stored(p), unit, -1), prepare(Stored(v), unit, -2)
