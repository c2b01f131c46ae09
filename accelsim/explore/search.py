"""Search where a space is too large to enumerate: Optuna asks, the sweep's machinery answers.

Trials are asked for in batches and told in their order, so that seed and batch size fix them, whatever evaluates them.
What the store has is taken from there; it also warms the sampler up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError, did_you_mean
from accelsim.explore import expression
from accelsim.explore.batches import METRICS
from accelsim.explore.chosen import Choice, Point
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
        position: number of the design in the sweep's grid (`Choice.number`); -1 if constraints over inputs exclude it.
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
        space: designs of the grid, constraints apart.
        sweep: over the designs of all trials, which loads them from the store; None if constraints exclude them all.
        keys: position -> key of the design.
    """

    trials: list[Trial]
    evaluated: int
    distinct: int
    front: list[int]
    space: int
    sweep: Sweep | None = field(compare=False, repr=False)
    keys: Mapping[int, str] = field(compare=False, repr=False)


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
    fresh: bool = False,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Found:
    """The best designs of a sweep's grid for its objectives, by so many trials.

    Args:
        sweep: with a grid of any size and one to three objectives among the metrics and derived columns.
        trials: designs to ask for.
        sampler: "nsga2", "nsga3", "tpe", or "random" to compare with.
        seed: of the sampler.
        batch: trials that are asked for before any is told; 50 for genetic samplers, else 10.
        warm: positions of designs with which the trials begin, such as those of `known_front`.
        workers: as in `Sweep.run`.
        cluster: likewise.
        store: likewise.
        fresh: likewise.
        timeout_s: likewise.
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
    opened = Store(store or sweep.store_path, METRICS, fresh=fresh)
    where = {"workers": workers, "cluster": cluster, "timeout_s": timeout_s}
    place = _Place(Choice(sweep), opened, where, Progress(trials, 0), progress)
    try:
        for position in warm:
            study.enqueue_trial(place.parameters(position))
        size = batch or (POPULATION if sampler.startswith("nsga") else 10)
        done: list[Trial] = []
        while len(done) < trials:
            asked = [study.ask() for _ in range(min(size, trials - len(done)))]
            answers = place.answers([place.point(trial) for trial in asked])
            for trial, answer in zip(asked, answers, strict=True):
                trial.set_user_attr("violation", 0.0 if answer.feasible else 1.0)
                costs = answer.costs or place.worst
                study.tell(trial, list(costs))
                place.seen(costs)
            done += answers
        return place.found(done)
    finally:
        place.close()


def known_front(sweep: Sweep, store: str | Path | None = None) -> list[int]:
    """Positions of the best designs among those that a sweep's store has planned and evaluated, to begin a search with.

    Raises:
        RequestError: there is no store.
        StoreError: no store of a sweep.
    """
    from accelsim.explore.frame import MEETS
    from accelsim.explore.pareto import pareto
    from accelsim.explore.sweep import load

    path = Path(store or sweep.store_path)
    if not path.exists():
        raise RequestError(f"there are no results in {path} to begin with: run the sweep, or a search, before")
    frame = load(path)
    good = frame[frame[MEETS]] if MEETS in frame else frame
    if any(name not in frame for name in sweep.spec.objectives):
        return []
    best = good[pareto(good, sweep.spec.objectives)]
    choice = Choice(sweep)
    return [choice.number(point) for point in choice.points_of(best) if point is not None]


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
        choice: Choice,
        store: Store,
        where: Mapping[str, Any],
        state: Progress,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self._choice, self._store, self._where, self._state, self._report = choice, store, where, state, report
        self._executor: Executor | None = None
        self._known: dict[Point, Trial] = {}
        self._keys: dict[Point, str] = {}
        self.worst = (0.0,) * len(choice.objectives)

    def point(self, trial: Any) -> Point:
        """The design that a trial asks for."""
        return tuple(self._suggested(trial, place) for place in range(len(self._choice.dimensions)))

    def _suggested(self, trial: Any, dimension: int) -> int:
        count, name = self._choice.size(dimension), "+".join(self._choice.dimensions[dimension])
        if count == 1:
            return 0
        if self._choice.rises(dimension):
            return int(trial.suggest_int(name, 0, count - 1))
        return int(trial.suggest_categorical(name, list(range(count))))

    def parameters(self, position: int) -> dict[str, int]:
        """The choices of a design."""
        places = zip(self._choice.dimensions, self._choice.point(position), strict=True)
        return {"+".join(keys): place for keys, place in places}

    def seen(self, costs: Sequence[float]) -> None:
        """What a trial without a result is told to be: as bad as the worst."""
        self.worst = tuple(max(a, b) for a, b in zip(self.worst, costs, strict=True))

    def answers(self, points: Sequence[Point]) -> list[Trial]:
        """Trials of some designs, in their order; those that nobody has evaluated are."""
        new = [point for point in dict.fromkeys(points) if point not in self._known]
        made, keys = self._choice.sweep(new) if new else (None, {})
        evaluated = self._state.done
        if made is not None:
            self._evaluate(made)
            judged = dict(zip(made.keys, self._judged(made), strict=True))
            for point, key in keys.items():
                self._known[point] = Trial(self._choice.number(point), *judged[key])
            self._keys |= keys
        for point in new:
            self._known.setdefault(point, Trial(-1, None, feasible=False))
        self._state.known += len(points) - (self._state.done - evaluated)
        if self._report:
            self._report(self._state)
        return [self._known[point] for point in points]

    def _evaluate(self, made: Sweep) -> None:
        there = self._store.statuses(made.keys)
        wanted = [key not in there for key in made.keys]
        if self._executor is None:
            self._executor = made.executor([True] * len(wanted), **self._where)
        if not any(wanted):
            return
        state = self._state
        designs = dict(zip(made.keys, made.designs, strict=True))
        driver = Driver(
            self._store, self._executor, designs, model_version(), state, objective=made.objective, report=self._report
        )
        source = Remaining(made.groups, made.keys, wanted, model_version(), self._executor.slots)
        driver.run(source, keep=True)

    def _judged(self, made: Sweep) -> list[tuple[tuple[float, ...] | None, bool]]:
        """Objectives of each point of a sweep, from the store, and whether it is one to choose."""
        found = self._store.metrics_of(made.keys)
        rows = [found[key] for key in made.keys]
        table: dict[str, Any] = dict(made.design.table())
        for place, name in enumerate(METRICS):
            values = [np.nan if row[1][place] is None else float(row[1][place]) for row in rows]
            table[name] = np.asarray(values, dtype=float)
        ok = np.asarray([row[0] == "ok" for row in rows])
        for name, text in made.spec.derived.items():
            table[name] = expression.value(text, table, len(rows))
        held = ok.copy()
        for text in made.design.outputs.values():
            held &= expression.truth(text, table, len(rows))
        signs = {name: 1.0 if way == "min" else -1.0 for name, way in made.spec.objectives.items()}
        costs = np.stack([np.asarray(table[name], dtype=float) * sign for name, sign in signs.items()], axis=1)
        good = ok & ~np.isnan(costs).any(axis=1)
        listed = zip(costs.tolist(), good.tolist(), (held & good).tolist(), strict=True)
        return [(tuple(row) if fine else None, kept) for row, fine, kept in listed]

    def found(self, trials: list[Trial]) -> Found:
        """The summary of a search; the store keeps which designs it went through."""
        from accelsim.explore.pareto import front

        good = {trial.position: trial.costs for trial in trials if trial.feasible and trial.costs is not None}
        best = front(np.asarray(list(good.values()), dtype=float)) if good else np.zeros(0, dtype=bool)
        distinct = len({trial.position for trial in trials})
        chosen = [position for position, kept in zip(good, best.tolist(), strict=True) if kept]
        made, _ = self._choice.sweep(list(self._keys)) if self._keys else (None, {})
        if made is not None:
            made.plan(self._store)
        keys = {self._choice.number(point): key for point, key in self._keys.items()}
        return Found(trials, self._state.done, distinct, chosen, self._choice.count, made, keys)

    def close(self) -> None:
        """Gives back store and workers."""
        if self._executor is not None:
            self._executor.close(now=True)
        self._store.close()
