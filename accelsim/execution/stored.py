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
from accelsim.numerics.quantization import Granularity, quantizer
from accelsim.spec.format import Format, IntegerFormat

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
def valued(form: Format, whole: bool = False) -> Format:
    """The format whose numbers stand for a format: an integer without a scale has one for each row, or for all.

    Such an integer is what is priced: a scale for a channel of weights or for a token is small beside it and not
    counted (`dataformats/integer`). Every other format stands for itself.

    Args:
        form: of storage.
        whole: one scale for the tensor.
    """
    if not isinstance(form, IntegerFormat):
        return form
    granularity: Granularity = "tensor" if whole else "channel"
    made = quantizer(form, granularity).record
    return made.model_copy(update={"name": f"{form.name}_{granularity}"})


@cache
def largest(form: Format) -> float:
    """The largest number of a format without scales."""
    return float(registry.grid(form).largest)


def store(x: Array, form: Format | None, where: str) -> Stored:
    """A tensor rounded to its storage format, scales shared along the last axis; see `valued` for plain integers.

    Args:
        x: of any shape.
        form: None keeps it as it is.
        where: the tensor, for the error.

    Raises:
        RequestError: NaN, which a format may have no code for.
    """
    if form is None:
        return Stored(x)
    form = valued(form)
    codec = converter(form)
    if form.name in ("fp32", "fp64"):
        return Stored(x.astype(np.float32) if form.name == "fp32" else x)
    try:
        if not form.scaled:
            return Stored(np.asarray(codec.quantize(x)), clipped=int(np.count_nonzero(np.abs(x) > largest(form))))
        encoded: Encoded = codec.encode(x, axis=-1)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from None
    return Stored(decoded(encoded).astype(x.dtype), encoded)


def decoded(encoded: Encoded) -> Array:
    """The values of codes, float32 where it holds them all."""
    return np.asarray(encoded.format.decode(encoded))
