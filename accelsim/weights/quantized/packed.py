"""Integers of few bits, several to a 32-bit word, as vllm-project/compressed-tensors packs them (`pack-quantized`).

`NAME.weight_packed` [out, in bits / 32] holds q + 2^(bits - 1), the first element of a row in the lowest bits;
`NAME.weight_scale` [out, groups]; `NAME.weight_shape` [2]; with `NAME.weight_zero_point` [out bits / 32, groups],
packed the other way, the format is asymmetric.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError
from accelsim.numerics import packing
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.quantized import common

BITS = (2, 4, 8)
"""Widths that fill a word of 32 bits."""


def convert(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> dict[str, Entry | None]:
    """Entries of packed weights; the bits follow from the shapes.

    Raises:
        CheckpointError: parts that do not fit together, or groups whose columns are not neighbours.
    """
    changed: dict[str, Entry | None] = {}
    for base in common.weights(checkpoint, ".weight_packed"):
        changed[base + ".weight"] = _entry(checkpoint, base)
        parts = ("packed", "scale", "shape", "zero_point", "g_idx")
        changed |= {f"{base}.weight_{part}": None for part in parts if f"{base}.weight_{part}" in checkpoint}
    return changed


def _entry(checkpoint: Checkpoint, base: str) -> Entry:
    name, point = base + ".weight_packed", base + ".weight_zero_point"
    scale = common.scale_entry(checkpoint, base + ".weight_scale")
    whole = common.integers(checkpoint, base + ".weight_shape", ("int64", "int32"))
    if whole.shape != (2,) or whole.min() < 1:
        raise CheckpointError(f"{checkpoint.origin}: {base + '.weight_shape'!r} must hold the two lengths of a matrix")
    rows, columns = int(whole[0]), int(whole[1])
    shape = checkpoint.shape(name)
    bits = next((b for b in BITS if shape == (rows, -(-columns * b // 32))), 0)
    if not bits:
        raise CheckpointError(
            f"{checkpoint.origin}: {name!r} of shape {shape} holds no [{rows}, {columns}] in words of 32 bits: "
            f"read are {', '.join(map(str, BITS))} bits an element"
        )
    if len(scale.shape) != 2 or scale.shape[0] != rows or columns % scale.shape[1]:
        raise CheckpointError(
            f"{checkpoint.origin}: {base + '.weight_scale'!r} has shape {scale.shape}; "
            f"with [{rows}, {columns}] goes [{rows}, groups of equal length]"
        )
    check_order(checkpoint, base + ".weight_g_idx", columns, columns // scale.shape[1])
    pointed = point in checkpoint
    if pointed:
        common.shape_is(checkpoint, point, (-(-rows * bits // 32), scale.shape[1]))
    made = common.form(f"{'u' * pointed}int{bits}", scale.shape, columns, scale.dtype, point=pointed)
    nbytes = checkpoint.entry(name).nbytes + scale.nbytes + (checkpoint.entry(point).nbytes if pointed else 0)
    return common.stored(made, (rows, columns), nbytes, partial(_parts, checkpoint, base, bits, columns))


def _parts(
    checkpoint: Checkpoint, base: str, bits: int, columns: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    words = common.integers(checkpoint, base + ".weight_packed", ("int32",))
    codes = of_words(words, bits)[:, :columns]
    name = base + ".weight_scale"
    scales = common.finite(checkpoint.array(name), name, checkpoint.origin)
    point = base + ".weight_zero_point"
    if point not in checkpoint:
        return codes ^ np.uint8(1 << bits - 1), scales, None  # q + 2^(bits - 1) -> two's complement
    points = of_words(common.integers(checkpoint, point, ("int32",)).T, bits).T[: codes.shape[0]]
    return codes, scales, points


def of_words(words: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Unsigned elements of [rows, words] of 32 bits, the first in the lowest bits: [rows, words 32 / bits]."""
    stream = np.ascontiguousarray(words).astype("<u4", copy=False)
    count = stream.shape[1] * 32 // bits
    return packing.unpack(stream.tobytes(), bits, stream.shape[0] * count).reshape(-1, count).astype(np.uint8)


def check_order(checkpoint: Checkpoint, name: str, columns: int, length: int) -> None:
    """Refuse groups whose columns are not neighbours (activation order).

    Raises:
        CheckpointError: the index of groups is another than column // length.
    """
    if name not in checkpoint:
        return
    given = common.integers(checkpoint, name, ("int32", "int64"))
    unset = given.size > 0 and int(given.min()) == -1 == int(given.max())
    if given.shape != (columns,) or not (unset or np.array_equal(given, np.arange(columns) // length)):
        raise CheckpointError(
            f"{checkpoint.origin}: {name!r} puts columns into groups of {length} out of order (desc_act, actorder): "
            "our groups are neighbours; quantise without activation order, or permute the layer's input first"
        )
