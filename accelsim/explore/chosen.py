"""Single points of a sweep's grid, and points between its values: what a question asks for one after the other.

The grid itself is never laid out, so that it may be of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore import sampling
from accelsim.explore.design import ExcludedError, check_expressions, distinct, expand
from accelsim.explore.sweep import Sweep
from accelsim.explore.targets import si
from accelsim.spec.sweep import Axis, Direction, SweepSpec

if TYPE_CHECKING:
    import pandas as pd

Point = tuple[int, ...]
"""The place of a point's value along each dimension."""

_MOST_CHECKED: Final = 64
_NUMBER: Final = "number of the point"


class Choice:
    """A sweep's grid as dimensions, along each of which a point has one place.

    Axes that are zipped are one dimension. Values may be added to an axis that stands alone.

    Args:
        sweep: with a grid.
        objectives: what is asked of the points, in place of the sweep's own: columns with "min" or "max".
        fixed: keys that all points share, beside the sweep's.

    Raises:
        RequestError: no grid, or axes that are not allowed.
        UnknownNameError: no such column, with the nearest.
    """

    def __init__(
        self, sweep: Sweep, objectives: Mapping[str, Direction] | None = None, fixed: Mapping[str, Any] | None = None
    ) -> None:
        spec = sweep.spec
        if spec.sampling.method != "grid":
            raise RequestError("this asks for single points of a grid: leave [sampling] away")
        names = {**spec.axes, **spec.parameters}
        plain = [key for key, axis in names.items() if axis.derive is None]
        zipped = {key: tuple(one for one in group if one in plain) for group in spec.zip for key in group}
        self._name = sweep.name
        self.dimensions = list(dict.fromkeys(zipped.get(key, (key,)) for key in plain))
        self._lists = {key: list(sampling.listed(key, names[key])) for key in plain}
        self._spec = spec.model_copy(
            update={"objectives": dict(objectives or spec.objectives), "fixed": {**spec.fixed, **(fixed or {})}}
        )
        self.names = {key: names[key].name or key for key in plain}
        self._shown = self._checked()
        self._trusted = True
        self._codes = {key: distinct([si(value) for value in values])[1] for key, values in self._lists.items()}
        self._grid = [len(self._lists[keys[0]]) for keys in self.dimensions]

    def _checked(self) -> dict[str, list[Any]]:
        """What the frame shows for the different values of every axis, all of which are allowed."""
        zipped = {key for keys in self.dimensions if len(keys) > 1 for key in keys}
        long = {key for key, values in self._lists.items() if key not in zipped and len(values) > _MOST_CHECKED}
        # limits of a figure are intervals: the ends of a long range speak for what lies between
        lists = {key: [values[0], values[-1]] if key in long else values for key, values in self._lists.items()}
        check_expressions(self._spec)
        free = self._exact(lists).model_copy(update={"constraints": {}})
        columns = {
            column.name: column.shown for column in expand(free, np.full((1, len(self.dimensions)), 0.5)).columns
        }
        return {key: [si(value) for value in self._lists[key]] if key in long else columns[name]
                for key, name in self.names.items()}  # fmt: skip

    def shown(self, key: str) -> list[Any]:
        """The different values of an axis as the frame shows them: numbers in SI units, names."""
        return self._shown[key]

    def dimension(self, name: str, where: str) -> int:
        """The dimension of an axis, by key or column.

        Raises:
            RequestError: no such axis.
        """
        for place, keys in enumerate(self.dimensions):
            if any(name in (key, self.names[key]) for key in keys):
                return place
        raise RequestError(f"{where} {name!r} is no axis of the sweep; axes: {', '.join(self.names.values())}")

    def size(self, dimension: int) -> int:
        """Places along a dimension."""
        return len(self._lists[self.dimensions[dimension][0]])

    @property
    def objectives(self) -> Mapping[str, Direction]:
        """What is asked of the points: column -> "min" or "max"."""
        return self._spec.objectives

    @property
    def count(self) -> int:
        """Points of the grid as the sweep has it."""
        return prod(self._grid)

    def rises(self, dimension: int) -> bool:
        """Whether a dimension has numbers that rise, and at least two: neighbours are then alike."""
        return any(_rising(self._shown[key]) for key in self.dimensions[dimension])

    def labels(self, dimension: int, place: int) -> dict[str, Any]:
        """What the frame shows at a place: column -> value."""
        keys = self.dimensions[dimension]
        return {self.names[key]: self._shown[key][self._codes[key][place]] for key in keys}

    def number(self, point: Point) -> int:
        """Which point of the grid it is, counted from 0 with the last dimension the fastest."""
        found = 0
        for place, size in zip(point, self._grid, strict=True):
            found = found * size + place
        return found

    def point(self, number: int) -> Point:
        """The point of that number."""
        places = []
        for size in reversed(self._grid):
            number, place = divmod(number, size)
            places.append(place)
        return tuple(reversed(places))

    def points_of(self, frame: pd.DataFrame) -> list[Point | None]:
        """The points of a frame's rows, by the columns of the axes; None for a row that is not of the grid."""
        if not set(self.names.values()) <= set(frame.columns):
            return [None] * len(frame)
        found: list[list[int | None]] = []
        for place in range(len(self.dimensions)):
            labels = [self.labels(place, at) for at in range(self.size(place))]
            at = {tuple(label.values()): position for position, label in reversed(list(enumerate(labels)))}
            rows = zip(*(frame[name].tolist() for name in labels[0]), strict=True)
            found.append([at.get(row) for row in rows])
        rows_ = [tuple(place for place in row if place is not None) for row in zip(*found, strict=True)]
        return [row if len(row) == len(self.dimensions) else None for row in rows_]

    def add(self, dimension: int, value: float) -> int:
        """A further value of an axis that stands alone, in SI units; its place."""
        values = self._lists[self.dimensions[dimension][0]]
        values.append(value)
        self._trusted = False
        return len(values) - 1

    def sweep(self, points: Sequence[Point]) -> tuple[Sweep | None, dict[Point, str]]:
        """A sweep over these points alone, and the key of each that no constraint over inputs excludes.

        Returns:
            The sweep, None if all points are excluded; and point -> key.

        Raises:
            RequestError: a value that is not allowed.
        """
        used = [sorted(set(places)) for places in zip(*points, strict=True)]
        lists = {key: [self._lists[key][place] for place in places]
                 for keys, places in zip(self.dimensions, used, strict=True) for key in keys}  # fmt: skip
        within = [[places.index(place) for places, place in zip(used, point, strict=True)] for point in points]
        counts = [len(places) for places in used]
        numbers = np.arange(len(points), dtype=float)[:, None]
        cube = np.hstack([(np.asarray(within, dtype=float) + 0.5) / counts, (numbers + 0.5) / len(points)])
        spec = self._exact(lists)
        numbered = {**spec.parameters, _NUMBER: Axis(values=tuple(range(len(points))))}
        try:
            design = expand(spec.model_copy(update={"parameters": numbered}), cube, trusted=self._trusted)
        except ExcludedError:
            return None, {}
        number = next(column for column in design.columns if column.name == _NUMBER)
        design.columns.remove(number)
        design.spec = self._spec
        made = Sweep.of(self._name, self._spec)
        made.design = design
        return made, {points[int(code)]: key for code, key in zip(number.codes, made.keys, strict=True)}

    def _exact(self, lists: Mapping[str, Sequence[Any]]) -> SweepSpec:
        """The sweep with its axes as lists of values."""

        def listed(axes: Mapping[str, Axis]) -> dict[str, Axis]:
            plain = {key: axis for key, axis in axes.items() if axis.derive is None}
            values = {key: tuple(lists[key]) for key in plain}
            return {**axes, **{k: Axis(values=values[k], name=axis.name, when=axis.when) for k, axis in plain.items()}}

        spec = self._spec
        return spec.model_copy(update={"axes": listed(spec.axes), "parameters": listed(spec.parameters)})


def _rising(values: Sequence[Any]) -> bool:
    if len(values) < 2 or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    return all(a < b for a, b in pairwise(values))
