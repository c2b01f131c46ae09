"""A sweep as Python has it: described in ten lines or read from a file, looked at, run, and loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accelsim import catalog
from accelsim.errors import DescriptionError, Fault, RequestError
from accelsim.explore.batches import METRICS
from accelsim.explore.design import Design, expand
from accelsim.explore.driver import Driver, Progress
from accelsim.explore.executor import Executor
from accelsim.explore.groups import Group, groups_of, key_of
from accelsim.explore.outline import Outline, outline_of
from accelsim.explore.places import executor_for
from accelsim.explore.plan import plan_digest, planned
from accelsim.explore.source import Remaining
from accelsim.explore.store import Store
from accelsim.explore.version import model_version
from accelsim.spec import read
from accelsim.spec.sweep import SweepSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FOLDER: Final = "accelsim-results"
"""Where stores are, below the folder in which one works."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run of a sweep came to.

    Attributes:
        points: points of the sweep.
        known: of them, those that the store had before, or another driver has evaluated meanwhile.
        counts: evaluated now, by status.
        elapsed_s: wall time.
        complete: every point has a row.
        store: the file.
    """

    points: int
    known: int
    counts: Mapping[str, int]
    elapsed_s: float
    complete: bool
    store: Path


class Sweep:
    """An experiment over a space of designs.

    Args:
        axes: dotted key -> values: a list, or a table such as {"powers_of_two": [1, 64]}; see `spec.sweep.Axis`.
        name: also the name of its store.
        fixed: keys that all points share.
        description: the other keys of a sweep's file: parameters, zip, sampling, constraints, derived, objectives,
            plot, question.

    Raises:
        DescriptionError: every fault of the description.
    """

    def __init__(
        self,
        axes: Mapping[str, Any],
        *,
        name: str = "sweep",
        fixed: Mapping[str, Any] | None = None,
        **description: Any,
    ) -> None:
        raw = {"axes": dict(axes), "fixed": dict(fixed or {}), **description}
        self.name = name
        self.spec = read.validate(SweepSpec, raw, origin=f"sweep {name}", si=True)

    @classmethod
    def read(cls, source: str | os.PathLike[str]) -> Sweep:
        """A sweep by the name or path of its file.

        Raises:
            UnknownNameError: no such sweep.
            DescriptionError: every fault of the file.
        """
        return cls.of(catalog.path("sweeps", source).stem, catalog.sweep(source))

    @classmethod
    def of(cls, name: str, spec: SweepSpec) -> Sweep:
        """A sweep that is described already."""
        made = cls.__new__(cls)
        made.name, made.spec = name, spec
        return made

    @cached_property
    def design(self) -> Design:
        """Its points.

        Raises:
            RequestError: an axis, value or expression that is not allowed.
        """
        return expand(self.spec)

    @cached_property
    def groups(self) -> list[Group]:
        """Points that are resolved together."""
        return groups_of(self.design)

    @cached_property
    def designs(self) -> list[str]:
        """Of every point, the digest of all that can change its result, the code apart."""
        found: list[str] = [""] * self.design.count
        for group in self.groups:
            for row, one in zip(group.rows.tolist(), group.designs(), strict=True):
                found[row] = one
        return found

    @cached_property
    def keys(self) -> list[str]:
        """The key of every point: what it is, and the code that computes it."""
        version = model_version()
        return [key_of(design, version) for design in self.designs]

    @property
    def store_path(self) -> Path:
        """Where its results are kept unless one says otherwise."""
        return Path(FOLDER) / f"{self.name}.sqlite"

    def points(self, count: int | None = None) -> pd.DataFrame:
        """The inputs of its points, or of the first of them: a column per axis, in SI units."""
        import pandas as pd

        return pd.DataFrame({column.name: column.cells()[:count] for column in self.design.columns})

    def outline(self, store: str | Path | None = None, *, rows: int = 10) -> Outline:
        """What it comes to, with a few points timed here and stored nowhere.

        Args:
            store: file whose rows count as known; the sweep's own by default.
            rows: points to show.
        """
        return outline_of(self, Path(store) if store else self.store_path, rows)

    def plan(self, store: Store) -> None:
        """Keeps in a store which points there are, so that it can be loaded without running them all."""
        planned(self, store)

    def executor(
        self, wanted: Sequence[bool], workers: int | None, cluster: str | None, timeout_s: float | None
    ) -> Executor:
        """What evaluates the points that are wanted; see `run` for the arguments."""
        return executor_for(self.groups, wanted, workers, cluster, timeout_s)

    def run(
        self,
        *,
        workers: int | None = None,
        cluster: str | None = None,
        store: str | Path | None = None,
        fresh: bool = False,
        retry_failed: bool = False,
        accept_version: bool = False,
        timeout_s: float | None = None,
        budget_s: float | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Summary:
        """Evaluates the points that the store does not have.

        Args:
            workers: processes; 1 is this one. By default this one for few points, else one per core.
            cluster: address of a Dask scheduler, or "local".
            store: file of the results; `accelsim-results/NAME.sqlite` by default.
            fresh: start anew; the old store is renamed.
            retry_failed: evaluate points again that failed, crashed or took too long.
            accept_version: take rows that other code has computed; `reused` marks them.
            timeout_s: a point that takes longer is given up.
            budget_s: start nothing later than this.
            progress: called as points are done.

        Raises:
            AccelsimError: a store, scheduler or description that cannot be used.
            KeyboardInterrupt: everything finished is kept.
        """
        began = time.monotonic()
        for name, value in (("timeout_s", timeout_s), ("budget_s", budget_s)):
            if value is not None and value <= 0:
                raise RequestError(f"{name} = {value!r}: expected a time above zero")
        opened = Store(store or self.store_path, METRICS, fresh=fresh)
        try:
            plan = planned(self, opened, retry_failed=retry_failed, accept_version=accept_version)
            done = Progress(plan.total, plan.known)
            executor = self.executor(plan.wanted, workers, cluster, timeout_s)
            driver = Driver(
                opened,
                executor,
                dict(zip(self.keys, self.designs, strict=True)),
                model_version(),
                done,
                objective=self.objective,
                report=progress,
                budget_s=budget_s,
            )
            source = Remaining(self.groups, self.keys, plan.wanted, model_version(), executor.slots)
            complete = driver.run(source, plan.retried)
            if progress:
                progress(done)
            return Summary(
                done.total,
                done.known,
                {str(word): count for word, count in done.counts.items()},
                time.monotonic() - began,
                complete,
                opened.path,
            )
        finally:
            opened.close()

    @property
    def objective(self) -> tuple[int, int] | None:
        """Of the first objective that is a metric: its place among them, and 1 for the least, -1 for the most."""
        for name, direction in self.spec.objectives.items():
            if name in METRICS:
                return METRICS.index(name), 1 if direction == "min" else -1
        return None

    def load(self, store: str | Path | None = None) -> pd.DataFrame:
        """The results so far: a row per point that has been evaluated, in the order of the sweep.

        See `accelsim.explore.frame.frame_of` for the columns.

        Raises:
            RequestError: nothing has been run yet.
        """
        from accelsim.explore.frame import frame_of

        path = Path(store) if store else self.store_path
        if not path.exists():
            raise RequestError(f"there are no results in {path}: run the sweep first, or name its store")
        opened = Store(path, METRICS)
        try:
            if opened.about().get("plan") != plan_digest(self):
                self.plan(opened)
            return frame_of(opened)
        finally:
            opened.close()

    def plot(self, path: str | Path | None = None, *, frame: pd.DataFrame | None = None) -> Figure:
        """The picture that its description asks for, of its results.

        Raises:
            RequestError: it asks for none, or names a column that is not there.
        """
        from importlib import import_module

        if self.spec.plot is None:
            raise RequestError(f"sweep {self.name} describes no picture: add [plot] with kind, x and y")
        data = self.load() if frame is None else frame
        # by name: pictures stand beside exploration, and neither is built on the other
        draw = import_module("accelsim.report.frames").draw
        title = self.spec.plot.title or (self.spec.question.text if self.spec.question else self.name)
        made: Figure = draw(data, self.spec.plot, title=title, objectives=dict(self.spec.objectives), path=path)
        return made


def load(source: str | os.PathLike[str] | Sweep, store: str | Path | None = None) -> pd.DataFrame:
    """The results of a sweep as a DataFrame, a row per point in the order of the sweep.

    Args:
        source: a sweep, its name, its file, or its store (`.sqlite`).
        store: its store, if it is not `accelsim-results/NAME.sqlite`.

    Raises:
        UnknownNameError: no such sweep.
        DescriptionError: the file is no sweep.
        RequestError: nothing has been run yet.
        StoreError: no store of a sweep.
    """
    if isinstance(source, Sweep):
        return source.load(store)
    path = Path(source)
    if path.suffix != ".sqlite":
        own = Path(FOLDER) / f"{path.name}.sqlite"
        if path.name in catalog.names("sweeps") or path.suffix == ".toml" or not own.exists():
            return Sweep.read(source).load(store)
        path = own  # a sweep that was described in Python
    if not path.exists():
        raise DescriptionError(str(path), [Fault("", "there is no such store: run the sweep first")])
    from accelsim.explore.frame import frame_of

    opened = Store(path, METRICS)
    try:
        return frame_of(opened)
    finally:
        opened.close()
