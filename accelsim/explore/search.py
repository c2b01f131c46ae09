"""Search where a space is too large to enumerate: Optuna asks, the sweep's machinery answers.

Trials are asked for in batches and told in their order, so that seed and batch size fix them, whatever evaluates them.
What the store has is taken from there; it also warms the sampler up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError, did_you_mean
from accelsim.explore import expression
from accelsim.explore.batches import METRICS
from accelsim.explore.design import Column
from accelsim.explore.driver import Driver, Progress
from accelsim.explore.executor import Executor
from accelsim.explore.source import Remaining
from accelsim.explore.store import Store
from accelsim.explore.version import model_version

if TYPE_CHECKING:
    from accelsim.explore.sweep import Sweep

SAMPLERS: Final = ("nsga2", "nsga3", "tpe", "random")
POPULATION: Final = 50
"""Of the genetic samplers; as large as their batches, so that a generation is told before the next is asked for."""

_STARTUP: Final = 50


@dataclass(frozen=True, slots=True)
class Trial:
    """One design that a sampler asked for.

    Attributes:
        position: of the design in the sweep; -1 if constraints over inputs exclude it.
        costs: objectives, the most ones negated; None unless the point is ok.
        feasible: it is ok and meets all constraints.
    """

    position: int
    costs: tuple[float, ...] | None
    feasible: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        trials: in the order in which they were asked for.
        evaluated: points that were computed now.
        distinct: designs among the trials.
        front: positions of the designs that no other trial dominates.
    """

    trials: list[Trial]
    evaluated: int
    distinct: int
    front: list[int]


