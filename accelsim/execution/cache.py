"""Keys and values of what came before, as they lie in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.plan import TensorPlan
from accelsim.execution.static import StaticScales
from accelsim.execution.stored import store

Array = NDArray[Any]
_Key = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Cached:
    """Keys or values of a layer.

    Attributes:
        stored: [batch, positions, heads, width], as they lie in memory.
        given: the same before they were rounded, where groups of tokens are rounded together; else None.
        group: tokens of such a group; 0 where every token is rounded when it is appended.
    """

    stored: Array
    given: Array | None = None
    group: int = 0

    def seen_from(self, position: int) -> Array:
        """What a query there finds: only groups that it completes, or that were complete before, are rounded."""
        if self.given is None:
            return self.stored
        full = (position + 1) // self.group * self.group
        return np.concatenate([self.stored[:, :full], self.given[:, full:]], axis=1)


class KvCache:
    """Grows by the new positions of every call; [batch, positions, heads, width] of each layer.

    Args:
        batch: sequences.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._held: dict[_Key, Array] = {}
        self._given: dict[_Key, Array] = {}
        self._length: dict[_Key, int] = {}
        self._group: dict[_Key, int] = {}

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
        key, where = (layer, name), f"layer {layer}, {name}"
        new = x.reshape(self._batch, -1, heads, x.shape[1] // heads)
        length = self._length.get(key, 0)
        self._length[key] = wanted = length + new.shape[1]
        if not plan.group:
            kept = (
                scales.store(new, plan.storage, ("cache", *key), where) if scales else store(new, plan.storage, where)
            )
            held = _grown(self._held, key, length, kept.values)
            return held[:, length:wanted].reshape(x.shape)
        self._group[key] = plan.group
        given, held = (_grown(arrays, key, length, new) for arrays in (self._given, self._held))
        done, full = (at - at % plan.group for at in (length, wanted))
        if full > done:
            group = given[:, done:full]
            turned = np.moveaxis(group, 1, -1) if plan.along_tokens else group
            made = store(np.ascontiguousarray(turned), plan.storage, where).values
            held[:, done:full] = np.moveaxis(made, -1, 1) if plan.along_tokens else made
        return held[:, length:wanted].reshape(x.shape)

    def read(self, layer: int, name: str) -> Cached:
        """All positions so far."""
        key = (layer, name)
        end, given = self._length[key], self._given.get(key)
        return Cached(self._held[key][:, :end], None if given is None else given[:, :end], self._group.get(key, 0))


def _grown(arrays: dict[_Key, Array], key: _Key, length: int, new: Array) -> Array:
    """The array with new positions behind `length` of them; it doubles when it is full."""
    held, wanted = arrays.get(key), length + new.shape[1]
    if held is None or held.shape[1] < wanted:
        room = wanted if held is None else max(wanted, 2 * held.shape[1])
        grown = np.zeros((new.shape[0], room, *new.shape[2:]), dtype=new.dtype)
        if held is not None:
            grown[:, :length] = held[:, :length]
        held = arrays[key] = grown
    held[:, length:wanted] = new
    return held
