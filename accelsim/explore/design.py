"""From a sweep to its points: every axis a column of codes into a list of values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.errors import AccelsimError, RequestError, UnknownNameError
from accelsim.explore import expression, known, sampling
from accelsim.explore.known import ABSENT
from accelsim.explore.targets import (
    TENSORS,
    Target,
    applied,
    checked,
    chip_label,
    chip_of,
    si,
    target,
    tensor_formats,
)
from accelsim.results import COLUMNS
from accelsim.spec.chip import Chip
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.spec.sweep import Axis, SweepSpec

Codes = npt.NDArray[np.int32]

MOST_POINTS: Final = 2_000_000
"""A larger grid is refused: at the speed of the closed form it takes minutes, and its frame fills the memory."""


class ExcludedError(RequestError):
    """Constraints over inputs that exclude every point."""


@dataclass(slots=True)
class Column:
    """One axis over all points.

    Attributes:
        name: of the column.
        target: where its values go.
        values: distinct values as they are applied: SI numbers, names, records.
        shown: what the frame shows for each of them.
        codes: index into `values` per point; `ABSENT` where the axis does not apply.
    """

    name: str
    target: Target
    values: list[Any]
    shown: list[Any]
    codes: Codes

    def cells(self) -> npt.NDArray[Any]:
        """What the frame shows, per point; None or NaN where the axis is absent."""
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.shown)
        absent: Any = np.nan if numbers else None
        if numbers and not np.any(self.codes == ABSENT):
            return np.asarray(self.shown)[self.codes]
        table = np.empty(len(self.shown) + 1, dtype=float if numbers else object)
        table[:-1], table[-1] = self.shown, absent
        return table[self.codes]


@dataclass(slots=True)
class Design:
    """The points of a sweep, in its order.

    Attributes:
        spec: the sweep.
        columns: axes and parameters, in the order of the sweep.
        fixed: what all points share, by key.
        count: points.
        excluded: points that constraints over inputs have excluded.
        repeated: points of the sample or grid that were there already.
        outputs: constraints that need results, by name.
        costs: area, cost and error of every point, if the sweep names them (`accelsim.explore.known`).
    """

    spec: SweepSpec
    columns: list[Column]
    fixed: dict[str, Any]
    count: int
    excluded: int = 0
    repeated: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    costs: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def table(self) -> dict[str, Any]:
        """Inputs by column name, for expressions; what is fixed has one value."""
        return {**scalars(self.fixed), **{column.name: column.cells() for column in self.columns}, **self.costs}


def expand(spec: SweepSpec, cube: sampling.Floats | None = None, *, trusted: bool = False) -> Design:
    """The points of a sweep.

    Args:
        spec: the sweep.
        cube: places of the points between 0 and 1, [points, axes], in place of those of its sampling; such points may
            repeat.
        trusted: all values of the axes have been checked before.

    Raises:
        RequestError: an axis, value or expression that is not allowed; too large a grid.
        ExcludedError: the constraints over inputs exclude all points.
        UnknownNameError: a key or column that does not exist, with the nearest.
    """
    names = {**spec.axes, **spec.parameters}
    targets = {key: target(key) for key in (*spec.axes, *spec.fixed)}
    targets |= {key: Target("parameter", key) for key in spec.parameters}
    plain = {key: axis for key, axis in names.items() if axis.derive is None}
    chips, models = _chips(spec), _models(spec)
    if not trusted:
        for key, value in spec.fixed.items():
            checked(key, targets[key], [value], chips, models)
        check_expressions(spec)
    columns, repeated = _drawn(spec, plain, targets, chips, models, cube, trusted=trusted)
    count = len(columns[0].codes) if columns else 1
    design = Design(spec, columns, dict(spec.fixed), count, repeated=repeated)
    _absent(design, names)
    _derive(design, names, targets, chips, models)
    order = list(names)
    design.columns.sort(key=lambda column: order.index(_key(column, names)))
    parts = ((column.target, column.values, column.codes) for column in design.columns)
    design.costs = known.of(_named(spec), parts, spec.fixed, design.count)
    _constrain(design)
    return design


def _named(spec: SweepSpec) -> set[str]:
    """The columns that constraints, derived columns, objectives and the picture read."""
    found = set(spec.objectives)
    for text in (*spec.constraints.values(), *spec.derived.values()):
        found |= expression.columns(text)
    if spec.plot is not None:
        found |= {value for value in spec.plot.model_dump().values() if isinstance(value, str)}
    return found


def _key(column: Column, names: Mapping[str, Axis]) -> str:
    return next(key for key, axis in names.items() if (axis.name or key) == column.name)


def _chips(spec: SweepSpec) -> list[Chip]:
    """The chips that figures may belong to.

    Raises:
        RequestError: no chip is named, or one that does not exist.
    """
    axis = next((spec.axes[key] for key in ("chip", "system", "on") if key in spec.axes), None)
    fixed = [spec.fixed[key] for key in ("chip", "system", "on") if key in spec.fixed]
    if len(fixed) + (axis is not None) != 1:
        raise RequestError("a sweep names its chip once: chip (or system) is fixed, or an axis")
    values = fixed if axis is None else sampling.listed("chip", axis)
    try:
        return [chip_of(value) for value in values]
    except AccelsimError as error:
        raise RequestError(f"axis chip: {error}") from None


def _models(spec: SweepSpec) -> list[Model]:
    values = [spec.fixed["model"]] if "model" in spec.fixed else []
    if "model" in spec.axes:
        values += sampling.listed("model", spec.axes["model"])
    if not values:
        raise RequestError("a sweep names its model: fixed, or an axis")
    try:
        return [catalog.model(value) for value in values]
    except AccelsimError as error:
        raise RequestError(f"axis model: {error}") from None


def check_expressions(spec: SweepSpec) -> None:
    """Every expression reads columns that exist where it is evaluated.

    Raises:
        RequestError: one that is none.
        UnknownNameError: a column that does not exist, with the nearest.
    """
    names = {**spec.axes, **spec.parameters}
    inputs = [axis.name or key for key, axis in names.items()] + list(scalars(spec.fixed))
    for key, axis in names.items():
        for what, text in (("when", axis.when), ("derive", axis.derive)):
            if text is not None:
                expression.check(text, [n for n in inputs if n != (axis.name or key)], f"{what} of axis {key}")
    metrics = [*inputs, *COLUMNS["summary"], *known.KNOWN]
    for name, text in spec.derived.items():
        if name in metrics:
            raise RequestError(f"derived column {name}: there is a column of that name")
        expression.check(text, metrics, f"derived column {name}")
        metrics.append(name)
    for name, text in spec.constraints.items():
        expression.check(text, metrics, f"constraint {name}")
    for name in spec.objectives:
        if name not in metrics:
            raise UnknownNameError("column", name, metrics, "objective")


def _drawn(
    spec: SweepSpec,
    plain: Mapping[str, Axis],
    targets: Mapping[str, Target],
    chips: Sequence[Chip],
    models: Sequence[Model],
    given: sampling.Floats | None,
    *,
    trusted: bool,
) -> tuple[list[Column], int]:
    """Columns of all axes that have values of their own, and how many points came twice."""
    groups = [tuple(name for name in group if name in plain) for group in spec.zip]
    zipped = {name: group for group in groups for name in group}
    dimensions = list(dict.fromkeys(zipped.get(key, (key,)) for key in plain))
    grid = spec.sampling.method == "grid" and given is None
    lists: dict[str, list[Any]] = {}
    for key, axis in plain.items():
        if grid or not axis.continuous or key in zipped:
            raw = sampling.listed(key, axis)
            if trusted:
                values = [applied(targets[key], value) for value in raw]
            else:
                values = checked(key, targets[key], raw, chips, models, everywhere=axis.when is None)
            lists[key] = values if key in zipped else _unique(key, values, raw)
    for group in groups:
        lengths = {name: len(lists[name]) for name in group}
        if len(set(lengths.values())) > 1:
            raise RequestError(f"zip: axes of different lengths: {lengths}")
    places = {key: distinct(values) for key, values in lists.items()}
    if grid:
        sizes = [len(lists[group[0]]) for group in dimensions]
        total = prod(sizes)
        if total > MOST_POINTS:
            axes = " x ".join(f"{len(lists[group[0]]):,} {'+'.join(group)}" for group in dimensions)
            raise RequestError(
                f"the grid has {total:,} points ({axes}), more than {MOST_POINTS:,}: draw some of them, such as "
                '[sampling] method = "sobol", count = 4096'
            )
        codes = np.indices(sizes, dtype=np.int32).reshape(len(sizes), -1) if sizes else np.zeros((0, 1), dtype=np.int32)
        made = {name: codes[place] for place, group in enumerate(dimensions) for name in group}
        ordered = [_listed(key, axis, targets[key], places[key], made[key]) for key, axis in plain.items()]
        return ordered, _keep_first(ordered) if groups else 0
    cube = sampling.places(spec.sampling, len(dimensions)) if given is None else given
    columns: dict[str, Column] = {}
    for place, group in enumerate(dimensions):
        for key in group:
            axis = plain[key]
            if key in lists:
                drawn = (cube[:, place] * len(lists[key])).astype(np.int32)
                columns[key] = _listed(key, axis, targets[key], places[key], drawn)
            else:
                columns[key] = _continuous(key, axis, targets[key], cube[:, place], chips, models)
    ordered = [columns[key] for key in plain]
    return ordered, _keep_first(ordered) if given is None else 0


def _continuous(
    key: str, axis: Axis, to: Target, place: sampling.Floats, chips: Sequence[Chip], models: Sequence[Model]
) -> Column:
    """Values drawn between two ends; limits of a figure are intervals, so that its ends speak for what lies between."""
    first, last = sampling.ends(key, axis)
    whole = axis.integer or (to.kind == "request") or _whole_figure(to, chips)
    given = axis.range or axis.log_range or ()
    checked(key, to, [round(first), round(last)] if whole else list(given), chips, models, everywhere=axis.when is None)
    drawn = sampling.between(axis, first, last, place)
    numbers = [round(value) for value in drawn.tolist()] if whole else drawn.tolist()
    values = list(dict.fromkeys(numbers))
    index = {value: position for position, value in enumerate(values)}
    codes = np.fromiter((index[value] for value in numbers), dtype=np.int32, count=len(numbers))
    return _column(key, axis, to, values, codes)


def _whole_figure(to: Target, chips: Sequence[Chip]) -> bool:
    """Whether a figure of the chip is a whole number: another value is then refused."""
    if to.kind != "chip":
        return False
    try:
        chips[0].with_({to.path: 1.5})
    except AccelsimError:
        return True
    return False


def _unique(key: str, values: list[Any], raw: Sequence[Any]) -> list[Any]:
    _, places = distinct(values)
    for position, place in enumerate(places.tolist()):
        if place != position:  # all before are different
            raise RequestError(f"axis {key}: {raw[position]!r} stands twice")
    return values


def distinct(values: Sequence[Any]) -> tuple[list[Any], Codes]:
    """The different ones of some values in their order, and the place of each value among them."""
    found: list[Any] = []
    known: dict[Any, int] = {}
    places = []
    for value in values:
        place = known.setdefault(_mark(value), len(found))
        if place == len(found):
            found.append(value)
        places.append(place)
    return found, np.asarray(places, dtype=np.int32)


def _mark(value: Any) -> Any:
    """What equal values of one type share; tables of chips and records that hold some have no hash."""
    try:
        hash(value)
    except TypeError:
        return type(value), json.dumps(value, sort_keys=True, default=repr)
    return type(value), value


def _listed(key: str, axis: Axis, to: Target, listed: tuple[list[Any], Codes], codes: Codes) -> Column:
    """A column of values of a list, in which a zipped axis may have a value more than once."""
    values, places = listed
    return _column(key, axis, to, values, places[codes])


def _column(key: str, axis: Axis, to: Target, values: list[Any], codes: Codes) -> Column:
    return Column(
        axis.name or key, to, values, [_shown(to, value) for value in values], np.array(codes, dtype=np.int32)
    )


def _shown(to: Target, value: Any) -> Any:
    if to.kind == "request" and to.key == "chip":
        return chip_label(value)
    if isinstance(value, Model | Format):
        return value.name
    if to.kind == "request" and to.key == "model":
        return catalog.model(value).name
    if to.kind == "request" and to.key == TENSORS and isinstance(value, Mapping):
        return ",".join(f"{name}={form.name}" for name, form in tensor_formats({to: value}).items())
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _absent(design: Design, names: Mapping[str, Axis]) -> None:
    """Takes axes out of the points for which their condition is false, and points that are then equal."""
    conditional = False
    table = design.table()
    for column in design.columns:
        when = names[_key(column, names)].when
        if when is not None:
            column.codes[~expression.truth(when, table, design.count)] = ABSENT
            conditional = True
    if conditional:
        design.repeated += _keep_first(design.columns)
        design.count = len(design.columns[0].codes)


def _keep_first(columns: list[Column]) -> int:
    """Drops points that were there before; the number of them."""
    if not columns:
        return 0
    codes = np.stack([column.codes for column in columns], axis=1)
    _, first = np.unique(codes, axis=0, return_index=True)
    keep = np.sort(first)
    for column in columns:
        column.codes = column.codes[keep]
    return len(codes) - len(keep)


def _derive(
    design: Design,
    names: Mapping[str, Axis],
    targets: Mapping[str, Target],
    chips: Sequence[Chip],
    models: Sequence[Model],
) -> None:
    """Adds the axes whose values follow from others, in the order of the sweep."""
    for key, axis in names.items():
        if axis.derive is None:
            continue
        result = expression.value(axis.derive, design.table(), design.count)
        if axis.integer or targets[key].kind == "request" or _whole_figure(targets[key], chips):
            result = np.asarray([round(value) for value in result.tolist()], dtype=object)
        values, codes = np.unique(result, return_inverse=True)
        numbers = values.tolist()
        ends = numbers if len(numbers) <= 64 else [numbers[0], numbers[-1]]
        checked(key, targets[key], ends, chips, models, everywhere=axis.when is None)
        column = _column(key, axis, targets[key], numbers, codes.reshape(-1).astype(np.int32))
        if axis.when is not None:
            column.codes[~expression.truth(axis.when, design.table(), design.count)] = ABSENT
        design.columns.append(column)


def _constrain(design: Design) -> None:
    """Drops the points that constraints over inputs exclude; keeps the other constraints for the results."""
    table = design.table()
    keep = np.ones(design.count, dtype=bool)
    for name, text in design.spec.constraints.items():
        if expression.columns(text) <= table.keys():
            keep &= expression.truth(text, table, design.count)
        else:
            design.outputs[name] = text
    design.excluded = int(design.count - keep.sum())
    if not keep.any():
        raise ExcludedError(f"the constraints exclude all {design.count:,} points before any is evaluated")
    for column in design.columns:
        column.codes = column.codes[keep]
    design.costs = {name: values[keep] for name, values in design.costs.items()}
    design.count -= design.excluded


def scalars(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What is fixed, as far as an expression can use it."""
    return {key: si(value) for key, value in fixed.items() if isinstance(value, str | int | float)}