def search(
    sweep: Sweep,
    *,
    trials: int,
    sampler: str = "nsga2",
    seed: int = 0,
    batch: int | None = None,
    warm: Sequence[int] = (),
    workers: int | None = 1,
    cluster: str | None = None,
    store: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Found:
    """The best designs of a sweep's grid for its objectives, by so many trials.

    Args:
        sweep: with a grid and one to three objectives among the metrics and derived columns.
        trials: designs to ask for.
        sampler: "nsga2", "nsga3", "tpe", or "random" to compare with.
        seed: of the sampler.
        batch: trials that are asked for before any is told; 50 for genetic samplers, else 10.
        warm: positions of designs with which the trials begin, such as good ones that the store has.
        workers: as in `Sweep.run`.
        cluster: likewise.
        store: likewise.
        progress: likewise.

    Raises:
        RequestError: no Optuna, no objective, or a number that is not allowed.
    """
    objectives = sweep.spec.objectives
    if sampler not in SAMPLERS:
        raise RequestError(f"sampler = {sampler!r}: allowed are {', '.join(SAMPLERS)}{did_you_mean(sampler, SAMPLERS)}")
    if not objectives:
        raise RequestError(f"sweep {sweep.name} has no objectives: add [objectives] with a metric and min or max")
    if sweep.spec.sampling.method != "grid":
        raise RequestError("a search goes through a grid: leave [sampling] away")
    if trials < 1 or (batch is not None and batch < 1):
        raise RequestError(f"trials = {trials}, batch = {batch}: expected at least 1")
    optuna = _optuna()
    study = optuna.create_study(directions=["minimize"] * len(objectives), sampler=_sampler(optuna, sampler, seed))
    place = _Place(sweep, store, workers, cluster, progress)
    try:
        for position in warm:
            study.enqueue_trial(place.parameters(position))
        size = batch or (POPULATION if sampler.startswith("nsga") else 10)
        done: list[Trial] = []
        while len(done) < trials:
            asked = [study.ask() for _ in range(min(size, trials - len(done)))]
            positions = [place.position(trial) for trial in asked]
            answers = place.answers(positions)
            for trial, answer in zip(asked, answers, strict=True):
                trial.set_user_attr("violation", 0.0 if answer.feasible else 1.0)
                costs = answer.costs or place.worst
                study.tell(trial, list(costs))
                place.seen(costs)
            done += answers
        return place.found(done)
    finally:
        place.close()


def _optuna() -> Any:
    try:
        optuna = import_module("optuna")
    except ImportError:
        raise RequestError('search needs Optuna: pip install "accelsim[dse]"') from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(optuna: Any, name: str, seed: int) -> Any:
    import warnings

    def violated(trial: Any) -> tuple[float]:
        return (trial.user_attrs.get("violation", 0.0),)

    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constraints_func is marked experimental
        if name == "nsga2":
            return samplers.NSGAIISampler(population_size=POPULATION, seed=seed, constraints_func=violated)
        if name == "nsga3":
            return samplers.NSGAIIISampler(population_size=POPULATION, seed=seed, constraints_func=violated)
        if name == "tpe":
            return samplers.TPESampler(
                n_startup_trials=_STARTUP, multivariate=True, constant_liar=False, seed=seed, constraints_func=violated
            )
        return samplers.RandomSampler(seed=seed)


class _Place:
    """The grid of a sweep as a space of choices, and what evaluates its points."""

    def __init__(
        self,
        sweep: Sweep,
        store: str | Path | None,
        workers: int | None,
        cluster: str | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._sweep, self._report = sweep, progress
        self._columns = [column for column in sweep.design.columns if len(column.values) > 1]
        codes = np.stack([column.codes for column in self._columns], axis=1)
        self._at = {tuple(row): position for position, row in enumerate(codes.tolist())}
        self._codes = codes
        self._keys = sweep.keys
        self._designs = dict(zip(self._keys, sweep.designs, strict=True))
        self._store = Store(store or sweep.store_path, METRICS)
        sweep.plan(self._store)
        self._executor: Executor = sweep.executor([True] * len(self._keys), workers, cluster, None)
        self._known: dict[int, Trial] = {}
        self.worst = (0.0,) * len(sweep.spec.objectives)
        self._evaluated = 0

    def position(self, trial: Any) -> int:
        """The design that a trial asks for."""
        choice = tuple(self._suggested(trial, column) for column in self._columns)
        return self._at.get(choice, -1)

    def _suggested(self, trial: Any, column: Column) -> int:
        if _ordered(column):
            return int(trial.suggest_int(column.name, 0, len(column.values) - 1))
        return int(trial.suggest_categorical(column.name, list(range(len(column.values)))))

    def parameters(self, position: int) -> dict[str, int]:
        """The choices of a design."""
        return {column.name: int(code) for column, code in zip(self._columns, self._codes[position], strict=True)}

    def seen(self, costs: Sequence[float]) -> None:
        """What a trial without a result is told to be: as bad as the worst."""
        self.worst = tuple(max(a, b) for a, b in zip(self.worst, costs, strict=True))

    def answers(self, positions: Sequence[int]) -> list[Trial]:
        """Trials of some designs, in their order; those that nobody has evaluated are."""
        new = [position for position in dict.fromkeys(positions) if position >= 0 and position not in self._known]
        keys = [self._keys[position] for position in new]
        missing = [key for key in keys if key not in self._store.statuses(keys)]
        if missing:
            wanted = np.zeros(len(self._keys), dtype=bool)
            index = {self._keys[position]: position for position in new}
            wanted[[index[key] for key in missing]] = True
            source = Remaining(self._sweep.groups, self._keys, wanted.tolist(), model_version(), self._executor.slots)
            state = Progress(len(missing), 0)
            driver = Driver(self._store, self._executor, self._designs, model_version(), state, report=self._report)
            driver.run(source, keep=True)
            self._evaluated += state.done
        if new:
            self._take(new, keys)
        none = Trial(-1, None, feasible=False)
        return [self._known[position] if position >= 0 else none for position in positions]

    def _take(self, positions: Sequence[int], keys: Sequence[str]) -> None:
        found = self._store.metrics_of(keys)
        spec = self._sweep.spec
        table: dict[str, Any] = {name: value[list(positions)] if np.ndim(value) else value
                                 for name, value in self._sweep.design.table().items()}  # fmt: skip
        rows = [found[key] for key in keys]
        for place, name in enumerate(METRICS):
            values = [np.nan if row[1][place] is None else float(row[1][place]) for row in rows]
            table[name] = np.asarray(values, dtype=float)
        ok = np.asarray([row[0] == "ok" for row in rows])
        for name, text in spec.derived.items():
            table[name] = expression.value(text, table, len(rows))
        held = ok.copy()
        for text in self._sweep.design.outputs.values():
            held &= expression.truth(text, table, len(rows))
        signs = {name: 1.0 if way == "min" else -1.0 for name, way in spec.objectives.items()}
        costs = np.stack([np.asarray(table[name], dtype=float) * sign for name, sign in signs.items()], axis=1)
        for row, position in enumerate(positions):
            good = bool(ok[row]) and not np.isnan(costs[row]).any()
            self._known[position] = Trial(
                position, tuple(costs[row].tolist()) if good else None, bool(held[row]) and good
            )

    def found(self, trials: list[Trial]) -> Found:
        """The summary of a search."""
        from accelsim.explore.pareto import front

        good = {trial.position: trial.costs for trial in trials if trial.feasible and trial.costs is not None}
        best = front(np.asarray(list(good.values()), dtype=float)) if good else np.zeros(0, dtype=bool)
        distinct = len({trial.position for trial in trials})
        chosen = [position for position, kept in zip(good, best.tolist(), strict=True) if kept]
        return Found(trials, self._evaluated, distinct, chosen)

    def close(self) -> None:
        """Gives back store and workers."""
        self._executor.close(now=True)
        self._store.close()


def _ordered(column: Column) -> bool:
    """Whether the values of an axis are numbers that rise: neighbours are then alike."""
    numbers: Sequence[Any] = column.shown
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        return False
    return all(a < b for a, b in pairwise(numbers))


def screened(roofline: Mapping[int, float], event: Mapping[int, float]) -> dict[str, float]:
    """How far a cheap figure stood for a dear one, on the points that have both, least is best.

    Args:
        roofline: the figure by which points were chosen, by position.
        event: the one that confirmed some of them.

    Returns:
        points: how many have both; rank_correlation: Spearman's; changed: pairs in other order, as a share of all;
        regret: how much worse the screen's first choice is than the best that was confirmed, as a share of the best.

    Raises:
        RequestError: fewer than three points with both.
    """
    both = [position for position in roofline if position in event]
    if len(both) < 3:
        raise RequestError(f"{len(both)} points have both figures: three at least say something")
    from scipy.stats import spearmanr

    cheap = np.asarray([roofline[position] for position in both])
    dear = np.asarray([event[position] for position in both])
    pairs = np.triu_indices(len(both), 1)
    turned = (cheap[pairs[0]] - cheap[pairs[1]]) * (dear[pairs[0]] - dear[pairs[1]]) < 0
    return {
        "points": float(len(both)),
        "rank_correlation": float(spearmanr(cheap, dear).statistic),
        "changed": float(turned.mean()),
        "regret": float(dear[int(cheap.argmin())] / dear.min() - 1),
    }
