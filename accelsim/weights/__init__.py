"""Weights: files of them, what their tensors are called, and made-up ones.

A `Checkpoint` is a read-only mapping from a Hugging Face tensor name to an array or, where the file is quantised, to
the `Encoded` of one of our formats; nothing is read before it is asked for.
"""

from __future__ import annotations

from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.fitting import of_model
from accelsim.weights.naming import Slot, expected
from accelsim.weights.opening import open_checkpoint
from accelsim.weights.outliers import with_outliers
from accelsim.weights.rescaling import rescaled
from accelsim.weights.synthetic import synthetic

__all__ = [
    "Checkpoint", "Entry", "Slot", "expected", "of_model", "open_checkpoint", "rescaled", "synthetic", "with_outliers",
]  # fmt: skip
