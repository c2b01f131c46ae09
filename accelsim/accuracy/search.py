"""A format for every operator under an error budget.

Errors are those of executions, never sums of estimates: estimates only decide what is executed next. The assignment
that is given back has the least energy of all that were executed and keep to the budget, uniform ones among them. So no
uniform assignment of at most its energy has less error: one within the budget would have been chosen in its place, and
one beyond the budget has more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError

Doubles = NDArray[np.float64]
Assignment = tuple[int, ...]
"""For each operator the number of its format."""

MOST: Final = 1_000_000
TRIALS: Final = 32
SLACK: Final = 1.5
"""Estimates up to so many times the budget are worth an execution."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a search found.

    Attributes:
        assignment: of least energy within the budget; of least error where none is within it.
        error: of its execution.
        energy: of it.
        fits: whether it keeps to the budget.
        executed: error of every assignment that was executed.
    """

    assignment: Assignment
    error: float
    energy: float
    fits: bool
    executed: dict[Assignment, float]


def checked_budget(budget: float) -> None:
    """Refuses what is no error budget.

    Raises:
        RequestError: no positive number.
    """
    if not budget > 0:
        raise RequestError(f"search = {budget!r}: a positive error budget is needed, in nats of divergence per token")


def search(
    operators: int, formats: int, budget: float, error: Callable[[Assignment], float],
    energy: Callable[[Assignment], float], trials: int = TRIALS,
) -> Chosen:  # fmt: skip
    """The cheapest assignment within a budget.

    Every uniform assignment is executed, then the best of them with one operator changed, which gives estimates for
    all: the sums of changes. Those whose estimate is within `SLACK` budgets are executed by rising energy until one
    keeps to the budget.

    Args:
        operators: how many.
        formats: how many.
        budget: largest error allowed.
        error: of executing an assignment.
        energy: of an assignment.
        trials: executions at most in the last step.

    Raises:
        RequestError: more assignments than can be listed, or a budget that is no positive number.
    """
    checked_budget(budget)
    if formats**operators > MOST:
        raise RequestError(
            f"search: {formats} formats for {operators} operators are {formats**operators:,} assignments; name fewer "
            f"formats ({MOST:,} assignments at most)"
        )
    executed: dict[Assignment, float] = {}
    costs: dict[Assignment, float] = {}

    def run(each: Assignment) -> float:
        if each not in executed:
            executed[each], costs[each] = error(each), energy(each)
        return executed[each]

    uniform = [(form,) * operators for form in range(formats)]
    base = min(uniform, key=run)
    changed = [[(*base[:at], form, *base[at + 1 :]) for form in range(formats)] for at in range(operators)]
    more = np.array([[run(each) for each in row] for row in changed]) - executed[base]
    dearer = np.array([[costs[each] for each in row] for row in changed]) - costs[base]
    for each in _promising(more, dearer, SLACK * budget - executed[base])[:trials]:
        if run(each) <= budget:
            break
    within = [each for each, found in executed.items() if found <= budget]
    best = (
        min(within, key=lambda each: (costs[each], executed[each]))
        if within
        else min(executed, key=lambda each: (executed[each], costs[each]))
    )
    return Chosen(best, executed[best], costs[best], bool(within), executed)


def _promising(more: Doubles, dearer: Doubles, room: float) -> Sequence[Assignment]:
    """All assignments whose estimated added error is within room, by estimated energy."""
    operators, formats = more.shape
    listed = np.array(list(product(range(formats), repeat=operators)), dtype=np.int8)
    at = np.arange(operators)
    added, cost = more[at, listed].sum(axis=1), dearer[at, listed].sum(axis=1)
    kept = np.flatnonzero(added <= room)
    order = kept[np.lexsort((added[kept], cost[kept]))]
    return [tuple(int(form) for form in listed[i]) for i in order]
