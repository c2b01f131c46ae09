"""Columns that are known before any point runs: they follow from descriptions, or from executing formats once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.explore import costs, executed
from accelsim.explore.targets import Target, target

KNOWN: Final = (*costs.COSTS, *executed.ERRORS)
"""All of them; a sweep has those of a kind if it names one."""

ABSENT: Final = -1
"""Code of a point to which an axis does not apply."""

Columns = Iterable[tuple[Target, list[Any], npt.NDArray[np.int32]]]


def of(
    named: Iterable[str], columns: Columns, fixed: Mapping[str, Any], count: int
) -> dict[str, npt.NDArray[np.float64]]:
    """The columns that a sweep asks for, each choice that differs computed once.

    Args:
        named: columns that the sweep names.
        columns: of every axis: where its values go, the values, and the place of each point's value among them.
        fixed: what all points share, by key.
        count: number of points.
    """
    asked, varied = set(named), list(columns)
    shared = {target(key): value for key, value in fixed.items()}
    made: dict[str, npt.NDArray[np.float64]] = {}
    for names, counts, compute in (
        (costs.COSTS, costs.counts, costs.priced), (executed.ERRORS, executed.counts, executed.error),
    ):  # fmt: skip
        if not asked & set(names):
            continue
        mine = [column for column in varied if counts(column[0])]
        codes = np.stack([code for _, _, code in mine], axis=1) if mine else np.zeros((count, 1), dtype=np.int32)
        different, place = np.unique(codes, axis=0, return_inverse=True)
        rows = [compute(_chosen(shared, mine, choice)) for choice in different.tolist()]
        table = np.asarray(rows, dtype=float).reshape(len(rows), len(names))[place.reshape(-1)]
        made |= {name: table[:, number] for number, name in enumerate(names)}
    return made


def _chosen(shared: Mapping[Target, Any], varied: Columns, choice: list[int]) -> dict[Target, Any]:
    """What one design consists of."""
    chosen = dict(shared)
    for (to, values, _), code in zip(varied, choice, strict=False):
        if code != ABSENT:
            chosen[to] = values[code]
    return chosen
