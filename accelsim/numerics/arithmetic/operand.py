"""Operands of a matrix product: exact elements, the scales of their blocks, and scales that multiply at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError, UnknownNameError
from accelsim.numerics import arrays, registry
from accelsim.numerics.arithmetic.problem import Extent, extent
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.fast.expansion import Floats
from accelsim.spec.format import BlockFormat, FloatFormat, Format, P3109Format, TwoLevelBlockFormat
from accelsim.spec.format.names import from_name

if TYPE_CHECKING:
    from accelsim.numerics.format import DataFormat

_LISTED_BITS = 16
_SINGLE_BITS = 32
_NO_VECTOR = "a dot product takes at least one dimension"


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor as an accumulator sees it: element x block scale, then x end scale.

    Attributes:
        values: float64, the elements without any scale.
        scales: float64 of the block grid's shape (`values.shape` with the axis of k replaced by the number of blocks),
            or None.
        length: elements of a block along k.
        end: what multiplies at the very end, in fp32: scales of whole tensors, rows or columns; broadcasts to the
            output.
        least: exponent of the smallest normal element; None where subnormals have exponents of their own.
        least_scale: the same of the scales.
        known: what the element format says about the bits of every value; None if that has to be looked up.
    """

    values: Floats
    scales: Floats | None = None
    length: int = 0
    end: Floats | None = None
    least: int | None = None
    least_scale: int | None = None
    known: Extent | None = None

    def __post_init__(self) -> None:
        if self.values.ndim < 2:
            raise RequestError(f"a matrix product takes at least two dimensions, not shape {self.values.shape}")
        if (self.scales is None) != (self.length == 0):
            raise RequestError(f"scales of blocks need their length, and the other way round; length = {self.length}")


def operand(x: ArrayLike | Encoded, form: DataFormat | str, axis: int, *, requantize: bool = False) -> Operand:
    """An operand from numbers, or from what `form.encode` gave.

    Args:
        x: numbers, which are rounded to the format first; or an `Encoded`, of any format.
        form: the format of numbers.
        axis: that of k, -1 or -2.
        requantize: whether an `Encoded` with blocks along another axis is decoded and encoded again.

    Raises:
        RequestError: too few dimensions, blocks along another axis, NaN where the format has none.
    """
    if isinstance(x, Encoded):
        return _encoded(x, axis, requantize=requantize)
    form, array = named(form), arrays.take(x).values
    if array.dtype != np.float32 or not isinstance(form.record, FloatFormat) or form.bits > _SINGLE_BITS:
        array = array.astype(np.float64)  # else what is rounded stays float32, by a faster way
    if array.ndim < 2:
        raise RequestError(f"a matrix product takes at least two dimensions, not shape {array.shape}")
    if form.record.scaled:
        return _encoded(form.encode(array, axis=axis), axis, requantize=False)
    values = form.quantize(array).astype(np.float64, copy=False)
    return Operand(values, least=_least(form.record), known=_known(form.record))


def named(form: DataFormat | str) -> DataFormat:
    """A format, or the one of a name that needs no file.

    Raises:
        RequestError: neither.
        UnknownNameError: no such name.
    """
    from accelsim.numerics.format import DataFormat

    if isinstance(form, DataFormat):
        return form
    given: object = form
    if not isinstance(given, str):
        raise RequestError(f"{given!r} is no format: give accelsim.dataformat(NAME), or a name such as 'fp32'")
    try:
        return DataFormat(from_name(given))
    except UnknownNameError as error:
        hint = f"{error.hint}; for a format that has a file give accelsim.dataformat({given!r})"
        raise UnknownNameError("format", given, (), hint=hint) from None


