"""Which points no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


def pareto(
    frame: pd.DataFrame, objectives: Mapping[str, str], by: str | Sequence[str] | None = None
) -> pd.Series[bool]:
    """Whether a row is on the Pareto front: no other is as good in all objectives and better in one.

    Rows that are not ok, and those with NaN in an objective, are on no front. Of equal rows all are, or none.

    Args:
        frame: rows of a sweep, or any frame with the columns.
        objectives: column -> "min" or "max".
        by: column or columns; a front of its own for each of their values.

    Raises:
        RequestError: no objective, or a direction that is neither.
        UnknownNameError: no such column.
    """
    import pandas as pd

    if not objectives:
        raise RequestError('pareto needs objectives, such as {"energy_per_token_j": "min"}')
    groups = [] if by is None else [by] if isinstance(by, str) else list(by)
    for name in (*objectives, *groups):
        if name not in frame.columns:
            raise UnknownNameError("column", name, map(str, frame.columns))
    for name, direction in objectives.items():
        if direction not in ("min", "max"):
            raise RequestError(f'objective {name}: {direction!r} is neither "min" nor "max"')
    costs = np.column_stack(
        [frame[name].to_numpy(dtype=float) * (1 if way == "min" else -1) for name, way in objectives.items()]
    )
    counted = ~np.isnan(costs).any(axis=1)
    if "status" in frame.columns:
        counted &= (frame["status"] == "ok").to_numpy()
    found = np.zeros(len(frame), dtype=bool)
    for rows in _groups(frame, groups):
        mine = rows[counted[rows]]
        found[mine] = front(costs[mine])
    return pd.Series(found, index=frame.index, name="pareto", dtype=bool)


def _groups(frame: pd.DataFrame, by: list[str]) -> list[npt.NDArray[np.intp]]:
    if not by:
        return [np.arange(len(frame))]
    numbers: Any = frame.groupby(by, observed=True, dropna=False, sort=False).ngroup().to_numpy()
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def front(costs: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of costs [n, objectives], all to be least, no other row dominates; equal rows stand together."""
    kept = np.zeros(len(costs), dtype=bool)
    if not len(costs):
        return kept
    unique, inverse = np.unique(costs, axis=0, return_inverse=True)  # in rising order of the first objective
    best: list[int] = []
    archive = np.empty_like(unique)
    for place, row in enumerate(unique):
        if not np.any(np.all(archive[: len(best)] <= row, axis=1)):
            archive[len(best)] = row
            best.append(place)
    chosen = np.zeros(len(unique), dtype=bool)
    chosen[best] = True
    return chosen[inverse.reshape(-1)]
