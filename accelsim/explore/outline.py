"""What a sweep comes to, before it is run: how many points, and about how long they take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from accelsim.explore.batches import METRICS
from accelsim.explore.source import Remaining
from accelsim.explore.store import Store
from accelsim.explore.version import model_version

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.explore.sweep import Sweep

_TIMED: Final = 3
_TIMED_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outline:
    """What a sweep comes to, before it is run.

    Attributes:
        points: points.
        excluded: further ones that constraints over inputs exclude.
        repeated: further ones that were there already.
        groups: sets of points that are resolved and priced together.
        columns: points that are priced in closed form, all of a group at once; the others one by one.
        known: points that the store has.
        each_s: time of one point that was timed here, mean; NaN if none was.
        total_s: estimate for all that are not known, on one core.
        first: the first points, a row each.
    """

    points: int
    excluded: int
    repeated: int
    groups: int
    columns: int
    known: int
    each_s: float
    total_s: float
    first: pd.DataFrame


def outline_of(sweep: Sweep, store: Path, rows: int) -> Outline:
    """What a sweep comes to, with a few points timed here and stored nowhere.

    Args:
        sweep: the sweep.
        store: file whose rows count as known; it may be absent.
        rows: points to show.
    """
    known = 0
    if store.exists():
        opened = Store(store, METRICS)
        known = len(opened.statuses(sweep.keys))
        opened.close()
    design = sweep.design
    each, total = _timed(sweep, 1 - known / design.count)
    return Outline(
        points=design.count,
        excluded=design.excluded,
        repeated=design.repeated,
        groups=len(sweep.groups),
        columns=sum(len(group.rows) for group in sweep.groups if group.vectorised),
        known=known,
        each_s=each,
        total_s=total,
        first=sweep.points(rows),
    )


def _timed(sweep: Sweep, share: float) -> tuple[float, float]:
    """Seconds of a point, and of a share of all points, from a few groups of each kind."""
    total, spent, timed = 0.0, 0.0, 0
    for vectorised in (True, False):
        groups = [group for group in sweep.groups if group.vectorised is vectorised]
        if not groups:
            continue
        count = sum(len(group.rows) for group in groups)
        chosen = [groups[place] for place in dict.fromkeys(np.linspace(0, len(groups) - 1, _TIMED).astype(int))]
        seconds, points = 0.0, 0
        for group in chosen:
            began = time.perf_counter()
            wanted = np.zeros(sweep.design.count, dtype=bool)
            wanted[group.rows if vectorised else group.rows[-1:]] = True
            batch = Remaining([group], sweep.keys, wanted.tolist(), model_version()).take(0.0)
            if batch is not None:
                points += sum(len(outcomes) for outcomes in batch.evaluate())
            seconds += time.perf_counter() - began
            if seconds > _TIMED_S:
                break
        spent, timed = spent + seconds, timed + points
        total += seconds / max(1, points) * count * share
    return (spent / timed if timed else float("nan")), total
