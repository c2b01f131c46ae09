"""An interpolated 3-gram model of bytes: Witten-Bell, from three bytes down to the uniform distribution.

P(c | h) = (count(h c) + kinds(h) P(c | h without its first byte)) / (count(h) + kinds(h)), with kinds(h) the number of
different bytes that follow h in the training text (Witten and Bell, The Zero-Frequency Problem, IEEE Transactions on
Information Theory 37(4), 1991). It has nothing to tune.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bits(training: bytes, text: bytes) -> NDArray[np.float64]:
    """Bits of every byte of a text but the first two, each seen with the two before it."""
    train, test = (np.frombuffer(part, np.uint8).astype(np.int64) for part in (training, text))
    probability = np.full(test.size - 2, 1 / 256)
    for order in range(3):
        history, following = _histories(train, order)
        counts = np.zeros(256**order * 256, np.int32)
        np.add.at(counts, history * 256 + following, 1)
        table = counts.reshape(-1, 256)
        total, kinds = table.sum(1), (table > 0).sum(1)
        seen, byte = (part[2 - order :] for part in _histories(test, order))
        known = total[seen] > 0
        share = (table[seen, byte] + kinds[seen] * probability) / np.maximum(total[seen] + kinds[seen], 1)
        probability = np.where(known, share, probability)
    return -np.log2(probability)


def _histories(text: NDArray[np.int64], order: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of the `order` bytes before each byte that has so many, and that byte."""
    history = np.zeros(text.size - order, np.int64)
    for back in range(order):
        history = history * 256 + text[back : back + history.size]
    return history, text[order:]
