"""Norms and the matrices that read them: a channel may be scaled in the one and scaled back in the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError
from accelsim.numerics.encoded import Encoded
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Entry, Stored, changed
from accelsim.weights.naming import expected

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
"""A norm in a layer, and the matrices of that layer which read it. The norm before lm_head is none of them."""


def norm_readers(model: Model) -> list[tuple[str, list[str]]]:
    """The name of each norm in a layer (without `.weight`), and those of all matrices that read it.

    Raises:
        CheckpointError: a family whose tensors have no known names.
        RequestError: norms that follow their blocks, so that the residual stream reads them, too.
    """
    if any(layer.post_norm for group in model.decoder for layer in group.layers):
        raise RequestError(f"{model.name}: its norms follow their blocks, and the residual stream would change")
    slots, found = expected(model), []
    for name in slots:
        for norm, reader in _READERS:
            if matched := re.fullmatch(norm + r"\.weight", name):
                pattern = re.compile(re.escape(matched[1]) + reader + r"\.weight")
                found.append((name.removesuffix(".weight"), [other for other in slots if pattern.fullmatch(other)]))
    return found


def rescaled(
    checkpoint: Checkpoint, model: Model, factors: Mapping[str, ArrayLike], *, exact: bool = False
) -> Checkpoint:
    """The same function with the outputs of some norms multiplied, and what reads them divided.

    Args:
        checkpoint: the model's tensors by their usual names, unquantised.
        model: whose norms precede their blocks.
        factors: [hidden] positive factors of the channels, by the norm's name as in `norm_readers`.
        exact: they are powers of two, which change no digit: tensors stay in their formats. Otherwise those that
            change become binary64.

    Raises:
        RequestError: a norm that there is not, factors that are not positive or of another shape; a quantised weight,
            once it is read.
        CheckpointError: a tensor that is missing.
    """
    slots, readers = expected(model), dict(norm_readers(model))
    entries: dict[str, Entry | None] = {}
    for norm, given in factors.items():
        if norm not in readers:
            raise RequestError(f"{model.name} has no norm {norm!r} whose readers are known: {', '.join(readers)}")
        factor = np.asarray(given, dtype=np.float64)
        if factor.shape != (model.hidden,) or not np.all((factor > 0) & np.isfinite(factor)):
            raise RequestError(f"the factors of {norm} must be {model.hidden} positive numbers")
        changes = {norm + ".weight": (factor, 0), norm + ".bias": (factor, 0)}
        changes |= {name: (1 / factor, 0 if slots[name].transposed else 1) for name in readers[norm]}
        for name, (vector, axis) in changes.items():
            if name in slots:
                entry = checkpoint.entry(name)
                scale = partial(_scaled, factor=vector, axis=axis, exact=exact)
                entries[name] = changed(entry, scale, dtype=entry.dtype if exact else "float64")
    return checkpoint.with_entries(entries)


def _scaled(found: Stored, factor: NDArray[np.float64], axis: int, exact: bool) -> NDArray[Any]:
    if isinstance(found, Encoded):
        raise RequestError("a quantised weight cannot be scaled by channel: quantise after that")
    wide = found.dtype == np.float64 or not exact
    made: NDArray[Any] = found.astype(np.float64 if wide else np.float32)
    np.multiply(made, factor.astype(made.dtype).reshape((-1,) + (1,) * (made.ndim - axis - 1)), out=made)
    return made
