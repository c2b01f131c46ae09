"""Keys and values of all layers, quantised once: when they are appended, or when a group of tokens is full."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.plan import KEYS, TensorPlan
from accelsim.execution.static import StaticScales
from accelsim.execution.stored import store

Array = NDArray[Any]
_Key = tuple[int, str]


class KvCache:
    """Grows by the new positions of every call; [batch, positions, heads, width] of each layer.

    Args:
        batch: sequences.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._held: dict[_Key, Array] = {}
        self._late: dict[_Key, Array] = {}
        self._length: dict[_Key, int] = {}

    def append(
        self, layer: int, name: str, x: Array, heads: int, plan: TensorPlan, scales: StaticScales | None = None
    ) -> Array:
        """Write new positions.

        Args:
            layer: of the model.
            name: "k_cache" or "v_cache".
            x: [batch x new positions, heads x width].
            heads: KV heads; blocks of a scaled format lie inside one.
            plan: of the cache; no storage format keeps the width of the lanes.
            scales: of whole tensors, where they are known beforehand.

        Returns:
            What was stored, in x's shape; of groups that are not full, x.
        """
        new = x.reshape(self._batch, -1, heads, x.shape[1] // heads)
        where = f"layer {layer}, {name}"
        key = (layer, name)
        length = self._length.get(key, 0)
        self._length[key] = wanted = length + new.shape[1]
        if not plan.groups:
            kept = (
                scales.store(new, plan.storage, ("cache", *key), where) if scales else store(new, plan.storage, where)
            )
            self._put(self._held, key, length, kept.values)
        else:
            self._put(self._late, key, length, new)
            self._put(self._held, key, length, new)
            first, last = (at - at % plan.groups for at in (length, wanted))
            for start in range(first, last, plan.groups):
                group = self._late[key][:, start : start + plan.groups]
                along = group.swapaxes(1, 3) if name == KEYS else group
                made = store(np.ascontiguousarray(along), plan.storage, where).values
                self._put(self._held, key, start, made.swapaxes(1, 3) if name == KEYS else made)
        return self._held[key][:, length:wanted].reshape(x.shape)

    def _put(self, arrays: dict[_Key, Array], key: _Key, at: int, x: Array) -> None:
        """Write positions from `at` on, with room for more."""
        held, wanted = arrays.get(key), at + x.shape[1]
        if held is None or held.shape[1] < wanted:
            room = wanted if held is None else max(wanted, 2 * held.shape[1])
            grown = np.zeros((self._batch, room, *x.shape[2:]), dtype=x.dtype)
            if held is not None:
                grown[:, : held.shape[1]] = held
            held = arrays[key] = grown
        held[:, at:wanted] = x

    def read(self, layer: int, name: str) -> Array:
        """All positions so far."""
        key = (layer, name)
        return self._held[key][:, : self._length[key]]

    def seen_by(self, layer: int, name: str, start: int, stop: int) -> Array:
        """What the queries of a group see: groups before `start` as stored, its own positions as they came."""
        key = (layer, name)
        return np.concatenate([self._held[key][:, :start], self._late[key][:, start:stop]], axis=1)
