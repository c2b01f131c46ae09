"""Matrix products with a stated accumulator, and single operations rounded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from accelsim.errors import RequestError
from accelsim.numerics import arrays
from accelsim.numerics.accumulator import FP32, AnyAccumulator, accumulator
from accelsim.numerics.arithmetic.compute import compute
from accelsim.numerics.arithmetic.operand import Operand, merged, named, spread
from accelsim.numerics.arithmetic.problem import Problem, extent
from accelsim.numerics.arithmetic.rounding import to_width
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.fast.expansion import Floats, distil, to_odd, two_product, two_sum
from accelsim.numerics.reference.arithmetic import Exponents

if TYPE_CHECKING:
    from accelsim.numerics.format import DataFormat

Values = NDArray[np.float32] | NDArray[np.float64]


class Product(NamedTuple):
    """What a matrix product gives.

    Attributes:
        values: float32, or float64 where the result's format has values beyond it.
        accumulator: that was used, with everything left to a name filled in.
    """

    values: Values
    accumulator: AnyAccumulator

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The values, wherever an array is expected."""
        return np.array(self.values, dtype=dtype, copy=copy)


def matmul(
    a: Operand,
    b: Operand,
    *,
    accumulator: str | AnyAccumulator = "exact",
    out: DataFormat | str = "fp32",
    c: ArrayLike | None = None,
) -> Product:
    """C + a b, element by element as the accumulator does it, then rounded once to `out`.

    Products are exact. Where either operand has block scales, products are added exactly within a segment, which ends
    at every block boundary of either; the sum is multiplied by both scales, exactly; the accumulator adds segments in
    increasing k. Scales of whole tensors, rows and columns multiply at the end: the accumulator is rounded to fp32,
    times both such scales, whose product is rounded to fp32, with the result in fp32; c is then added in fp32, and
    not before. Presets of hardware may have an order of their own: see their records. With k = 0 the result is c or
    zero. Infinities and NaN follow IEEE 754; a zero result is +0, a NaN the positive quiet one where `out` has it.

    Args:
        a: [..., m, k].
        b: [..., k, n]; leading dimensions broadcast.
        accumulator: a name (see `accelsim.numerics.accumulator.accumulator`) or a record.
        out: format of the result.
        c: numbers to start from, [..., m, n]; values that are no float64 are an error.

    Raises:
        RequestError: shapes that do not fit, or terms or scales that the accumulator refuses.
        UnknownNameError: no such accumulator or format.
    """
    how, target = _accumulator(accumulator), named(out)
    k = a.values.shape[-1]
    if b.values.shape[-2] != k:
        raise RequestError(f"{a.values.shape} times {b.values.shape}: k is {k} on the left, {b.values.shape[-2]} right")
    try:
        batch = np.broadcast_shapes(a.values.shape[:-2], b.values.shape[:-2])
    except ValueError:
        raise RequestError(f"leading dimensions of {a.values.shape} and {b.values.shape} do not broadcast") from None
    shape = (*batch, a.values.shape[-2], b.values.shape[-1])
    start = None if c is None else _start(c, shape)
    ends = a.end is not None or b.end is not None
    made = np.empty(shape)
    scaled = a.scales is not None or b.scales is not None
    bounds = merged(k, (a.length, b.length)) if scaled else []
    of_a, of_b = (_batched(x.values, batch) for x in (a, b))
    scale_a, scale_b = (_batched(spread(x, bounds, axis), batch) if scaled else None for x, axis in ((a, -1), (b, -2)))
    limits = Exponents(a.least, b.least, a.least_scale, b.least_scale)
    for at in np.ndindex(*batch):
        made[at] = compute(
            Problem(
                of_a[at], of_b[at], None if start is None or ends else start[at],
                None if scale_a is None else scale_a[at], None if scale_b is None else scale_b[at],
                tuple(bounds), limits, a.known, b.known,
            ),
            how,
        )  # fmt: skip
    if ends:
        made = _ended(made, a.end, b.end, start)
    return Product(_rounded(made, target), how)