def _encoded(x: Encoded, axis: int, *, requantize: bool) -> Operand:
    form, record = x.format, x.format.record
    if len(x.shape) < 2:
        raise RequestError(f"a matrix product takes at least two dimensions, not shape {x.shape}")
    at = axis % len(x.shape)
    shared = not isinstance(record, BlockFormat) or record.granularity != "tensor"
    if x.axis != at and shared:
        if not requantize:
            raise RequestError(
                f"{record.name} was encoded along axis {x.axis}, but k is axis {at}: encode it with axis={axis}, or "
                "pass requantize=True to round it again"
            )
        x = form.encode(form.decode(x, dtype=np.float64), axis=at)
    if not _separable(record) or x.scales is None:
        return Operand(np.asarray(form.decode(x, dtype=np.float64)))
    assert isinstance(record, (BlockFormat, TwoLevelBlockFormat))
    values = _decoded(record.element, x.codes)
    scales = _decoded(record.scale, x.scales)
    more = {"least": _least(record.element), "known": _known(record.element)}
    if isinstance(record, BlockFormat) and record.granularity != "block":
        if x.shape[at] == 0 and scales.ndim:
            scales = np.ones((*x.shape[:at], 1, *x.shape[at + 1 :]))  # rows of no elements have no scales
        return Operand(values, end=scales, **more)  # type: ignore[arg-type]
    end = None if x.tensor_scale is None else np.asarray(x.tensor_scale, dtype=np.float64)
    least = _least(record.scale)
    return Operand(values, scales, record.block, end, least_scale=least, **more)  # type: ignore[arg-type]


def _separable(record: Format) -> bool:
    """Whether a value is element times scale; others enter with their values."""
    if isinstance(record, BlockFormat):
        return record.zero_point is None and record.scale_scale is None
    return isinstance(record, TwoLevelBlockFormat)


def _decoded(record: Format, codes: NDArray[Any]) -> Floats:
    codec = registry.element_codec(record)
    made = np.empty(codes.size)
    codec.decode(np.ascontiguousarray(codes, dtype=codec.code_dtype).reshape(-1), made)
    return made.reshape(codes.shape)


def _least(record: Format) -> int | None:
    found = record.as_float() if isinstance(record, P3109Format) else record
    return 1 - found.bias if isinstance(found, FloatFormat) and found.subnormals else None


@cache
def _known(record: Format) -> Extent | None:
    """The extent of the format's own values, where that is narrow enough to prove anything."""
    if record.bits > _LISTED_BITS:
        return None
    values = registry.element_codec(record).decoded
    return extent(values[np.isfinite(values)][None])


def row(x: ArrayLike | Encoded) -> ArrayLike | Encoded:
    """[..., k] as [..., 1, k]."""
    if not isinstance(x, Encoded):
        return _vector(x)[..., None, :]
    return _widened(x, lambda array: array[..., None, :], x.axis + (x.axis == len(x.shape) - 1))


def column(x: ArrayLike | Encoded) -> ArrayLike | Encoded:
    """[..., k] as [..., k, 1]."""
    return _widened(x, lambda array: array[..., None], x.axis) if isinstance(x, Encoded) else _vector(x)[..., None]


def _vector(x: ArrayLike) -> NDArray[Any]:
    array = np.asanyarray(x)
    if array.ndim == 0:
        raise RequestError(_NO_VECTOR)
    return array


def _widened(x: Encoded, change: Callable[[NDArray[Any]], NDArray[Any]], axis: int) -> Encoded:
    if not x.shape:
        raise RequestError(_NO_VECTOR)
    codes = change(x.codes)
    several = (None if part is None else change(part) if part.ndim else part for part in (x.scales, x.mask_or_indices))
    scales, indices = several
    return replace(x, codes=codes, scales=scales, mask_or_indices=indices, axis=axis, shape=codes.shape)


def merged(k: int, lengths: Sequence[int]) -> list[int]:
    """Where segments start, and k: at every block boundary of either operand."""
    return sorted({k, *(at for length in lengths if length for at in range(0, k, length))}) if k else [0]


def spread(x: Operand, bounds: Sequence[int], axis: int) -> Floats:
    """The scales of each segment: the block grid with blocks repeated, ones where there are none."""
    starts = np.asarray(bounds[:-1], dtype=np.intp)
    if x.scales is None:
        shape = list(x.values.shape)
        shape[axis] = len(starts)
        return np.ones(shape)
    return np.take(x.scales, starts // x.length, axis=axis)
