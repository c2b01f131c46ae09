"""Rotations that spread outliers over all channels and change no result.

QuaRot (Ashkboos et al., arXiv 2404.00456): where the norms are RMS norms, their gains can be moved into the matrices
behind them, and the residual stream may be turned by any orthogonal Q: what reads it becomes W Q, what writes it Q^T W.
Values are turned head by head in the same way. The rotations inside the feed-forward and of keys and queries need work
at run time and are not made here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard as walsh

from accelsim.errors import RequestError
from accelsim.numerics.random import draws
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.naming import expected, layers
from accelsim.weights.rescaling import norm_readers

Doubles = NDArray[np.float64]


def hadamard(width: int, seed: int | None = None) -> Doubles:
    """An orthogonal matrix whose entries are nearly equal in size.

    Sylvester's Hadamard matrix for the power of two in `width`, times (Kronecker) the orthonormal cosine transform for
    its odd factor, with the signs of its rows drawn from a seed.

    Args:
        width: from 1 on.
        seed: of the signs; None leaves them all positive.

    Raises:
        RequestError: a width below 1.
    """
    if width < 1:
        raise RequestError(f"width = {width}: from 1 on is allowed")
    power = width & -width
    odd = width // power
    rows, columns = np.arange(odd)[:, None], np.arange(odd)[None, :]
    cosine = np.cos(np.pi * (2 * columns + 1) * rows / (2 * odd)) * np.sqrt(np.where(rows == 0, 1, 2) / odd)
    made = np.kron(cosine, walsh(power) / np.sqrt(power))
    if seed is None:
        return made
    signs = 1 - 2 * draws(seed, 0, width, 1).astype(np.float64)
    return np.asarray(made * signs[:, None])


def rotated(checkpoint: Checkpoint, model: Model, seed: int = 0) -> Checkpoint:
    """The same function with a turned residual stream and turned values; norms' gains are 1.

    Args:
        checkpoint: the model's tensors by their usual names, unquantised.
        model: of the kind of Llama or Mixtral, with an lm_head of its own (a tied one cannot take the last gain).
        seed: of the rotations' signs.

    Returns:
        Tensors in binary64.

    Raises:
        RequestError: a model with other norms, or a tied lm_head.
        CheckpointError: a family whose tensors have no known names.
    """
    if model.norm != "rms" or model.lm_head != "own":
        raise RequestError(
            f"{model.name}: only models with RMS norms and an lm_head of their own are turned; this one has "
            f"{model.norm} norms and a lm_head that is {model.lm_head}"
        )
    turn, slots = hadamard(model.hidden, seed), expected(model)
    gains = {reader: norm + ".weight" for norm, readers in norm_readers(model) for reader in readers}
    gains["lm_head.weight"] = "model.norm.weight"
    changes: dict[str, Callable[[], Doubles]] = {}
    for name, slot in slots.items():
        if slot.part == "embedding":
            changes[name] = partial(_product, checkpoint, name, None, None, turn)
        elif name in gains:
            changes[name] = partial(_product, checkpoint, name, gains[name], None, turn)
        elif name.rpartition(".")[0].endswith(("down_proj", ".w2", "o_proj")):
            changes[name] = partial(_product, checkpoint, name, None, turn.T, None)
        elif slot.part == "norm" and not name.endswith(("q_norm.weight", "k_norm.weight")):
            changes[name] = partial(np.ones, slot.shape)
    for index, layer in enumerate(layers(model)):
        base, attention = f"model.layers.{index}.self_attn.", layer.attention
        head = hadamard(attention.value_dim, seed + 1)
        values, heads = (
            np.kron(np.eye(count), head).astype(np.float64) for count in (attention.kv_heads, attention.heads)
        )
        for part in ("weight", "bias"):
            if (name := f"{base}v_proj.{part}") in slots:
                inner = changes.get(name, partial(checkpoint.array, name, np.float64))
                changes[name] = partial(_left, values.T, inner)
        changes[base + "o_proj.weight"] = partial(_right, changes[base + "o_proj.weight"], heads)
    entries: dict[str, Entry | None] = {}
    for name, change in changes.items():
        shape = slots[name].shape
        entries[name] = Entry(shape, "float64", 8 * int(np.prod(shape)), change)
    return checkpoint.with_entries(entries)


def _product(
    checkpoint: Checkpoint, name: str, gain: str | None, left: Doubles | None, right: Doubles | None
) -> Doubles:
    made: NDArray[Any] = checkpoint.array(name, np.float64)
    made = made * checkpoint.array(gain, np.float64) if gain else made
    made = made if left is None else left @ made
    return made if right is None else made @ right


def _left(turn: Doubles, inner: Callable[[], Doubles]) -> Doubles:
    return np.asarray(turn @ inner())


def _right(inner: Callable[[], Doubles], turn: Doubles) -> Doubles:
    return np.asarray(inner() @ turn)
