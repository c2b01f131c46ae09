"""Made-up weights with the traits of trained ones, the same bits on every machine.

With z, r, c, u, v standard normal by a table of 65,536 quantiles, drawn by Philox with a key of the seed and the
tensor's name, a matrix [out, in] is

    W = (0.9 z (1 + r / 5) (1 + c / 5) + 0.436 L) / sqrt(in),    L = sum over i of s_i u_i v_i, s_i ~ 1, 1/2, ... 1/8,

so that rows and columns differ in size, the largest eight singular values fall like 1 / i above a bulk like that of
noise, and all have unit variance together before the division; matrices that end a block are smaller by
sqrt(2 layers). Embeddings have standard deviation 1 / sqrt(hidden), norms' gains are 1 + z / 10, biases z / 50.
Values are rounded to bf16. Activation outliers come from `with_outliers`: one in 512 channels, at least one,
16 times larger, as LLM.int8() saw them up to 20 times larger (arXiv 2208.07339, section 4). The figures are assumed;
nothing is learned, so perplexity means nothing here.
"""

from __future__ import annotations

import math
import os
import zlib
from functools import cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics.random import philox
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.naming import Slot, expected, layers
from accelsim.weights.outliers import with_outliers

OUTLIER_SHARE: Final = 512
OUTLIER_POWER: Final = 4

_STEPS: Final = 4096  # of the table, to one standard deviation
_COARSE: Final = 128  # of u and v: their products add up exactly in binary32, in any order
_STRENGTHS: Final = (16, 8, 5, 4, 3, 3, 2, 2)  # 16 / i
_BULK, _HEAD = np.float32(0.9), np.float32(math.sqrt(1 - 0.81))
_ENDS: Final = ("o_proj.weight", "out_proj.weight", "down_proj.weight", "w2.weight", "fc2.weight", "c_proj.weight")
_CHUNK: Final = 1 << 20  # elements that are drawn at a time


def synthetic(model: Model | str | os.PathLike[str], seed: int = 0, *, outliers: bool = True) -> Checkpoint:
    """Seeded weights of a model; each tensor is made when it is read.

    Args:
        model: a record, a name of the catalogue, or the path of a `config.json`.
        seed: from 0 to 2^32 - 1.
        outliers: with activation outliers.

    Returns:
        A checkpoint in bf16 whose metadata has `synthetic = "true"` and the seed.

    Raises:
        UnknownNameError: no such model.
        RequestError: a seed outside of its range.
        CheckpointError: a family whose tensors have no known names.
    """
    record = model if isinstance(model, Model) else catalog.model(model)
    if type(seed) is not int or not 0 <= seed < 1 << 32:
        raise RequestError(f"seed = {seed!r}: a whole number from 0 to 2^32 - 1 is needed")
    depth = len(layers(record))
    entries = {
        name: Entry(slot.shape, "bf16", 2 * math.prod(slot.shape), partial(_made, name, slot, seed, depth))
        for name, slot in expected(record).items()
    }
    plain = Checkpoint(
        entries, origin=f"synthetic({record.name!r}, seed={seed})", metadata={"synthetic": "true", "seed": str(seed)}
    )
    return with_outliers(plain, record, outlier_channels(record, seed), OUTLIER_POWER) if outliers else plain


def outlier_channels(model: Model, seed: int) -> list[int]:
    """The channels that `synthetic` makes outliers of."""
    count = max(1, model.hidden // OUTLIER_SHARE)
    order = np.argsort(_normal("outliers", seed, 0, model.hidden), kind="stable")
    return sorted(int(channel) for channel in order[:count])


def _made(name: str, slot: Slot, seed: int, depth: int) -> NDArray[np.float32]:
    count = math.prod(slot.shape)
    if len(slot.shape) == 2:
        out, inputs = slot.shape[::-1] if slot.transposed else slot.shape
        if slot.part in ("embedding", "positions"):
            made = _unit(name, seed, count).reshape(slot.shape) * np.float32(1 / math.sqrt(inputs))
        else:
            made = _matrix(name, seed, out, inputs)
            made *= np.float32(1 / math.sqrt(2 * depth * inputs if name.endswith(_ENDS) else inputs))
            made = np.ascontiguousarray(made.T) if slot.transposed else made
    elif slot.part == "norm" and name.endswith(".weight"):
        made = np.float32(1) + _unit(name, seed, count) * np.float32(0.1)
    else:
        made = _unit(name, seed, count) * np.float32(0.02)
    rounded: NDArray[np.float32] = dataformat("bf16").quantize(made, out=made)
    rounded.flags.writeable = False
    return rounded


def _matrix(name: str, seed: int, out: int, inputs: int) -> NDArray[np.float32]:
    """[out, in] of unit variance."""
    left, right = (
        (_normal(f"{name}:{side}", seed, 0, length * len(_STRENGTHS)) // (_STEPS // _COARSE)).astype(np.float32)
        for side, length in (("u", out), ("v", inputs))
    )
    weighted = right.reshape(len(_STRENGTHS), inputs) * np.array(_STRENGTHS, dtype=np.float32)[:, None]
    scale = _HEAD * np.float32(1 / (_COARSE * _COARSE * math.sqrt(sum(s * s for s in _STRENGTHS))))
    rows = np.float32(1) + _unit(name + ":rows", seed, out) * np.float32(0.2)
    columns = _BULK * (np.float32(1) + _unit(name + ":columns", seed, inputs) * np.float32(0.2))
    made = np.empty((out, inputs), dtype=np.float32)
    left = left.reshape(out, len(_STRENGTHS))
    step = max(1, _CHUNK // inputs)
    for first in range(0, out, step):
        part = slice(first, min(first + step, out))
        bulk = _unit(name, seed, (part.stop - first) * inputs, first * inputs).reshape(-1, inputs)
        bulk *= rows[part, None]
        bulk *= columns
        head = left[part] @ weighted  # whole numbers below 2^24
        head *= scale
        np.add(bulk, head, out=made[part])
    return made


def _unit(name: str, seed: int, count: int, first: int = 0) -> NDArray[np.float32]:
    """Standard normal numbers."""
    made = _normal(name, seed, first, count).astype(np.float32)
    made *= np.float32(1 / _STEPS)
    return made


def _normal(name: str, seed: int, first: int, count: int) -> NDArray[np.int16]:
    """Elements first to first + count - 1 of a tensor's stream, in steps of 1 / 4096: eight from each counter."""
    begin, end = first // 8, -(-(first + count) // 8)
    words = np.empty((end - begin, 4), dtype="<u4")
    for start in range(begin, end, _CHUNK // 8):
        index = np.arange(start, min(start + _CHUNK // 8, end), dtype=np.uint64)
        none = np.zeros_like(index)
        counter = (index & np.uint64(0xFFFFFFFF), index >> np.uint64(32), none, none)
        drawn = philox(counter, (seed, zlib.crc32(name.encode())))
        for column, word in enumerate(drawn):
            words[start - begin : start - begin + index.size, column] = word
    halves = words.view("<u2").reshape(-1)[first - 8 * begin :][:count]
    made: NDArray[np.int16] = quantiles()[halves]
    return made


@cache
def quantiles() -> NDArray[np.int16]:
    """The standard normal quantiles of (i + 1/2) / 65536, in whole steps of 1 / 4096."""
    from scipy.special import ndtri

    upper = np.rint(ndtri((np.arange(1 << 15) + (1 << 15) + 0.5) / (1 << 16)) * _STEPS).astype(np.int16)
    return np.concatenate((-upper[::-1], upper))
