"""Bits per byte of the shipped model by the plain formulas, in binary32."""

from __future__ import annotations

import json
import math

import numpy as np

from accelsim import catalog
from tests.execution.truth import plain

WINDOW = 256
ROOT = catalog.root()
CONFIG = json.loads((ROOT / "workloads/tiny/config.json").read_text())


def numbers(checkpoint):
    return {name: checkpoint.array(name) for name in checkpoint}


def bits(weights, text, windows, watch=lambda name, x: x, cached=lambda name, x: x):
    """Bits of each of the bytes behind the first `windows` windows that do not overlap, [windows, WINDOW]."""
    codes = np.frombuffer(text, np.uint8)
    made = []
    for first in range(0, windows * WINDOW, 16 * WINDOW):
        last = min(first + 16 * WINDOW, windows * WINDOW)
        given, following = (codes[at : at + last - first].reshape(-1, WINDOW) for at in (first, first + 1))
        logits = plain.forward(CONFIG, weights, given, watch, np.float32, cached)
        logits -= logits.max(-1, keepdims=True)
        chosen = np.take_along_axis(logits, following[..., None].astype(np.int64), -1)[..., 0]
        made.append((np.log(np.exp(logits).sum(-1)) - chosen) / math.log(2))
    return np.concatenate(made)
