"""Attention over the cache: written out, or fused with an online softmax over tiles of keys.

Tiles start at absolute position 0, so that a query meets the same tiles in prefill and in decode; keys that a query
does not see take no part, and a tile of which it sees nothing is skipped for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.execution.integers import adds_integers
from accelsim.execution.lanes import Lanes
from accelsim.execution.matrix import multiply, prepare, weighted
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored, store
from accelsim.numerics.accumulator import Rounded
from accelsim.spec.format import Format

Array = NDArray[Any]


@dataclass(frozen=True)
class Heads:
    """Queries and the cache that they attend to.

    Attributes:
        query: [batch, new positions, heads, width].
        past: positions before the new ones.
        causal: a query sees no later position.
        window: latest positions that a query sees, itself included; None sees all.
    """

    query: Array
    past: int
    causal: bool
    window: int | None

    def seen(self, keys: int) -> NDArray[np.bool_]:
        """[new positions, keys]: what each query sees."""
        at = self.past + np.arange(self.query.shape[1])[:, None]
        key = np.arange(keys)[None, :]
        made = key <= at if self.causal else np.ones((len(at), keys), dtype=bool)
        return made if self.window is None else made & (key > at - self.window)

    def groups(self, *cached: Array) -> Iterator[tuple[int, slice, Array, tuple[Array, ...]]]:
        """For each sequence and KV head: sequence, query heads, [queries x group, width], and [keys, width] each."""
        batch, _, heads, width = self.query.shape
        group = heads // cached[0].shape[2]
        for b in range(batch):
            for h in range(cached[0].shape[2]):
                part = slice(h * group, (h + 1) * group)
                yield b, part, self.query[b, :, part].reshape(-1, width), tuple(x[b, :, h] for x in cached)

    def in_groups(self, length: int) -> Iterator[tuple[Heads, tuple[int, int]]]:
        """Queries of each group of tokens, with the positions before the group and up to its last query."""
        end = self.past + self.query.shape[1]
        for start in range(self.past - self.past % length, end, length):
            first, stop = max(start, self.past), min(start + length, end)
            query = self.query[:, first - self.past : stop - self.past]
            yield replace(self, query=query, past=first), (start, stop)


def padded(unit: Unit, *arrays: Array) -> tuple[Array, ...]:
    """Zeros behind the keys of [..., keys] and [keys, ...] up to the width of an adder tree, whose inputs they fill.

    Else a last term without a neighbour would be rounded at another place than the same term before a masked one.
    """
    how = unit.accumulator
    if not isinstance(how, Rounded) or how.order == "sequential" or how.width < 2:
        return arrays
    p, v = arrays
    missing = -len(v) % how.width
    return np.pad(p, ((0, 0), (0, missing))), np.pad(v, ((0, missing), (0, 0)))


def scale_of(width: int, lanes: Lanes) -> Any:
    """1 / sqrt(width) at the width of the lanes."""
    return lanes.number(1.0 / float(np.sqrt(float(width))))


def scores(heads: Heads, keys: Array, unit: Unit, lanes: Lanes) -> Array:
    """Q K^T / sqrt(width), [batch, heads, new positions, keys]; 0 where nothing is seen."""
    batch, queries, count, width = heads.query.shape
    seen = heads.seen(keys.shape[1])
    made = np.zeros((batch, count, queries, keys.shape[1]), dtype=lanes.dtype)
    scale = scale_of(width, lanes)
    for b, part, q, (k,) in heads.groups(keys):
        found = multiply(prepare(Stored(q), unit, -1), prepare(Stored(k.T), unit, -2), unit)
        found = lanes.multiply(lanes.round(found), scale).reshape(queries, -1, keys.shape[1])
        made[b, part] = np.where(seen[None], found.transpose(1, 0, 2), 0)
    return made


def contexts(heads: Heads, weights: Array, values: Array, unit: Unit, lanes: Lanes) -> Array:
    """P V for [batch, heads, new positions, keys], as [batch, new positions, heads, width]."""
    batch, count, queries, keys = weights.shape
    made = np.empty((batch, queries, count, values.shape[3]), dtype=lanes.dtype)
    for b, part, _, (v,) in heads.groups(values):
        p = weights[b, part].transpose(1, 0, 2).reshape(-1, keys)
        p, v = padded(unit, p, v)
        found = multiply(*weighted(p, v, unit), unit)
        made[b, :, part] = lanes.round(found).reshape(queries, -1, v.shape[1])
    return made


@dataclass(frozen=True)
class Fused:
    """How attention runs in one kernel.

    Attributes:
        unit: of both products.
        lanes: of softmax.
        tile: keys of a tile; None takes all at once.
        rounded: format of P before P V; None leaves it at the width of the lanes.
    """

    unit: Unit
    lanes: Lanes
    tile: int | None
    rounded: Format | None


def fused(heads: Heads, keys: Array, values: Array, how: Fused) -> Array:
    """Attention without its scores in memory, [batch, new positions, heads, width].

    Args:
        heads: queries.
        keys: [batch, keys, KV heads, width].
        values: likewise.
        how: its numbers.
    """
    lanes = how.lanes
    batch, queries, count, width = heads.query.shape
    seen = heads.seen(keys.shape[1])
    made = np.empty((batch, queries, count, values.shape[3]), dtype=lanes.dtype)
    scale = scale_of(width, lanes)
    for b, part, q, (k, v) in heads.groups(keys, values):
        rows = np.repeat(seen, part.stop - part.start, axis=0)
        found = _online(q, (k, v), rows, scale, how)
        made[b, :, part] = found.reshape(queries, -1, v.shape[1])
    return made


def _online(q: Array, cached: tuple[Array, Array], seen: NDArray[np.bool_], scale: Any, how: Fused) -> Array:
    """Online softmax (Milakov and Gimelshein, 2018) over tiles of keys; one tile is the ordinary softmax."""
    (k, v), unit, lanes = cached, how.unit, how.lanes
    step = how.tile or len(k)
    highest = np.full(len(q), -np.inf, dtype=lanes.dtype)
    total = np.zeros(len(q), dtype=lanes.dtype)
    made = np.zeros((len(q), v.shape[1]), dtype=lanes.dtype)
    for at in range(0, len(k), step):
        here = seen[:, at : at + step]
        rows = np.nonzero(here.any(axis=1))[0]
        if not len(rows):
            continue
        here = here[rows]
        s = multiply(prepare(Stored(q[rows]), unit, -1), prepare(Stored(k[at : at + step].T), unit, -2), unit)
        s = lanes.multiply(lanes.round(s), scale)
        if not np.isfinite(s[here]).all():
            raise RequestError(f"attention: scores beyond the range of {lanes.width} or its accumulator")
        before = highest[rows]
        after = np.maximum(before, np.max(np.where(here, s, -np.inf), axis=1))
        p = np.zeros_like(s)
        p[here] = lanes.exp(lanes.subtract(s, after[:, None])[here])
        kept = lanes.exp(lanes.subtract(before, after))
        total[rows] = lanes.add(lanes.multiply(total[rows], kept), lanes.sum(p))
        highest[rows] = after
        if not adds_integers(unit):  # there it is rounded with the scales of V in it
            p = store(p, how.rounded, "attention, P").values
        start = None if not at or not np.isfinite(before).any() else lanes.multiply(made[rows], kept[:, None])
        p, here_v = padded(unit, p, v[at : at + step])
        found = multiply(*weighted(p, here_v, unit), unit, start)
        made[rows] = lanes.round(found)
    return lanes.divide(made, total[:, None])
