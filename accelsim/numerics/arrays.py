"""Any array that a user may pass, as the flat native float array that codecs take, and results back in its form."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError
from accelsim.numerics.fast.codec import Floats

_EXACT: Final = 1 << 53
_WIDENED: Final = {"float16": np.float32, "bfloat16": np.float32, "float32": np.float32, "float64": np.float64}


@dataclass(frozen=True, slots=True)
class Taken:
    """An input.

    Attributes:
        values: contiguous native float32 or float64 array of the input's shape; masked elements are 0.
        dtype: of a quantised result: that of the input, float32 for bfloat16, float64 for integers.
        mask: of a masked array, else None.
    """

    values: Floats
    dtype: np.dtype[Any]
    mask: NDArray[np.bool_] | None


def take(x: ArrayLike) -> Taken:
    """An input as floats, without loss.

    Raises:
        RequestError: objects, complex or extended numbers, text, booleans, or integers that float64 cannot hold.
    """
    mask = np.ma.getmaskarray(x) if isinstance(x, np.ma.MaskedArray) else None
    array = _array(x.filled(0) if isinstance(x, np.ma.MaskedArray) else x)
    if array.dtype.kind in "iu":
        if array.size and (int(array.max()) > _EXACT or int(array.min()) < -_EXACT):
            raise RequestError("integers beyond 2^53 are no float64: convert them to floats first, as you see fit")
        return Taken(np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape), np.dtype(np.float64), mask)
    wide = _WIDENED.get(array.dtype.name)
    if wide is None:
        allowed = "float16, bfloat16, float32, float64 and integers"
        raise RequestError(f"an array of {array.dtype} cannot be encoded; allowed: {allowed}")
    dtype = np.dtype(wide) if array.dtype.name == "bfloat16" else array.dtype.newbyteorder("=")
    values = np.ascontiguousarray(array, dtype=wide).reshape(array.shape)  # ascontiguousarray makes 0-d 1-d
    return Taken(values, dtype, mask)


def _array(x: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise RequestError(f"no array can be made of this: {error}; nested lists must all have one length") from None


def take_codes(codes: ArrayLike, bits: int) -> NDArray[np.unsignedinteger[Any]]:
    """Codes as a contiguous array of the smallest unsigned dtype.

    Raises:
        RequestError: no integers, or a code outside of 0 to 2^bits - 1.
    """
    from accelsim.numerics.packing import code_dtype

    array = _array(codes)
    if array.dtype.kind not in "iu":
        raise RequestError(f"codes must be integers, not {array.dtype}")
    dtype = code_dtype(bits)
    any_code = array.dtype == dtype and bits == dtype.itemsize * 8
    if array.size and not any_code and (int(array.max()) >= 1 << bits or int(array.min()) < 0):
        wrong = (array < 0) | (array >= 1 << bits) if array.dtype.kind == "i" else array > (1 << bits) - 1
        at = np.unravel_index(int(np.argmax(wrong)), array.shape)
        where = f" at {tuple(map(int, at))}" if array.ndim else ""
        raise RequestError(f"code {int(array[at])}{where} is outside of 0 to {(1 << bits) - 1}, the {bits}-bit codes")
    return np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)


def take_shape(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """A shape as a tuple.

    Raises:
        RequestError: anything but whole numbers from 0 on.
    """
    given: Any = shape
    sizes: Any = (given,) if isinstance(given, Integral) else given
    whole = isinstance(sizes, (tuple, list)) and all(isinstance(n, Integral) and int(n) >= 0 for n in sizes)
    if not whole:
        raise RequestError(f"shape = {shape!r}: must be a whole number from 0 on, or a tuple of such")
    return tuple(int(n) for n in sizes)


def take_bytes(data: Any) -> bytes:
    """What holds bytes, as bytes.

    Raises:
        RequestError: it holds none.
    """
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise RequestError(f"packed data must be bytes, not {type(data).__name__}") from None


def result(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array to write into: `out` if it fits, a new one if there is none.

    Raises:
        RequestError: `out` has another shape or dtype, or is read-only.
    """
    if out is None:
        return np.empty(shape, dtype=dtype)
    given: Any = out
    fits = isinstance(given, np.ndarray) and out.shape == shape and out.dtype.newbyteorder("=") == dtype
    if not fits:
        what = f"{getattr(out, 'dtype', type(out).__name__)} of shape {getattr(out, 'shape', '?')}"
        raise RequestError(f"out must be a {dtype} array of shape {shape}, not {what}")
    if not out.flags.writeable:
        raise RequestError("out is read-only: give an array that may be written")
    return out


def direct(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether a codec may write into an array as it is."""
    return bool(array.dtype == dtype and array.dtype.isnative and array.flags.c_contiguous)


def finish(written: NDArray[Any], target: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """What a call returns: the target, filled if it was not written directly, masked like the input."""
    if written is not target:
        with np.errstate(over="ignore", invalid="ignore"):
            target[...] = written
    return target if mask is None else np.ma.MaskedArray(target, mask=mask)
