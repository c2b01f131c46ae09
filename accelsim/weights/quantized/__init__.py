"""Checkpoints that are quantised already: their codes and scales become `Encoded`, bit by bit.

A layout is a file with `convert(checkpoint, settings)`: the entries that it replaces, adds or (None) takes away. What
a file stores is found by the names of its tensors; `settings` is the `quantization_config` of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.weights.checkpoint import Checkpoint
from accelsim.weights.quantized import gpt_oss, gptq, packed, scaled


def unpacked(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint whose quantised weights are one `Encoded` each, `[out, in]` with scales along `in`.

    Args:
        checkpoint: as stored.
        settings: the `quantization_config` of its configuration, empty if there is none.

    Raises:
        CheckpointError: parts of a weight that do not fit together, or a way of packing that is not read.
    """
    for layout in (gpt_oss, gptq, packed, scaled):
        checkpoint = checkpoint.with_entries(layout.convert(checkpoint, settings))
    return checkpoint
