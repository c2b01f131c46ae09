"""Where along an axis another design becomes the best one, such as the batch from which PIM no longer wins.

A coarse grid, the values that the sweep gives the axis, is evaluated first; between two of its values at which another
design is best, or another set of designs can run at all, new points halve the gap. Two changes that cancel between
neighbours of the grid stay unseen: a finer grid shows them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore.answers import NOBODY, TIE, Answer, Crossovers, Side
from accelsim.explore.chosen import Choice, Point
from accelsim.explore.driver import Progress
from accelsim.explore.frame import MEETS
from accelsim.explore.outcome import RETRIED

if TYPE_CHECKING:
    from accelsim.explore.sweep import Sweep
    from accelsim.spec.sweep import Direction

MORE_IS_BETTER: Final = ("tokens_per_s", "decode_tokens_per_s", "achieved_bandwidth_bytes_per_s")
"""Metrics of which the most is best where a sweep does not say; of all others it is the least."""

_CHIP: Final = ("chip", "system", "on")
_EXCLUDED: Final = "excluded by the constraints"


def crossover(
    sweep: Sweep,
    *,
    metric: str | None = None,
    between: str | None = None,
    along: str | None = None,
    tolerance: float = 0.01,
    step: int = 1,
    margin: float = 0.0,
    workers: int | None = None,
    cluster: str | None = None,
    store: str | Path | None = None,
    retry_failed: bool = False,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Crossovers:
    """Brackets every change of the best design along an axis, for each combination of the other axes.

    Points go through the sweep's store, so that none is computed twice and a search that was interrupted goes on.

    Args:
        sweep: its grid, with an axis of designs and one of rising numbers.
        metric: what is compared: a metric, a derived column, `area_mm2` or `cost_usd`; the first objective by default.
        between: axis whose values are the designs; that of the chips by default.
        along: axis of numbers; the first one by default.
        tolerance: a bracket may be as wide as this share of its end.
        step: whole numbers are not told apart more finely.
        margin: who is better by no more than this share is no better.
        workers: as in `Sweep.run`.
        cluster: likewise.
        store: likewise.
        retry_failed: likewise.
        timeout_s: likewise.
        progress: likewise; called for the grid and then for each halving.

    Raises:
        RequestError: no such axis or metric, numbers that do not rise, or a point that failed.
    """
    if not 0 < tolerance < 1 or step < 1 or margin < 0:
        raise RequestError(
            f"tolerance = {tolerance}, step = {step}, margin = {margin}: expected a share below one, a whole number of "
            "at least 1, and a share of at least zero"
        )
    asked = metric or next(iter(sweep.spec.objectives), "")
    if not asked:
        raise RequestError(f"sweep {sweep.name} has no objective: name the metric to compare")
    way: Direction = sweep.spec.objectives.get(asked) or ("max" if asked in MORE_IS_BETTER else "min")
    choice = Choice(sweep, {asked: way})
    search = _Search(choice, asked, way, *_axes(choice, between, along), margin)
    how = {"workers": workers, "cluster": cluster, "store": store, "retry_failed": retry_failed,
           "timeout_s": timeout_s, "progress": progress}  # fmt: skip
    search.evaluate(how)
    while search.halve(tolerance, step):
        search.evaluate(how)
    return search.found()


def _axes(choice: Choice, between: str | None, along: str | None) -> tuple[int, int]:
    """The dimension of the designs, and that of the numbers."""
    keys = [key for keys in choice.dimensions for key in keys]
    if between is None:
        between = next((key for key in keys if key in _CHIP and len(choice.shown(key)) > 1), None)
    if between is None:
        raise RequestError(f"which designs compete? name an axis with `between`; axes: {', '.join(keys)}")
    designs = choice.dimension(between, "between")
    if choice.size(designs) < 2:
        raise RequestError(f"between {between!r}: the axis has one value, nothing competes with it")
    alone = [place for place, axes in enumerate(choice.dimensions) if place != designs and len(axes) == 1]
    ordered = [place for place in alone if choice.rises(place)]
    if along is not None:
        line = choice.dimension(along, "along")
        if line not in ordered:
            raise RequestError(f"along {along!r}: expected an axis of its own with two rising numbers at least")
        return designs, line
    if not ordered:
        raise RequestError(f"along which axis? none of {', '.join(keys)} has two rising numbers at least")
    return designs, ordered[0]


class _Search:
    """What is known along the axis, per combination of the other axes, and what is to be asked next."""

    def __init__(
        self, choice: Choice, metric: str, way: Direction, designs: int, line: int, margin: float
    ) -> None:  # fmt: skip
        self._choice, self._metric, self._designs, self._line, self._margin = choice, metric, designs, line, margin
        self._sign = 1.0 if way == "min" else -1.0
        self._names = self._contenders()
        key = choice.dimensions[line][0]
        self._along = choice.names[key]
        self._at: dict[float, int] = {value: place for place, value in enumerate(choice.shown(key))}
        self._whole = all(isinstance(value, int) for value in self._at)
        others = [range(1) if place in (designs, line) else range(choice.size(place))
                  for place in range(len(choice.dimensions))]  # fmt: skip
        self._cases = list(itertools.product(*others))
        self._known: dict[Point, dict[float, Side]] = {case: {} for case in self._cases}
        self._points: list[Point] = []
        self._asked: dict[Point, list[float]] = {case: list(self._at) for case in self._cases}

    def _contenders(self) -> list[str]:
        labels = [self._choice.labels(self._designs, place) for place in range(self._choice.size(self._designs))]
        varied = [name for name in labels[0] if len({str(label[name]) for label in labels}) > 1]
        names = [" ".join(_text(label[name]) for name in varied) for label in labels]
        for name in names:
            if names.count(name) > 1:
                raise RequestError(f"two designs are called {name!r}: give each a `name`")
        return names

    def _point(self, case: Point, design: int, value: float) -> Point:
        point = list(case)
        point[self._designs], point[self._line] = design, self._at[value]
        return tuple(point)

    def evaluate(self, how: Mapping[str, Any]) -> None:
        """Gets the points that are asked for; all earlier ones stand beside them in the store's plan."""
        new = [(case, value) for case, values in self._asked.items() for value in values]
        designs = range(len(self._names))
        self._points += [self._point(case, design, value) for case, value in new for design in designs]
        made, keys = self._choice.sweep(self._points)
        rows: dict[str, Any] = {}
        if made is not None:
            made.run(**how)
            frame = made.load(how["store"])
            rows = dict(zip(frame["key"], frame.to_dict("records"), strict=True))
        for case, value in new:
            found = [
                self._outcome(rows.get(keys.get(self._point(case, design, value), "")), self._names[design], value)
                for design in designs
            ]
            self._known[case][value] = self._side(value, found)
        self._asked = {}

    def _outcome(self, row: Mapping[str, Any] | None, name: str, value: float) -> tuple[float, str]:
        """The figure of a design at a point, or why it has none."""
        where = f"{name} at {self._along} = {_text(value)}"
        if row is None:
            return math.nan, _EXCLUDED
        if row["status"] in RETRIED:
            raise RequestError(f"{where}: {row['status']}: {row['reason'].splitlines()[0]}\n  try: retry_failed")
        if row["status"] != "ok":
            return math.nan, str(row["reason"])
        if not row.get(MEETS, True):
            return math.nan, _EXCLUDED
        figure = row[self._metric]
        if not isinstance(figure, int | float) or math.isnan(figure):
            hint = " (it needs generate = 2 at least)" if "output_token" in self._metric else ""
            raise RequestError(f"{where}: there is no {self._metric} to compare{hint}")
        return float(figure), ""

    def _side(self, value: float, found: list[tuple[float, str]]) -> Side:
        values = {name: figure for name, (figure, _) in zip(self._names, found, strict=True)}
        reasons = {name: reason for name, (_, reason) in zip(self._names, found, strict=True) if reason}
        ranked = sorted((self._sign * figure, name) for name, figure in values.items() if not math.isnan(figure))
        best = ranked[0][1] if ranked else NOBODY
        if len(ranked) > 1 and ranked[1][0] - ranked[0][0] <= self._margin * abs(ranked[0][0]):
            best = TIE
        return Side(value, best, values, reasons)

    def halve(self, tolerance: float, step: int) -> bool:
        """Asks for a point within every bracket that is too wide; whether there is one."""
        for case, known in self._known.items():
            for low, high in itertools.pairwise(sorted(known)):
                if known[low].state != known[high].state and high - low > tolerance * max(abs(low), abs(high)):
                    between = self._between(low, high, step)
                    if between is not None:
                        self._asked.setdefault(case, []).append(between)
        for value in sorted({value for values in self._asked.values() for value in values} - self._at.keys()):
            self._at[value] = self._choice.add(self._line, value)
        return bool(self._asked)

    def _between(self, low: float, high: float, step: int) -> float | None:
        """The middle of a bracket, in the logarithm if it is wide; None if there is nothing between its ends."""
        middle = math.sqrt(low * high) if low > 0 and high > 2 * low else (low + high) / 2
        if not self._whole:
            return middle
        steps = math.ceil((high - low) / step) - 1
        return None if steps < 1 else int(low) + step * min(steps, max(1, round((middle - low) / step)))

    def found(self) -> Crossovers:
        """What is known, per case."""
        varied = [place for place in range(len(self._choice.dimensions))
                  if place not in (self._designs, self._line) and self._choice.size(place) > 1]  # fmt: skip
        answers = []
        for case in self._cases:
            labels: dict[str, Any] = {}
            for place in varied:
                labels |= self._choice.labels(place, case[place])
            known = self._known[case]
            answers.append(Answer(self._along, labels, tuple(known[value] for value in sorted(known))))
        return Crossovers(self._metric, self._along, tuple(self._names), tuple(answers), len(self._points))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
