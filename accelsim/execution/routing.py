"""Which experts a token takes, with which weights; and its rows gathered by expert and summed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.lanes import Lanes

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Choice:
    """The experts of every token, ascending.

    Attributes:
        experts: [tokens, active].
        weights: of the same shape.
        order: picks, counted row by row, in the order of their experts.
        counts: picks of each expert.
    """

    experts: NDArray[np.intp]
    weights: Array
    order: NDArray[np.intp]
    counts: NDArray[np.intp]

    def gathered(self, x: Array) -> Array:
        """Rows of [tokens, width] by expert: [tokens x active, width]."""
        made: Array = x[self.order // self.experts.shape[1]]
        return made

    def combined(self, rows: Array, lanes: Lanes) -> Array:
        """The weighted sum of each token's rows, experts ascending."""
        tokens, active = self.experts.shape
        back = np.empty_like(rows)
        back[self.order] = rows
        each = back.reshape(tokens, active, -1).transpose(0, 2, 1)
        return lanes.dot(each, np.broadcast_to(self.weights[:, None, :], each.shape))


def choose(logits: Array, active: int, lanes: Lanes, *, renormalize: bool) -> Choice:
    """Softmax over the experts, the largest of it per token, the lower number first among equals.

    Args:
        logits: [tokens, experts].
        active: experts per token.
        lanes: of the softmax.
        renormalize: the chosen weights are divided by their sum.
    """
    share = lanes.softmax(logits, np.ones(logits.shape, dtype=bool))
    best = np.argsort(-share, axis=1, kind="stable")[:, :active]
    chosen = np.sort(best, axis=1)
    weights = np.take_along_axis(share, chosen, axis=1)
    if renormalize:
        weights = lanes.divide(weights, lanes.sum(weights)[:, None])
    order = np.argsort(chosen.reshape(-1), kind="stable")
    return Choice(chosen, weights, order, np.bincount(chosen.reshape(-1), minlength=logits.shape[1]))
