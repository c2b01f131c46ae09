"""Activation outliers that change no result: a norm's channel grows by a power of two, what reads it shrinks.

Large models have a few channels whose activations are many times larger than the others, in all layers (Dettmers et
al., LLM.int8(), arXiv 2208.07339, section 4); small ones have none. Scaling a channel of a norm's gain (and bias) by
2^k and that input of every following matrix by 2^-k gives such channels to any model. In exact arithmetic nothing
changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.errors import RequestError
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint
from accelsim.weights.rescaling import norm_readers, rescaled

_MOST = 64


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
    factors = np.ones(model.hidden)
    factors[chosen] = 2.0**power
    return rescaled(checkpoint, model, {norm: factors for norm, _ in norm_readers(model)}, exact=True)
