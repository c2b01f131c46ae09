"""The part of the space of objectives that a set of points dominates, up to a reference point; exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.explore.pareto import front

Floats = npt.NDArray[np.float64]


def hypervolume(costs: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Area or volume dominated by points and bounded by a reference, all objectives to be least.

    Args:
        costs: [n, 2] or [n, 3]; points that are not better than the reference in all objectives add nothing.
        reference: [2] or [3].

    Raises:
        RequestError: another number of objectives.
    """
    points, limit = np.atleast_2d(np.asarray(costs, dtype=float)), np.asarray(reference, dtype=float)
    if limit.shape not in ((2,), (3,)) or (points.size and points.shape[1] != len(limit)):
        raise RequestError(
            f"hypervolume: points of shape {points.shape} and a reference of {limit.shape}: two or three"
        )
    if not points.size:
        return 0.0
    points = points[np.all(points < limit, axis=1)]
    points = np.unique(points[front(points)], axis=0)
    if not len(points):
        return 0.0
    return _area(points, limit) if len(limit) == 2 else _volume(points, limit)


def _area(points: Floats, limit: Floats) -> float:
    """Stairs: points of a front rise in one objective as they fall in the other."""
    order = np.argsort(points[:, 0], kind="stable")
    x, y = points[order, 0], np.minimum.accumulate(points[order, 1])
    widths = np.append(x[1:], limit[0]) - x
    return float(np.sum(widths * (limit[1] - y)))


def _volume(points: Floats, limit: Floats) -> float:
    """Slices along the third objective, each with the area of all points below it."""
    levels = np.unique(points[:, 2])
    heights = np.append(levels[1:], limit[2]) - levels
    total = 0.0
    for level, height in zip(levels, heights, strict=True):
        total += float(height) * _area(points[points[:, 2] <= level][:, :2], limit[:2])
    return total
