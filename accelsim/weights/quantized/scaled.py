"""Weights of a byte per element beside their scales: FP8 and int8.

`NAME.weight` (FP8, or int8) with `NAME.weight_scale` of one number, [out, 1] or [out, groups] as
vllm-project/compressed-tensors stores them (`float-quantized`, `int-quantized`), or with `NAME.weight_scale_inv` of
[out / 128, in / 128], a scale of each square block as DeepSeek-V3 stores them (arXiv 2412.19437, section 3.3.2). All
of them multiply. A square's scale is repeated for each of its rows; the values are the same, and `Entry.nbytes` has
the bytes that the file takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError
from accelsim.formats import quantizer
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.quantized import common

_CODED = ("fp8_e4m3", "fp8_e5m2", "int8")
_SQUARE = (128, 128)


def convert(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> dict[str, Entry | None]:
    """Entries of weights that have scales beside them.

    Raises:
        CheckpointError: scales whose shape fits no granularity.
    """
    changed: dict[str, Entry | None] = {}
    for suffix in (".weight_scale", ".weight_scale_inv"):
        for base in common.weights(checkpoint, suffix):
            weight = base + ".weight"
            if weight not in checkpoint or checkpoint.dtype(weight) not in _CODED:
                raise CheckpointError(f"{checkpoint.origin}: {base + suffix!r} belongs to no FP8 or int8 {weight!r}")
            changed[weight] = _entry(checkpoint, base, suffix, settings)
            changed[base + suffix] = None
            if base + ".weight_zero_point" in checkpoint:
                changed[base + ".weight_zero_point"] = None
    return changed


def _entry(checkpoint: Checkpoint, base: str, suffix: str, settings: Mapping[str, Any]) -> Entry:
    weight, name = checkpoint.entry(base + ".weight"), base + suffix
    scale = common.scale_entry(checkpoint, name)
    if len(weight.shape) != 2:
        raise CheckpointError(f"{checkpoint.origin}: {base + '.weight'!r} has shape {weight.shape}: a matrix is needed")
    rows, columns = weight.shape
    square = _block(checkpoint, settings) if suffix == ".weight_scale_inv" and len(scale.shape) == 2 else None
    if square:
        common.shape_is(checkpoint, name, (-(-rows // square[0]), -(-columns // square[1])))
        made = quantizer(weight.dtype, "group", length=square[1], scale=scale.dtype)
        spread = partial(_spread, rows=rows, each=square[0])
        return common.stored(
            made, weight.shape, weight.nbytes + scale.nbytes, partial(_parts, checkpoint, base, suffix, spread)
        )
    groups = _groups(checkpoint, name, scale.shape, weight.shape)
    points = base + ".weight_zero_point"
    pointed = points in checkpoint and bool(common.integers(checkpoint, points, ("int8",)).any())
    if pointed:
        common.shape_is(checkpoint, points, scale.shape)
    made = common.form(weight.dtype, groups, columns, scale.dtype, point=pointed)
    nbytes = weight.nbytes + scale.nbytes + (checkpoint.entry(points).nbytes if pointed else 0)
    reshaped = partial(np.reshape, shape=groups)
    return common.stored(
        made, weight.shape, nbytes, partial(_parts, checkpoint, base, suffix, reshaped, points if pointed else "")
    )


def _parts(
    checkpoint: Checkpoint, base: str, suffix: str, arrange: Any, points: str = ""
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    weight = checkpoint.entry(base + ".weight")
    numbers: Any = weight.codes() if weight.codes else weight.read()
    scales = common.finite(checkpoint.array(base + suffix), base + suffix, checkpoint.origin)
    zero = arrange(common.integers(checkpoint, points, ("int8",))).view(np.uint8) if points else None
    return numbers.view(np.uint8), arrange(scales), zero


def _spread(scales: NDArray[Any], rows: int, each: int) -> NDArray[Any]:
    return np.repeat(scales, each, axis=0)[:rows]


def _groups(
    checkpoint: Checkpoint, name: str, shape: tuple[int, ...], weight: tuple[int, int] | tuple[int, ...]
) -> tuple[int, ...]:
    """The shape that scales have in `Encoded`."""
    rows, columns = weight
    if shape in ((), (1,), (1, 1)):
        return ()
    if shape in ((rows,), (rows, 1)):
        return (rows, 1)
    if len(shape) == 2 and shape[0] == rows and shape[1] <= columns and columns % shape[1] == 0:
        return shape
    raise CheckpointError(
        f"{checkpoint.origin}: {name!r} has shape {shape}; with a weight of {weight} go one number, [{rows}, 1] "
        f"or [{rows}, groups of equal length]"
    )


def _block(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> tuple[int, int]:
    given = settings.get("weight_block_size") or _SQUARE
    if len(given) != 2 or not all(type(length) is int and length > 0 for length in given):
        raise CheckpointError(f"{checkpoint.origin}: weight_block_size = {given!r}: two whole numbers from 1 on")
    return given[0], given[1]
