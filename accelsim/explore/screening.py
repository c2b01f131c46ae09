"""A cheap figure chooses, a dear one confirms: search in closed form, then events, and where the two disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore.chosen import Choice
from accelsim.explore.frame import MEETS
from accelsim.explore.pareto import front
from accelsim.explore.search import Found, Trial, search
from accelsim.explore.sweep import Sweep

if TYPE_CHECKING:
    import pandas as pd

LEAST: Final = 3
"""Fewer points than these say nothing about two figures' agreement."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What a search in closed form came to, and what events say of its best designs.

    Attributes:
        found: the search.
        confirmed: positions of the designs that were simulated, the best first.
        frame: a row per confirmed design: axes; of every objective its figure in closed form (NAME_roofline) and by
            events (NAME_event); status; on_roofline_front and on_event_front, among the confirmed ones.
        agreement: objective -> what `screened` says; empty where fewer than `LEAST` designs can be compared.
        sweep: over the confirmed designs.
    """

    found: Found
    confirmed: list[int]
    frame: pd.DataFrame
    agreement: Mapping[str, Mapping[str, float]]
    sweep: Sweep

    @property
    def changed(self) -> int:
        """Confirmed designs that are on one of the two fronts alone."""
        return int((self.frame["on_roofline_front"] != self.frame["on_event_front"]).sum())


def screen(sweep: Sweep, *, confirm: int = 20, fresh: bool = False, **how: Any) -> Screening:
    """Searches in closed form and simulates the best designs event by event.

    Args:
        sweep: with a grid and objectives, and no axis of fidelities.
        confirm: designs to simulate: the front, then the front of the rest, and so on.
        fresh: start anew.
        how: of `search`.

    Raises:
        RequestError: as `search`; fidelity as an axis; no design that could be confirmed.
    """
    if "fidelity" in sweep.spec.axes:
        raise RequestError("screening decides about fidelity itself: take it out of the axes")
    if confirm < LEAST:
        raise RequestError(f"confirm = {confirm}: expected at least {LEAST} designs")
    found = search(_with(sweep, "roofline"), fresh=fresh, **how)
    good = list({trial.position: trial for trial in found.trials if trial.feasible}.values())
    if not good:
        raise RequestError("no trial meets the constraints: nothing to confirm; try more trials")
    chosen = best(good, confirm)
    choice = Choice(_with(sweep, "event"))
    points = [choice.point(trial.position) for trial in chosen]
    dear, keys = choice.sweep(points)
    assert dear is not None  # they have passed the same constraints over inputs
    running = {name: how[name] for name in ("workers", "cluster", "store", "timeout_s", "progress") if name in how}
    dear.run(**running)
    rows = dear.load(how.get("store")).set_index("key").reindex([keys[point] for point in points]).reset_index()
    frame, agreement = _compared(dear, chosen, rows)
    return Screening(found, [trial.position for trial in chosen], frame, agreement, dear)


def _with(sweep: Sweep, fidelity: str) -> Sweep:
    return Sweep.of(sweep.name, sweep.spec.model_copy(update={"fixed": {**sweep.spec.fixed, "fidelity": fidelity}}))


def best(trials: Sequence[Trial], count: int) -> list[Trial]:
    """So many trials, all feasible: the front, then the front of the rest, and so on; of the last, evenly along it."""
    left, chosen = list(trials), list[Trial]()
    while left and len(chosen) < count:
        kept = front(np.asarray([trial.costs for trial in left], dtype=float)).tolist()
        layer = sorted((trial for trial, on in zip(left, kept, strict=True) if on), key=_costs)
        left = [trial for trial, on in zip(left, kept, strict=True) if not on]
        room = count - len(chosen)
        if len(layer) > room:
            places = np.linspace(0, len(layer) - 1, room).round().astype(int)
            layer = [layer[place] for place in places.tolist()]
        chosen += layer
    return chosen


def _costs(trial: Trial) -> tuple[float, ...]:
    return (*(trial.costs or ()), trial.position)


def _compared(
    dear: Sweep, chosen: Sequence[Trial], rows: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """The confirmed designs with both figures, and how far the cheap ones stood for the dear ones."""
    objectives = dear.spec.objectives
    cheap = np.asarray([trial.costs for trial in chosen], dtype=float)
    signs = np.asarray([1.0 if way == "min" else -1.0 for way in objectives.values()])
    exact = rows[list(objectives)].to_numpy(dtype=float) * signs
    good = (rows["status"] == "ok").to_numpy() & ~np.isnan(exact).any(axis=1)
    allowed = good & rows[MEETS].to_numpy(dtype=bool) if MEETS in rows else good
    frame = rows[[column.name for column in dear.design.columns] + ["status", "reason"]].copy()
    for place, (name, sign) in enumerate(zip(objectives, signs.tolist(), strict=True)):
        frame[f"{name}_roofline"] = cheap[:, place] * sign
        frame[f"{name}_event"] = exact[:, place] * sign
    frame["on_roofline_front"] = front(cheap)
    confirmed = np.zeros(len(rows), dtype=bool)
    confirmed[allowed] = front(exact[allowed])
    frame["on_event_front"] = confirmed
    numbers = np.flatnonzero(good).tolist()
    agreement = {}
    for place, name in enumerate(objectives):
        if len(numbers) >= LEAST:
            by_roofline = {number: float(cheap[number, place]) for number in numbers}
            agreement[name] = screened(by_roofline, {number: float(exact[number, place]) for number in numbers})
    return frame, agreement


def screened(roofline: Mapping[int, float], event: Mapping[int, float]) -> dict[str, float]:
    """How far a cheap figure stood for a dear one, on the points that have both, least is best.

    Args:
        roofline: the figure by which points were chosen, by position.
        event: the one that confirmed some of them.

    Returns:
        points: how many have both; rank_correlation: Spearman's, NaN if a figure is the same at all of them; changed:
        pairs in other order, as a share of all; regret: how much worse the screen's first choice is than the best that
        was confirmed, as a share of the best.

    Raises:
        RequestError: fewer than three points with both.
    """
    both = [position for position in roofline if position in event]
    if len(both) < LEAST:
        raise RequestError(f"{len(both)} points have both figures: three at least say something")
    from scipy.stats import spearmanr

    cheap = np.asarray([roofline[position] for position in both])
    dear = np.asarray([event[position] for position in both])
    pairs = np.triu_indices(len(both), 1)
    turned = (cheap[pairs[0]] - cheap[pairs[1]]) * (dear[pairs[0]] - dear[pairs[1]]) < 0
    vary = np.ptp(cheap) > 0 and np.ptp(dear) > 0
    best_ = dear.min()
    return {
        "points": float(len(both)),
        "rank_correlation": float(spearmanr(cheap, dear).statistic) if vary else float("nan"),
        "changed": float(turned.mean()),
        "regret": float((dear[int(cheap.argmin())] - best_) / abs(best_)),
    }
