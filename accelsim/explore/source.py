"""The points of a sweep that are still to be evaluated, cut into batches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.evaluate.points import CHUNK
from accelsim.explore.batches import Joined, Points, columns_of, shared_of
from accelsim.explore.driver import BATCH_S
from accelsim.explore.groups import Group

Indices = npt.NDArray[np.intp]

_MOST: Final = 64


class Remaining:
    """Batches of the points that have no row.

    Args:
        groups: groups of the sweep.
        keys: key of each point of the sweep, by its position.
        wanted: whether a point is to be evaluated, by its position.
        version: `model_version`.
        slots: workers; columns are cut so that all of them get some.
    """

    def __init__(
        self, groups: Sequence[Group], keys: Sequence[str], wanted: Sequence[bool], version: str, slots: int = 1
    ) -> None:
        self._groups, self._keys, self._version, self._slots = groups, keys, version, slots
        chosen = np.asarray(wanted, dtype=bool)
        self._left = [np.flatnonzero(chosen[group.rows]) for group in groups]
        for group, left in zip(groups, self._left, strict=True):
            if group.vectorised and left.size:  # equal numbers of steps together: none is priced in vain
                left[:] = left[np.argsort(group.sizes["generate"][left], kind="stable")]
        self._at = 0
        self._from = 0
        self._simulations = sum(
            left.size for group, left in zip(groups, self._left, strict=True) if not group.vectorised
        )
        self._shared: dict[Any, bytes] = {}

    def take(self, each_s: float) -> Points | Joined | None:
        """The next batch: a column of points, or as many simulations as take about `BATCH_S`.

        Towards the end fewer, so that no worker waits for the others' last batches.
        """
        if not self._more():
            return None
        if self._groups[self._at].vectorised:
            group, left = self._groups[self._at], self._left[self._at]
            return self._part(self._column(group, left))
        size = int(np.clip(min(BATCH_S / each_s, self._simulations / (2 * self._slots)), 1, _MOST)) if each_s > 0 else 1
        parts = []
        while size > 0 and self._more() and not self._groups[self._at].vectorised:
            parts.append(self._part(size))
            size -= len(parts[-1].keys)
            self._simulations -= len(parts[-1].keys)
        return parts[0] if len(parts) == 1 else Joined(tuple(parts))

    def elsewhere(self) -> None:
        """Turns what is left round by any number of points, so that two drivers meet again only at their ends."""
        if not self._more():
            return
        self._left[self._at] = self._left[self._at][self._from :]
        groups, left, self._from = list(self._groups[self._at :]), self._left[self._at :], 0
        if len(groups) == 1 and not groups[0].vectorised:
            left[0] = np.roll(left[0], random.randrange(left[0].size))
        ends = np.cumsum([part.size for part in left])
        turn = int(np.searchsorted(ends, random.randrange(int(ends[-1])), side="right"))
        self._groups = [*self._groups[: self._at], *groups[turn:], *groups[:turn]]
        self._left = [*self._left[: self._at], *left[turn:], *left[:turn]]

    def _more(self) -> bool:
        """Goes to the next group that has points left; whether there is one."""
        while self._at < len(self._groups) and self._from >= len(self._left[self._at]):
            self._at, self._from = self._at + 1, 0
        return self._at < len(self._groups)

    def _part(self, size: int) -> Points:
        """The next points of the group."""
        group = self._groups[self._at]
        part = self._left[self._at][self._from : self._from + size]
        self._from += size
        keys = tuple(self._keys[row] for row in group.rows[part])
        columns = columns_of(group, part.tolist())
        return Points(self._pickled(group), self._version, keys, columns, group.request, group.vectorised)

    def _pickled(self, group: Group) -> bytes:
        """What the group shares with others, pickled once."""
        key = (group.chip_digest, group.chip.name, group.model, *group.formats.values(), group.vectorised)
        if key not in self._shared:
            self._shared[key] = shared_of(group)
        return self._shared[key]

    def _column(self, group: Group, left: Indices) -> int:
        """Points that are priced at once: no more than stay in the cache with all their decode steps."""
        steps = int(group.sizes["generate"][left[self._from : self._from + CHUNK]].max())
        each = -(-len(left) // self._slots)
        return max(1, min(CHUNK, each, CHUNK * 8 // max(1, steps)))
