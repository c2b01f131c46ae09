"""A tensor between two operators: what was written, in the format it was written in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import registry
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.spec.format import Format

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A tensor as it lies in memory.

    Attributes:
        values: what is stored, decoded.
        encoded: codes and scales, where the format owns scales.
        clipped: elements that were beyond the format's range.
    """

    values: Array
    encoded: Encoded | None = None
    clipped: int = 0


@cache
def converter(form: Format) -> DataFormat:
    """The format that converts."""
    return DataFormat(form)


@cache
def _largest(form: Format) -> float:
    return float(registry.grid(form).largest)


def store(x: Array, form: Format | None, where: str) -> Stored:
    """A tensor rounded to its storage format, scales shared along the last axis.

    Args:
        x: of any shape.
        form: None keeps it as it is.
        where: the tensor, for the error.

    Raises:
        RequestError: NaN, which a format may have no code for.
    """
    if form is None:
        return Stored(x)
    codec = converter(form)
    if form.name in ("fp32", "fp64"):
        return Stored(x.astype(np.float32) if form.name == "fp32" else x)
    try:
        if not form.scaled:
            return Stored(np.asarray(codec.quantize(x)), clipped=int(np.count_nonzero(np.abs(x) > _largest(form))))
        encoded: Encoded = codec.encode(x, axis=-1)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    return Stored(decoded(encoded).astype(x.dtype), encoded)


def decoded(encoded: Encoded) -> Array:
    """The values of codes, float32 where it holds them all."""
    return np.asarray(encoded.format.decode(encoded))


def transposed(encoded: Encoded) -> Encoded | None:
    """The last two axes exchanged; None where scales do not follow the shape."""
    parts = (encoded.scales, encoded.mask_or_indices)
    if len(encoded.shape) != 2 or any(part is not None and part.ndim not in (0, 2) for part in parts):
        return None
    scales, indices = (part if part is None or part.ndim == 0 else part.T for part in parts)
    return Encoded(
        codes=encoded.codes.T, scales=scales, tensor_scale=encoded.tensor_scale, mask_or_indices=indices,
        axis=1 - encoded.axis, shape=encoded.shape[::-1], format=encoded.format, policy=encoded.policy,
    )  # fmt: skip