def _accumulator(which: str | AnyAccumulator) -> AnyAccumulator:
    return accumulator(which)


def _batched(x: Floats, batch: tuple[int, ...]) -> Floats:
    return np.broadcast_to(x, (*batch, *x.shape[-2:]))


def _start(c: ArrayLike, shape: tuple[int, ...]) -> Floats:
    taken = arrays.take(c).values.astype(np.float64)
    try:
        return np.broadcast_to(taken, shape)
    except ValueError:
        raise RequestError(f"c has shape {taken.shape}, the product {shape}") from None


def _ended(made: Floats, end_a: Floats | None, end_b: Floats | None, start: Floats | None) -> Floats:
    one = np.ones(())
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scale = _fp32(np.asarray((one if end_a is None else end_a) * (one if end_b is None else end_b)))
        made = _fp32(_fp32(made) * scale)
        return made if start is None else _fp32(to_odd(*two_sum(made, _fp32(start)))) + 0.0


def _fp32(x: Floats) -> Floats:
    return to_width(np.asarray(x), FP32, "nearest-even", infinite=True)


def _rounded(x: Floats, target: DataFormat) -> Values:
    """Values, exact or odd, rounded to a format; every NaN is the positive quiet one."""
    x = np.where(np.isnan(x), np.nan, x)
    if target.name == "fp32":
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(x, dtype=np.float32) + np.float32(0)
    made: Floats = target.quantize(x) + 0.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        narrow = made.astype(np.float32)
    return narrow if np.array_equal(narrow, made, equal_nan=True) else made


# single operations


def numbers(x: ArrayLike | Encoded, form: DataFormat | str) -> Floats:
    """The values of an operand of `add`, `mul` or `fma`: numbers rounded to the format, or an `Encoded` decoded."""
    if isinstance(x, Encoded):
        return np.asarray(x.format.decode(x, dtype=np.float64))
    return np.asarray(named(form).quantize(arrays.take(x).values.astype(np.float64)))


def fused_sum(x: Floats, y: Floats | None, z: Floats | None, out: DataFormat | str) -> Values:
    """Exactly x y + z, rounded once to a format; without y x + z, without z x y. Signs of zeros follow IEEE 754.

    Raises:
        RequestError: shapes that do not broadcast, or exponents beyond what float64 holds exactly.
    """
    given = [v for v in (x, y, z) if v is not None]
    try:
        x, *others = (np.array(v) for v in np.broadcast_arrays(*given))
    except ValueError:
        raise RequestError(f"shapes {', '.join(str(v.shape) for v in given)} do not broadcast") from None
    for v in (x, *others):
        finite = np.where(np.isfinite(v), v, 0.0).reshape(1, -1)
        if not extent(finite).inside():
            raise RequestError("exponents beyond +-480: single operations are exact within float64's range only")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        plain = _plain(x, y is not None, z is not None, others)
        if y is None:
            parts = [x, others[0]]
        else:
            parts = [*two_product(x, others[0]), *others[1:]]
        finite_ones = np.logical_and.reduce([np.isfinite(v) for v in parts])
        made = to_odd(*distil([np.where(finite_ones, v, 0.0) for v in parts]))
        made = np.where(finite_ones & (made != 0), made, plain)
        return _converted(made, named(out))


def _plain(x: Floats, times: bool, plus: bool, others: list[Floats]) -> Floats:
    """What float64 makes of it: right for infinities, NaN, and the signs of exact zeros."""
    made = x * others[0] if times else x
    return made + others[-1] if plus else made


def _converted(x: Floats, target: DataFormat) -> Values:
    made: Floats = target.quantize(np.where(np.isnan(x), np.nan, x))
    narrow = made.astype(np.float32)
    return narrow if np.array_equal(narrow, made, equal_nan=True) else made
