"""Keys and values of all layers, quantised once, when they are appended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.stored import store
from accelsim.spec.format import Format

Array = NDArray[Any]


class KvCache:
    """Grows by the new positions of every call; [batch, positions, heads, width] of each layer.

    Args:
        batch: sequences.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._held: dict[tuple[int, str], Array] = {}
        self._length: dict[tuple[int, str], int] = {}

    def append(self, layer: int, name: str, x: Array, heads: int, form: Format | None) -> Array:
        """Write new positions.

        Args:
            layer: of the model.
            name: "k_cache" or "v_cache".
            x: [batch x new positions, heads x width].
            heads: KV heads; blocks of a scaled format lie inside one.
            form: of the cache; None keeps the width of the lanes.

        Returns:
            What was stored, in x's shape.
        """
        new = x.reshape(self._batch, -1, heads, x.shape[1] // heads)
        made = store(new, form, f"layer {layer}, {name}").values
        key = (layer, name)
        held, length = self._held.get(key), self._length.get(key, 0)
        wanted = length + new.shape[1]
        if held is None or held.shape[1] < wanted:
            room = wanted if held is None else max(wanted, 2 * held.shape[1])
            grown = np.zeros((self._batch, room, heads, new.shape[3]), dtype=x.dtype)
            if held is not None:
                grown[:, :length] = held[:, :length]
            held = self._held[key] = grown
        held[:, length:wanted] = made
        self._length[key] = wanted
        return made.reshape(x.shape)

    def read(self, layer: int, name: str) -> Array:
        """All positions so far."""
        key = (layer, name)
        return self._held[key][:, : self._length[key]]
