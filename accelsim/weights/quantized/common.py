"""What all layouts share: finding a weight's parts, and putting codes and scales together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError
from accelsim.formats import dataformat, quantizer
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.weights.checkpoint import Checkpoint, Entry

SCALES = ("fp32", "fp16", "bf16")
"""Formats in which scales are stored."""


def weights(checkpoint: Checkpoint, suffix: str) -> Iterator[str]:
    """What stands before a suffix in the names that have it."""
    for name in checkpoint:
        if name.endswith(suffix):
            yield name.removesuffix(suffix)


def integers(checkpoint: Checkpoint, name: str, dtypes: tuple[str, ...]) -> NDArray[Any]:
    """A tensor of integers.

    Raises:
        CheckpointError: it is missing or has another dtype.
    """
    entry = checkpoint.entry(name)
    if entry.dtype not in dtypes:
        raise CheckpointError(f"{checkpoint.origin}: {name!r} is {entry.dtype}, expected {' or '.join(dtypes)}")
    found = entry.read()
    assert not isinstance(found, Encoded)
    return found


def scale_entry(checkpoint: Checkpoint, name: str) -> Entry:
    """The entry of a tensor of scales.

    Raises:
        CheckpointError: it is missing, or no float.
    """
    entry = checkpoint.entry(name)
    if entry.dtype not in SCALES:
        raise CheckpointError(f"{checkpoint.origin}: {name!r} is {entry.dtype}: scales are {', '.join(SCALES)}")
    return entry


def shape_is(checkpoint: Checkpoint, name: str, wanted: tuple[int, ...]) -> None:
    """Refuse a part that does not fit its weight.

    Raises:
        CheckpointError: the tensor has another shape.
    """
    if checkpoint.shape(name) != wanted:
        raise CheckpointError(
            f"{checkpoint.origin}: {name!r} has shape {checkpoint.shape(name)}; with its weight goes {wanted}"
        )


def form(element: str, groups: tuple[int, ...], columns: int, scale: str, *, point: bool = False) -> DataFormat:
    """The format of a weight whose scales have the shape `groups`: (), [out, 1] or [out, in / length].

    Args:
        element: name of the format of the codes.
        groups: shape of the scales.
        columns: elements along `in`.
        scale: name of the format of the scales.
        point: a zero point of the element's format stands beside every scale.
    """
    zero = element if point else None
    if not groups:
        return quantizer(element, "tensor", scale=scale, zero_point=zero)
    if groups[1] == 1:
        return quantizer(element, "channel", scale=scale, zero_point=zero)
    return quantizer(element, "group", length=-(-columns // groups[1]), scale=scale, zero_point=zero)


def stored(
    made: DataFormat, shape: tuple[int, ...], nbytes: int, parts: Callable[[], tuple[NDArray[Any], NDArray[Any], Any]]
) -> Entry:
    """An entry that puts codes, scales (as numbers) and zero points (codes or None) together when it is read."""

    def read() -> Encoded:
        codes, scales, points = parts()
        form: Any = made.record
        return encoded(made, shape, codes, np.asarray(dataformat(form.scale).encode(scales)), points)

    return Entry(shape, made.name, nbytes, read)


def encoded(
    made: DataFormat, shape: tuple[int, ...], codes: NDArray[Any], scales: NDArray[Any], points: Any
) -> Encoded:
    """A tensor of the format from codes of elements and of scales; `points` are codes of zero points, or None."""
    return Encoded(
        codes=codes,
        scales=scales,
        tensor_scale=None,
        mask_or_indices=points,
        axis=len(shape) - 1,
        shape=shape,
        format=made,
        policy=made.policy,
    )


def finite(scales: NDArray[Any], name: str, origin: str) -> NDArray[Any]:
    """Scales, once they are known to be numbers.

    Raises:
        CheckpointError: NaN or an infinity among them.
    """
    if not np.isfinite(scales).all():
        raise CheckpointError(f"{origin}: {name!r} holds NaN or infinities")
    return scales
