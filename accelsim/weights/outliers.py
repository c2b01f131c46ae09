"""Activation outliers that change no result: a norm's channel grows by a power of two, what reads it shrinks.

Large models have a few channels whose activations are many times larger than the others, in all layers (Dettmers et
al., LLM.int8(), arXiv 2208.07339, section 4); small ones have none. Scaling a channel of a norm's gain (and bias) by
2^k and that input of every following matrix by 2^-k gives such channels to any model. In exact arithmetic nothing
changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics.encoded import Encoded
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Stored, changed
from accelsim.weights.naming import Slot, expected

_READERS: Final = (
    (r"(model\.layers\.\d+\.)input_layernorm", r"self_attn\.[qkv]_proj"),
    (
        r"(model\.layers\.\d+\.)post_attention_layernorm",
        r"(mlp\.(gate|up)_proj|block_sparse_moe\.(gate|experts\.\d+\.w[13]))",
    ),
    (r"(transformer\.h\.\d+\.)ln_1", r"attn\.c_attn"),
    (r"(transformer\.h\.\d+\.)ln_2", r"mlp\.c_fc"),
    (r"(model\.decoder\.layers\.\d+\.)self_attn_layer_norm", r"self_attn\.[qkv]_proj"),
    (r"(model\.decoder\.layers\.\d+\.)final_layer_norm", r"fc1"),
)
"""A norm in a layer, and the matrices of that layer which read it. The norm before lm_head stays as it is."""

_MOST: Final = 64


def with_outliers(checkpoint: Checkpoint, model: Model, channels: Sequence[int], power: int) -> Checkpoint:
    """The same function with outliers in the inputs of all attention and feed-forward blocks.

    Args:
        checkpoint: the model's tensors by their usual names (see `of_model`), unquantised.
        model: whose norms precede its blocks.
        channels: of the residual stream, each at most once.
        power: k; the channels of the norms' outputs become 2^k times larger.

    Raises:
        RequestError: a channel that there is not, a power beyond -64 to 64, or norms that follow their blocks.
        CheckpointError: tensors that are missing, once they are read.
    """
    chosen = np.asarray(channels, dtype=np.int64).reshape(-1)
    inside = bool(np.all((chosen >= 0) & (chosen < model.hidden)))
    if not inside or np.unique(chosen).size != chosen.size:
        raise RequestError(
            f"channels = {list(channels)}: different whole numbers from 0 to {model.hidden - 1} are needed"
        )
    if not -_MOST <= power <= _MOST:
        raise RequestError(f"power = {power}: from {-_MOST} to {_MOST} is allowed")
    if any(layer.post_norm for group in model.decoder for layer in group.layers):
        raise RequestError(f"{model.name}: its norms follow their blocks, and the residual stream would change")
    slots = expected(model)
    entries = {}
    for norm, readers in _pairs(slots):
        for name in norm:
            entries[name] = partial(_scaled, axis=0, channels=chosen, factor=2.0**power)
        for name in readers:
            axis = 0 if slots[name].transposed else 1
            entries[name] = partial(_scaled, axis=axis, channels=chosen, factor=2.0**-power)
    return checkpoint.with_entries(
        {name: changed(entry := checkpoint.entry(name), change, dtype=entry.dtype) for name, change in entries.items()}
    )


def _pairs(slots: dict[str, Slot]) -> Iterator[tuple[list[str], list[str]]]:
    """Names of each norm's tensors, and those of the matrices that read it."""
    for name in slots:
        for norm, reader in _READERS:
            if found := re.fullmatch(norm + r"\.weight", name):
                base = re.escape(found[1])
                bias = name.removesuffix("weight") + "bias"
                matrices = [other for other in slots if re.fullmatch(base + reader + r"\.weight", other)]
                yield [name] + [bias] * (bias in slots), matrices


def _scaled(found: Stored, axis: int, channels: NDArray[Any], factor: float) -> NDArray[Any]:
    if isinstance(found, Encoded):
        raise RequestError("a quantised weight cannot be scaled by channel: quantise after the outliers are made")
    made = found.astype(np.float32 if found.dtype == np.float16 else found.dtype)
    at = (slice(None),) * axis + (channels,)
    made[at] *= made.dtype.type(factor)
    return made
