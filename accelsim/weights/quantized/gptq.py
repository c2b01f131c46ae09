"""Integers as AutoGPTQ and GPTQModel store them.

`NAME.qweight` [in bits / 32, out], packed down the columns, the first element in the lowest bits; `NAME.scales`
[groups, out]; `NAME.qzeros` [groups, out bits / 32], packed along the rows, each stored less one in the first version
of the layout and as it is in `gptq_v2`; `NAME.g_idx` [in], the group of each input. Where every zero point is
2^(bits - 1), the weight is symmetric and becomes signed integers without zero points.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.quantized import common
from accelsim.weights.quantized.packed import BITS, check_order, of_words


def convert(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> dict[str, Entry | None]:
    """Entries of GPTQ's weights, [out, in].

    Raises:
        CheckpointError: parts that do not fit together, AWQ's packing, or inputs grouped out of order.
    """
    changed: dict[str, Entry | None] = {}
    for base in common.weights(checkpoint, ".qweight"):
        changed[base + ".weight"] = _entry(checkpoint, base, settings)
        parts = ("qweight", "qzeros", "scales", "g_idx")
        changed |= {f"{base}.{part}": None for part in parts if f"{base}.{part}" in checkpoint}
    return changed


def _entry(checkpoint: Checkpoint, base: str, settings: Mapping[str, Any]) -> Entry:
    origin, name = checkpoint.origin, base + ".qweight"
    words = checkpoint.entry(name)
    scale = common.scale_entry(checkpoint, base + ".scales")
    if len(words.shape) != 2 or len(scale.shape) != 2:
        raise CheckpointError(
            f"{origin}: {name!r} and its scales must be matrices, not {words.shape} and {scale.shape}"
        )
    groups, rows = scale.shape
    if words.shape[1] != rows:
        raise CheckpointError(
            f"{origin}: {name!r} has shape {words.shape} and its scales {scale.shape}: GPTQ's have equal columns; "
            "AWQ's packing is not read"
        )
    bits = _bits(checkpoint, base, words.shape[0], settings)
    columns = words.shape[0] * 32 // bits
    if columns % groups:
        raise CheckpointError(
            f"{origin}: {base + '.scales'!r} has {groups} groups, which do not divide {columns} inputs"
        )
    common.shape_is(checkpoint, base + ".qzeros", (groups, -(-rows * bits // 32)))
    check_order(checkpoint, base + ".g_idx", columns, columns // groups)
    points = _points(checkpoint, base, bits, rows, stored_less=settings.get("checkpoint_format") != "gptq_v2")
    symmetric = bool((points == 1 << bits - 1).all())
    made = common.form(
        f"{'' if symmetric else 'u'}int{bits}", (rows, groups), columns, scale.dtype, point=not symmetric
    )
    nbytes = words.nbytes + scale.nbytes + checkpoint.entry(base + ".qzeros").nbytes
    zero = None if symmetric else np.ascontiguousarray(points.T)
    return common.stored(made, (rows, columns), nbytes, partial(_parts, checkpoint, base, bits, zero))


def _bits(checkpoint: Checkpoint, base: str, words: int, settings: Mapping[str, Any]) -> int:
    inputs = checkpoint.shape(base + ".g_idx")[0] if base + ".g_idx" in checkpoint else 0
    given = settings.get("bits", 0)
    bits = given or (words * 32 // inputs if inputs else 0)
    if bits not in BITS or (inputs and words * 32 != inputs * bits):
        hint = "give the bits in quantization_config" if not bits else f"read are {', '.join(map(str, BITS))}"
        raise CheckpointError(
            f"{checkpoint.origin}: {base + '.qweight'!r} has {words} words of 32 bits for {inputs or '?'} inputs, "
            f"which is {bits or '?'} bits an element: {hint}"
        )
    return int(bits)


def _points(checkpoint: Checkpoint, base: str, bits: int, rows: int, *, stored_less: bool) -> NDArray[np.uint8]:
    """[groups, out] zero points."""
    points = of_words(common.integers(checkpoint, base + ".qzeros", ("int32",)), bits)[:, :rows]
    if not stored_less:
        return points
    if int(points.max(initial=0)) == (1 << bits) - 1:
        raise CheckpointError(
            f"{checkpoint.origin}: {base + '.qzeros'!r} holds the zero point {1 << bits}, which {bits} bits do not: "
            'is it a checkpoint with checkpoint_format "gptq_v2"?'
        )
    return points + np.uint8(1)


def _parts(
    checkpoint: Checkpoint, base: str, bits: int, points: NDArray[np.uint8] | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    codes = of_words(common.integers(checkpoint, base + ".qweight", ("int32",)).T, bits)
    name = base + ".scales"
    scales = np.ascontiguousarray(common.finite(checkpoint.array(name), name, checkpoint.origin).T)
    return codes if points is not None else codes ^ np.uint8(1 << bits - 1), scales, points
