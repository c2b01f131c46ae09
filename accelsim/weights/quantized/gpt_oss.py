"""MXFP4 in the layout of OpenAI's gpt-oss.

`NAME_blocks` [..., blocks, 16] holds two fp4_e2m1 codes a byte, the first in the lower half, and `NAME_scales`
[..., blocks] the E8M0 scales of each block of 32 (openai/gpt-oss, gpt_oss/torch/weights.py). The weight is
[..., 32 blocks], such as [experts, out, in].
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from accelsim.errors import CheckpointError
from accelsim.formats import dataformat
from accelsim.numerics.encoded import Encoded
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.quantized import common

_BYTES = 16


def convert(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> dict[str, Entry | None]:
    """Entries of weights in blocks, under their name without a suffix.

    Raises:
        CheckpointError: blocks without scales, or of another shape.
    """
    changed: dict[str, Entry | None] = {}
    for base in common.weights(checkpoint, "_blocks"):
        blocks, scales = checkpoint.entry(base + "_blocks"), checkpoint.entry(base + "_scales")
        if blocks.dtype != "uint8" or scales.dtype != "uint8" or blocks.shape != (*scales.shape, _BYTES):
            raise CheckpointError(
                f"{checkpoint.origin}: {base + '_blocks'!r} is {blocks.dtype} {blocks.shape} and its scales "
                f"{scales.dtype} {scales.shape}: expected uint8, with {_BYTES} bytes to a scale"
            )
        shape = (*scales.shape[:-1], scales.shape[-1] * 2 * _BYTES)
        changed[base] = Entry(shape, "mxfp4", blocks.nbytes + scales.nbytes, partial(_read, checkpoint, base, shape))
        changed[base + "_blocks"] = changed[base + "_scales"] = None
    return changed


def _read(checkpoint: Checkpoint, base: str, shape: tuple[int, ...]) -> Encoded:
    pairs = common.integers(checkpoint, base + "_blocks", ("uint8",))
    codes = np.stack((pairs & np.uint8(15), pairs >> np.uint8(4)), axis=-1).reshape(shape)
    scales = common.integers(checkpoint, base + "_scales", ("uint8",))
    return common.encoded(dataformat("mxfp4"), shape, codes, scales, None)
