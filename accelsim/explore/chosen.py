"""Single points of a sweep's grid, and points between its values: what a question asks for one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore import sampling
from accelsim.explore.design import Column, distinct, expand
from accelsim.explore.sweep import Sweep
from accelsim.explore.targets import si
from accelsim.spec.sweep import Axis, Direction

Point = tuple[int, ...]
"""The place of a point's value along each dimension."""

_NUMBER: Final = "number of the point"


class Choice:
    """A sweep's grid as dimensions, along each of which a point has one place.

    Axes that are zipped are one dimension. Values may be added to an axis that stands alone.

    Args:
        sweep: with a grid.
        metric: what is asked of the points: a metric, a derived column, `area_mm2` or `cost_usd`.
        direction: of the metric.

    Raises:
        RequestError: no grid, or axes that are not allowed.
        UnknownNameError: no such metric, with the nearest.
    """

    def __init__(self, sweep: Sweep, metric: str, direction: Direction) -> None:
        spec = sweep.spec
        if spec.sampling.method != "grid":
            raise RequestError("this asks for single points of a grid: leave [sampling] away")
        self._name, self._fixed = sweep.name, {"objectives": {metric: direction}}
        names = {**spec.axes, **spec.parameters}
        plain = [key for key, axis in names.items() if axis.derive is None]
        zipped = {key: tuple(one for one in group if one in plain) for group in spec.zip for key in group}
        self.dimensions = list(dict.fromkeys(zipped.get(key, (key,)) for key in plain))
        self._lists = {key: list(sampling.listed(key, names[key])) for key in plain}
        self._spec = spec.model_copy(update=self._fixed)
        shown = Sweep.of(sweep.name, self._spec).design.columns
        by_name = {column.name: column for column in shown}
        self._columns = {key: by_name[names[key].name or key] for key in plain}
        self._codes = {key: distinct([si(value) for value in values])[1] for key, values in self._lists.items()}

    def column(self, key: str) -> Column:
        """The column of an axis, with the values that the sweep gives it."""
        return self._columns[key]

    def dimension(self, name: str, where: str) -> int:
        """The dimension of an axis, by key or column.

        Raises:
            RequestError: no such axis.
        """
        for place, keys in enumerate(self.dimensions):
            if any(name in (key, self._columns[key].name) for key in keys):
                return place
        known = ", ".join(self._columns[key].name for keys in self.dimensions for key in keys)
        raise RequestError(f"{where} {name!r} is no axis of the sweep; axes: {known}")

    def size(self, dimension: int) -> int:
        """Places along a dimension."""
        return len(self._lists[self.dimensions[dimension][0]])

    def labels(self, dimension: int, place: int) -> dict[str, Any]:
        """What the frame shows at a place: column -> value."""
        chosen = [(self._columns[key], self._codes[key][place]) for key in self.dimensions[dimension]]
        return {column.name: column.shown[code] for column, code in chosen}

    def add(self, dimension: int, value: float) -> int:
        """A further value of an axis that stands alone, in SI units; its place."""
        values = self._lists[self.dimensions[dimension][0]]
        values.append(value)
        return len(values) - 1

    def sweep(self, points: Sequence[Point]) -> tuple[Sweep, dict[Point, str]]:
        """A sweep over these points alone, and the key of each that no constraint over inputs excludes.

        Raises:
            RequestError: a value that is not allowed, or constraints that exclude all points.
        """
        counts = [self.size(place) for place in range(len(self.dimensions))]
        places = np.asarray(points, dtype=float).reshape(len(points), -1)
        numbers = np.arange(len(points), dtype=float)[:, None]
        cube = np.hstack([(places + 0.5) / counts, (numbers + 0.5) / len(points)])
        spec = self._spec

        def listed(axes: Mapping[str, Axis]) -> dict[str, Axis]:
            return {
                key: axis if axis.derive is not None else axis.model_copy(update=_values(self._lists[key]))
                for key, axis in axes.items()
            }

        exact = spec.model_copy(update={"axes": listed(spec.axes), "parameters": listed(spec.parameters)})
        numbered = Axis(values=tuple(range(len(points))))
        design = expand(exact.model_copy(update={"parameters": {**exact.parameters, _NUMBER: numbered}}), cube)
        number = next(column for column in design.columns if column.name == _NUMBER)
        design.columns.remove(number)
        design.spec = exact
        made = Sweep.of(self._name, exact)
        made.design = design
        return made, {points[int(code)]: key for code, key in zip(number.codes, made.keys, strict=True)}


def _values(values: Sequence[Any]) -> dict[str, Any]:
    return {"values": tuple(values), "range": None, "log_range": None, "powers_of_two": None, "count": None,
            "step": None, "integer": False}  # fmt: skip
