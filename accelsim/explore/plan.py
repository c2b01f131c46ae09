"""Which points of a sweep its store has already, and the plan that it keeps of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accelsim.explore.axis_units import units_of
from accelsim.explore.content import digest
from accelsim.explore.design import scalars
from accelsim.explore.outcome import FINAL

if TYPE_CHECKING:
    from accelsim.explore.store import Store
    from accelsim.explore.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        wanted: whether a point is to be evaluated, by its position.
        retried: keys that are, although the store has a row of theirs.
        total: points, each key once.
        known: of them, those that are not to be evaluated.
    """

    wanted: list[bool]
    retried: frozenset[str]
    total: int
    known: int


def planned(sweep: Sweep, store: Store, *, retry_failed: bool = False, accept_version: bool = False) -> Plan:
    """What is to be done for a sweep; its store keeps which points there are, so that it can be loaded at any time.

    Args:
        sweep: the sweep.
        store: its store.
        retry_failed: evaluate points again that failed, crashed or took too long.
        accept_version: take rows that other code has computed.

    Raises:
        StoreError: no room, or the file cannot be written.
    """
    keys = sweep.keys
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    statuses = store.statuses(list(first))
    used = dict(zip(first, first, strict=True))
    if accept_version:
        missing = {sweep.designs[place]: key for key, place in first.items() if key not in statuses}
        for design, other in store.elsewhere(list(missing)).items():
            used[missing[design]] = other
    retried = frozenset(key for key, status in statuses.items() if status not in FINAL) if retry_failed else frozenset()
    wanted = [False] * len(keys)
    known = 0
    for key, place in first.items():
        wanted[place] = key in retried or (key not in statuses and used[key] == key)
        known += not wanted[place]
    cells = [_json_ready(column.cells().tolist()) for column in sweep.design.columns]
    cells += [values.tolist() for values in sweep.design.costs.values()]
    rows = ([column[place] for column in cells] for place in first.values())
    store.plan(list(first), list(used.values()), rows, _about(sweep))
    return Plan(wanted, retried, len(first), known)


def plan_digest(sweep: Sweep) -> str:
    """What tells whether a store's plan is that of a sweep: its points, and what is asked of them."""
    design = sweep.design
    asked = {"derived": dict(sweep.spec.derived), "outputs": dict(design.outputs)}
    return digest({"keys": sweep.keys, "costs": {k: v.tolist() for k, v in design.costs.items()}, **asked})


def _about(sweep: Sweep) -> dict[str, Any]:
    spec = sweep.spec
    return {
        "name": sweep.name,
        "axes": [column.name for column in sweep.design.columns],
        "costs": list(sweep.design.costs),
        "fixed": scalars(spec.fixed),
        "derived": dict(spec.derived),
        "outputs": dict(sweep.design.outputs),
        "objectives": dict(spec.objectives),
        "axis_units": units_of(spec),
        "plan": plan_digest(sweep),
    }


def _json_ready(values: list[Any]) -> list[Any]:
    return [value if isinstance(value, str | int | float | bool) or value is None else str(value) for value in values]
