"""Keys and values of all layers, quantised once, when they are appended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.stored import store
from accelsim.spec.format import Format

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Cached:
    """Keys or values of a layer.

    Attributes:
        stored: [batch, positions, heads, width], as they lie in memory.
        given: the same before they were rounded, where blocks lie along tokens; else None.
        block: tokens of such a block; 0 where every token is rounded when it is appended.
    """

    stored: Array
    given: Array | None = None
    block: int = 0

    def seen_from(self, position: int) -> Array:
        """What a query there finds: only blocks that it completes, or that were complete before, are rounded."""
        if self.given is None:
            return self.stored
        full = (position + 1) // self.block * self.block
        return np.concatenate([self.stored[:, :full], self.given[:, full:]], axis=1)


class KvCache:
    """Grows by the new positions of every call; [batch, positions, heads, width] of each layer.

    Args:
        batch: sequences.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._held: dict[tuple[int, str], Array] = {}
        self._given: dict[tuple[int, str], Array] = {}
        self._length: dict[tuple[int, str], int] = {}
        self._block: dict[tuple[int, str], int] = {}

    def append(
        self, layer: int, name: str, x: Array, heads: int, form: Format | None, *, along_tokens: bool = False
    ) -> Array:
        """Write new positions.

        Args:
            layer: of the model.
            name: "k_cache" or "v_cache".
            x: [batch x new positions, heads x width].
            heads: KV heads; blocks of a scaled format lie inside one.
            form: of the cache; None keeps the width of the lanes.
            along_tokens: blocks lie along tokens, and are rounded when they have all of these.

        Returns:
            What was stored, in x's shape.
        """
        key, where = (layer, name), f"layer {layer}, {name}"
        new = x.reshape(self._batch, -1, heads, x.shape[1] // heads)
        length = self._length.get(key, 0)
        wanted = length + new.shape[1]
        if along_tokens:
            assert form is not None
            block = self._block[key] = form.block
            _grown(self._given, key, length, new)
            held = _grown(self._held, key, length, new)
            done, full = length // block * block, wanted // block * block
            if full > done:
                turned = np.moveaxis(self._given[key][:, done:full], 1, -1)
                held[:, done:full] = np.moveaxis(store(turned, form, where).values, -1, 1)
        else:
            held = _grown(self._held, key, length, store(new, form, where).values)
        self._length[key] = wanted
        return held[:, length:wanted].reshape(x.shape)

    def read(self, layer: int, name: str) -> Cached:
        """All positions so far."""
        key = (layer, name)
        end = self._length[key]
        given = self._given.get(key)
        return Cached(self._held[key][:, :end], None if given is None else given[:, :end], self._block.get(key, 0))


def _grown(arrays: dict[tuple[int, str], Array], key: tuple[int, str], length: int, new: Array) -> Array:
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
