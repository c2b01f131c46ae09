"""Rounding of float32 by one comparison: for grids whose steps no table of upper halves can tell apart.

Numbers that share their upper bits form a run. With enough upper bits no run has more than one step of the rounding
in it, so that a run has a step and two results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Search = Callable[[Singles], NDArray[Any]]

_SHIFTS: Final = (20, 19, 18, 17, 16)
_INFINITY: Final = 0x7F800000
_SIGN: Final = 0x80000000


@dataclass(frozen=True, slots=True)
class Runs:
    """Steps and results of all runs.

    Attributes:
        shift: lower bits, which runs do not see.
        least: bits of the smallest magnitude beside zero for which this holds, 1 for all.
        steps: [runs] numbers from which on the upper result holds; a NaN has the lower one.
        sides: [2 runs] lower and upper result of each run.
    """

    shift: int
    least: int
    steps: Singles
    sides: NDArray[Any]


def runs(search: Search, steps: Singles) -> Runs | None:
    """The shortest tables that give what a search gives; None if runs of 16 upper bits still have several steps.

    Args:
        search: codes of numbers, specials included.
        steps: ascending numbers at which codes change, other than at zeros, infinities and NaN.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # some of the patterns are signalling NaNs
        return next((made for shift in _SHIFTS if (made := _made(search, steps, shift)) is not None), None)


def _made(search: Search, steps: Singles, shift: int) -> Runs | None:
    first = np.arange(1 << 32 - shift, dtype=np.uint32) << np.uint32(shift)
    last = first | np.uint32((1 << shift) - 1)
    minus = first >= _SIGN
    low, high = np.where(minus, last, first), np.where(minus, first, last)
    endless = (first & np.uint32(0x7FFFFFFF)) == _INFINITY  # the run of an infinity goes on with NaNs
    low, high = np.where(endless, last, low), np.where(endless, first, high)
    lowest, highest = low.view(np.float32), high.view(np.float32)
    before = np.searchsorted(steps, lowest, side="right")
    stepped = (np.searchsorted(steps, highest, side="right") > before) & ~endless
    at = np.zeros(first.size, dtype=np.float32)  # of the runs of zeros, unless a step comes first
    at[stepped] = steps[before[stepped]]
    at[endless] = highest[endless]
    sides = np.stack([search(lowest), search(highest)], axis=1).reshape(-1)
    if _holds(made := Runs(shift, 1, at, sides), search, steps):
        return made
    # formats that reach below float32 have many steps there; then the runs of zeros stand for zeros alone
    at[[0, at.size // 2]] = 0.0
    zeros = search(np.array([0.0, -0.0], dtype=np.float32))
    sides[[0, 1]], sides[[at.size, at.size + 1]] = zeros[0], zeros[1]
    return made if _holds(made := Runs(shift, 1 << shift, at, sides), search, steps) else None


def _holds(made: Runs, search: Search, steps: Singles) -> bool:
    """Whether tables and search agree on both sides of all changes, and so everywhere between them."""
    changes = np.concatenate([steps, np.array([0.0, np.inf, -np.inf], dtype=np.float32)])
    first = np.arange(1 << 32 - made.shift, dtype=np.uint32) << np.uint32(made.shift)
    ends = np.concatenate([first, first | np.uint32((1 << made.shift) - 1)]).view(np.float32)
    infinity = np.float32(np.inf)
    zeros = np.array([-0.0, np.nan, -np.nan], dtype=np.float32)
    x = np.concatenate([changes, np.nextafter(changes, -infinity), np.nextafter(changes, infinity), ends, zeros])
    magnitude = x.view(np.uint32) & np.uint32(0x7FFFFFFF)
    x = x[(magnitude == 0) | (magnitude >= made.least)]
    run = x.view(np.uint32) >> np.uint32(made.shift)
    found = made.sides[2 * run.astype(np.int64) + (x >= made.steps[run])]
    return bool(np.array_equal(found, search(x)))
