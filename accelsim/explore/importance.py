"""Which axis a figure hangs on, from rows that are there: permutation importance of a surrogate.

The surrogate is a ridge regression on the axes, their squares and their products (positive numbers as logarithms, names
one by one), of the output's logarithm where it is positive. Its cross-validated R^2 is part of the answer: one that
does not describe the rows says nothing about them, and is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.explore.sensitivity import check

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

LEAST_R2: Final = 0.5
FOLDS: Final = 5
_REPEATS: Final = 5
_RIDGE: Final = 1e-6
_LEAST_ROWS: Final = 20


def importance(frame: pd.DataFrame, output: str, axes: list[str] | None = None, seed: int = 0) -> pd.DataFrame:
    """By how much R^2 on held-out rows falls when the values of an axis are shuffled.

    Args:
        frame: of a sweep; rows that are not ok, or have no output, are left out.
        output: a column of numbers.
        axes: columns; those of the sweep by default.
        seed: of folds and shuffling.

    Returns:
        A row per axis, the most important first: axis, importance. `attrs` has r2, which is the surrogate's,
        cross-validated over `FOLDS` folds, and rows.

    Raises:
        UnknownNameError: no such column.
        RequestError: too few rows, or a surrogate whose R^2 is below `LEAST_R2`.
    """
    import pandas as pd

    check(frame, output)
    names = [name for name in axes or frame.attrs["axes"] if frame[name].nunique() > 1]
    rows = frame[(frame["status"] == "ok") & frame[output].notna()] if "status" in frame else frame
    rows = rows.dropna(subset=names)
    if len(rows) < _LEAST_ROWS or not names:
        raise RequestError(f"{len(rows)} rows with {output} and {len(names)} axes: at least {_LEAST_ROWS} and one")
    target = rows[output].to_numpy(dtype=float)
    target = np.log(target) if (target > 0).all() else target
    parts = [_encoded(rows[name]) for name in names]
    random = np.random.default_rng(seed)
    folds = np.array_split(random.permutation(len(rows)), FOLDS)
    squares, fallen = 0.0, np.zeros(len(names))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(rows)), fold)
        weights = _fitted(_features([part[rest] for part in parts]), target[rest])
        held = [part[fold] for part in parts]
        base = _error(_features(held), weights, target[fold])
        squares += base
        for place in range(len(names)):
            for _ in range(_REPEATS):
                shuffled = [*held[:place], held[place][random.permutation(len(fold))], *held[place + 1 :]]
                fallen[place] += (_error(_features(shuffled), weights, target[fold]) - base) / _REPEATS
    total = float(((target - target.mean()) ** 2).sum())
    if total <= 0:
        raise RequestError(f"{output} is the same in all rows: nothing to explain")
    r2 = 1 - squares / total
    if not r2 >= LEAST_R2:
        raise RequestError(
            f"the surrogate explains R^2 = {r2:.2f} of {output} on held-out rows, less than {LEAST_R2}: its "
            "importances would mislead; use Sobol indices or a full grid"
        )
    made = pd.DataFrame({"axis": names, "importance": fallen / total}).sort_values(
        "importance", ascending=False, ignore_index=True
    )
    made.attrs = {"output": output, "r2": r2, "rows": len(rows)}
    return made


def _encoded(column: Any) -> Floats:
    """Numbers, centred, as one column; names as one per name, but the first. [rows, columns]."""
    if column.dtype.kind in "fiu":
        values = column.to_numpy(dtype=float)
        values = np.log(values) if (values > 0).all() else values
        spread = values.std() or 1.0
        scaled: Floats = ((values - values.mean()) / spread)[:, None]
        return scaled
    codes, found = column.astype(str).factorize()
    return np.asarray(codes[:, None] == np.arange(1, len(found))[None, :], dtype=float)


def _features(parts: list[Floats]) -> Floats:
    """1, the parts, their squares and the products of different ones."""
    made = [np.ones((len(parts[0]), 1)), *parts]
    for place, first in enumerate(parts):
        if first.shape[1] == 1:
            made.append(first**2)
        for second in parts[place + 1 :]:
            made.append((first[:, :, None] * second[:, None, :]).reshape(len(first), -1))
    return np.concatenate(made, axis=1)


def _fitted(features: Floats, target: Floats) -> Floats:
    square = features.T @ features
    return np.asarray(np.linalg.solve(square + _RIDGE * len(features) * np.eye(len(square)), features.T @ target))


def _error(features: Floats, weights: Floats, target: Floats) -> float:
    return float(((features @ weights - target) ** 2).sum())
