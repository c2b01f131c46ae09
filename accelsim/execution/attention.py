"""Attention over the cache: written out, or fused with an online softmax over tiles of keys.

Tiles start at absolute position 0, so that a query meets the same tiles in prefill and in decode; keys that a query
does not see take no part, and a tile of which it sees nothing is skipped for it. Kernels that split keys begin a
softmax in every part and join them by their maxima and sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.execution.cache import Cached
from accelsim.execution.integers import adds_integers
from accelsim.execution.lanes import Lanes
from accelsim.execution.matrix import multiply, prepare, weighted
from accelsim.execution.plan import Keys, Unit
from accelsim.execution.stored import Stored, store
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.numerics.accumulator import Rounded

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

    def ranges(self, how: Sequence[Keys], group: int = 0) -> Iterator[tuple[slice, Keys]]:
        """New positions that meet the keys in the same way, and that see the same groups of tokens complete."""
        count = self.query.shape[1]
        ends = [*(each.first - self.past for each in how[1:]), count]
        start = 0
        for each, end in zip(how, ends, strict=True):
            while start < min(end, count):
                stop = min(end, count)
                if group:
                    stop = min(stop, start + group - (self.past + start + 1) % group)
                yield slice(start, stop), each
                start = stop

    def groups(self, *cached: Array, new: slice) -> Iterator[tuple[int, slice, Array, tuple[Array, ...]]]:
        """For each sequence and KV head: sequence, query heads, [queries x group, width], and [keys, width] each."""
        batch, _, heads, width = self.query.shape
        group = heads // cached[0].shape[2]
        for b in range(batch):
            for h in range(cached[0].shape[2]):
                part = slice(h * group, (h + 1) * group)
                yield b, part, self.query[b, new, part].reshape(-1, width), tuple(x[b, :, h] for x in cached)


def padded(unit: Unit, p: Array, v: Array) -> tuple[Array, Array]:
    """Zeros behind the keys of [..., keys] and [keys, ...] up to the width of an adder tree, whose inputs they fill.

    Else a last term without a neighbour would be rounded at another place than the same term before a masked one.
    """
    how = unit.accumulator
    if not isinstance(how, Rounded) or how.order == "sequential" or how.width < 2:
        return p, v
    missing = -len(v) % how.width
    return np.pad(p, ((0, 0), (0, missing))), np.pad(v, ((0, missing), (0, 0)))


def scale_of(width: int, lanes: Lanes) -> Any:
    """1 / sqrt(width) at the width of the lanes."""
    return lanes.number(1.0 / float(np.sqrt(float(width))))


def scores(heads: Heads, keys: Cached, how: Sequence[Keys], lanes: Lanes) -> Array:
    """Q K^T / sqrt(width), [batch, heads, new positions, keys]; 0 where nothing is seen."""
    batch, _, count, width = heads.query.shape
    seen = heads.seen(keys.stored.shape[1])
    made = np.zeros((batch, count, *seen.shape), dtype=lanes.dtype)
    scale = scale_of(width, lanes)
    for new, each in heads.ranges(how, keys.group):
        for b, part, q, (k,) in heads.groups(keys.seen_from(heads.past + new.start), new=new):
            found = multiply(
                prepare(Stored(q), each.unit, -1), prepare(Stored(k.T), each.unit, -2), each.unit, sums=each.sums
            )
            found = lanes.multiply(lanes.round(found), scale).reshape(new.stop - new.start, -1, len(k))
            made[b, part, new] = np.where(seen[None, new], found.transpose(1, 0, 2), 0)
    return made


def contexts(heads: Heads, weights: Array, values: Cached, how: Sequence[Keys], lanes: Lanes) -> Array:
    """P V for [batch, heads, new positions, keys], as [batch, new positions, heads, width]."""
    batch, count, queries, keys = weights.shape
    made = np.empty((batch, queries, count, values.stored.shape[3]), dtype=lanes.dtype)
    seen = heads.seen(keys)
    for new, each in heads.ranges(how, values.group):
        for b, part, _, (v,) in heads.groups(values.seen_from(heads.past + new.start), new=new):
            p = weights[b, part, new].transpose(1, 0, 2).reshape(-1, keys)
            rows = np.repeat(np.argmax(seen[new], axis=1), part.stop - part.start)
            found = _weighed(p, v, each.unit, each.sums, rows)
            made[b, new, part] = lanes.round(found).reshape(new.stop - new.start, -1, v.shape[1])
    return made


def _weighed(p: Array, v: Array, unit: Unit, sums: Sums, first: NDArray[np.intp]) -> Array:
    """P V in fp32; parts and groups of keys begin at the first key that each row of P sees."""
    if sums == WHOLE:
        return multiply(*weighted(*padded(unit, p, v), unit), unit)
    made = np.empty((len(p), v.shape[1]), dtype=np.float32)
    for at in np.unique(first):
        rows = first == at
        made[rows] = multiply(*weighted(*padded(unit, p[rows, at:], v[at:]), unit), unit, sums=sums)
    return made


def fused(heads: Heads, keys: Cached, values: Cached, how: Sequence[Keys], lanes: Lanes) -> Array:
    """Attention without its scores in memory, [batch, new positions, heads, width].

    Args:
        heads: queries.
        keys: [batch, keys, KV heads, width], as they are cached.
        values: likewise.
        how: units, parts and tiles, by position of the queries.
        lanes: of softmax.
    """
    batch, queries, count, width = heads.query.shape
    seen = heads.seen(keys.stored.shape[1])
    made = np.empty((batch, queries, count, values.stored.shape[3]), dtype=lanes.dtype)
    scale = scale_of(width, lanes)
    for new, each in heads.ranges(how, keys.group or values.group):
        cached = (x.seen_from(heads.past + new.start) for x in (keys, values))
        for b, part, q, (k, v) in heads.groups(*cached, new=new):
            rows = np.repeat(seen[new], part.stop - part.start, axis=0)
            found = _whole(q, (k, v), rows, scale, each, lanes)
            made[b, new, part] = found.reshape(new.stop - new.start, -1, v.shape[1])
    return made


@dataclass(frozen=True, eq=False)
class _Running:
    """An online softmax that has seen some keys: [rows] maxima and sums, [rows, width] of sums of values."""

    highest: Array
    total: Array
    made: Array

    def rows(self, chosen: NDArray[np.intp]) -> _Running:
        return _Running(self.highest[chosen], self.total[chosen], self.made[chosen])

    def put(self, chosen: NDArray[np.intp], found: _Running) -> None:
        self.highest[chosen], self.total[chosen], self.made[chosen] = found.highest, found.total, found.made

    @staticmethod
    def empty(rows: int, width: int, lanes: Lanes) -> _Running:
        return _Running(
            np.full(rows, -np.inf, dtype=lanes.dtype), np.zeros(rows, dtype=lanes.dtype),
            np.zeros((rows, width), dtype=lanes.dtype),
        )  # fmt: skip


def _whole(
    q: Array, cached: tuple[Array, Array], seen: NDArray[np.bool_], scale: Any, how: Keys, lanes: Lanes
) -> Array:
    """All parts of the keys, joined. Parts are whole tiles, counted from the tile of the first key that a row sees."""
    k, v = cached
    step = how.sums.tile or len(k)
    if how.sums.parts == 1:
        found = _online(q, (k, v), seen, scale, how, lanes, (0, len(k)))
        return lanes.divide(found.made, found.total[:, None])
    first = np.argmax(seen, axis=1) // step * step
    last = len(k) - np.argmax(seen[:, ::-1], axis=1)
    made = np.empty((len(q), v.shape[1]), dtype=lanes.dtype)
    ends = np.stack([first, -(-last // step) * step], axis=1)
    for start, end in np.unique(ends, axis=0):
        (rows,) = np.nonzero((ends == (start, end)).all(axis=1))
        joined = _Running.empty(len(rows), v.shape[1], lanes)
        for bounds in how.sums.bounds(min(int(end), len(k)), int(start)):
            joined = _joined(joined, _online(q[rows], (k, v), seen[rows], scale, how, lanes, bounds), lanes)
        made[rows] = lanes.divide(joined.made, joined.total[:, None])
    return made


def _joined(a: _Running, b: _Running, lanes: Lanes) -> _Running:
    """Two parts of the keys, each rescaled to the larger maximum."""
    if np.isinf(a.highest).all():
        return b
    highest = np.maximum(a.highest, b.highest)
    kept, more = (lanes.exp(lanes.subtract(x.highest, highest)) for x in (a, b))
    return _Running(
        highest,
        lanes.add(lanes.multiply(a.total, kept), lanes.multiply(b.total, more)),
        lanes.add(lanes.multiply(a.made, kept[:, None]), lanes.multiply(b.made, more[:, None])),
    )


def _online(
    q: Array, cached: tuple[Array, Array], seen: NDArray[np.bool_], scale: Any, how: Keys, lanes: Lanes,
    bounds: tuple[int, int],
) -> _Running:  # fmt: skip
    """Online softmax (Milakov and Gimelshein, 2018) over tiles of keys; one tile is the ordinary softmax."""
    (k, v), unit, after_unit = cached, how.unit, how.values_unit
    along = how.sums.products or (WHOLE, WHOLE)
    state = _Running.empty(len(q), v.shape[1], lanes)
    for at in range(bounds[0], bounds[1], how.sums.tile or len(k)):
        end = min(at + (how.sums.tile or len(k)), bounds[1])
        here = seen[:, at:end]
        rows = np.nonzero(here.any(axis=1))[0]
        if not len(rows):
            continue
        here, before = here[rows], state.rows(rows)
        s = multiply(prepare(Stored(q[rows]), unit, -1), prepare(Stored(k[at:end].T), unit, -2), unit, sums=along[0])
        s = lanes.multiply(lanes.round(s), scale)
        if not np.isfinite(s[here]).all():
            raise RequestError(f"attention: scores beyond the range of {lanes.width} or its accumulator")
        highest = np.maximum(before.highest, np.max(np.where(here, s, -np.inf), axis=1))
        p = np.zeros_like(s)
        p[here] = lanes.exp(lanes.subtract(s, highest[:, None])[here])
        kept = lanes.exp(lanes.subtract(before.highest, highest))
        total = lanes.add(lanes.multiply(before.total, kept), lanes.sum(p))
        if not adds_integers(after_unit):  # there it is rounded with the scales of V in it
            p = store(p, how.weights, "attention, P").values
        if how.sums.products:  # all keys are here
            found = _weighed(p, v, after_unit, along[1], np.argmax(here, axis=1))
        else:
            fresh = not np.isfinite(before.highest).any()
            start = None if fresh else lanes.multiply(before.made, kept[:, None])
            p, here_v = padded(after_unit, p, v[at:end])
            found = multiply(*weighted(p, here_v, after_unit), after_unit, start)
        state.put(rows, _Running(highest, total, lanes.round(found)))
    return state
