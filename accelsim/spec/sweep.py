"""A sweep: what is varied over which values, what is held fixed, which points count, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from accelsim.spec.base import Record

Method = Literal["grid", "random", "latin_hypercube", "sobol"]
Direction = Literal["min", "max"]
PlotKind = Literal["lines", "heatmap", "pareto", "parallel", "tornado"]

KINDS: Final = ("values", "range", "log_range", "powers_of_two", "derive")
"""Keys of an axis of which it has exactly one."""


class Axis(Record):
    """The values of one axis; a plain list in a file stands for `values`.

    Attributes:
        values: a list of numbers, quantities with their unit, names, or tables (a chip with figures of its own).
        range: first and last, evenly spaced by `count` or `step`; drawn from evenly where points are sampled.
        log_range: first and last, with equal ratios between `count` values; drawn from evenly in the logarithm.
        powers_of_two: first and last of 1, 2, 4, ...
        derive: an expression over other axes that gives the value.
        count: values of a range.
        step: distance of the values of `range`.
        integer: values of a range are rounded to whole numbers; so they are where the key holds whole numbers.
        name: of its column; the dotted key by default.
        when: an expression over other axes; the axis is absent from points for which it is false.
    """

    values: tuple[Any, ...] | None = None
    range: tuple[Any, ...] | None = None
    log_range: tuple[Any, ...] | None = None
    powers_of_two: tuple[int, int] | None = None
    derive: str | None = None
    count: Annotated[int, Field(ge=2)] | None = None
    step: Any = None
    integer: bool = False
    name: str | None = None
    when: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [key for key in KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"an axis has one of {', '.join(KINDS)}; this has {' and '.join(given) or 'none'}")
        if self.values is not None and not self.values:
            raise ValueError("the axis is empty: give at least one value, or leave the axis out")
        for key in ("range", "log_range"):
            if (ends := getattr(self, key)) is not None and len(ends) != 2:
                raise ValueError(f"{key} holds the first and the last value, not {len(ends)} values")
        if self.powers_of_two is not None:
            first, last = self.powers_of_two
            if any(value < 1 or value & (value - 1) for value in (first, last)) or first > last:
                raise ValueError(
                    f"powers_of_two = [{first}, {last}]: expected two rising powers of two, such as [1, 64]"
                )
        if self.range is None and self.step is not None:
            raise ValueError("step belongs to range")
        if self.range is None and self.log_range is None and self.count is not None:
            raise ValueError("count belongs to range and log_range")
        if self.step is not None and self.count is not None:
            raise ValueError("a range has either count or step")
        return self

    @property
    def continuous(self) -> bool:
        """Whether sampling may draw any value between two ends."""
        return self.log_range is not None or (self.range is not None and self.step is None)


class Sampling(Record):
    """Which points of the space are evaluated.

    Attributes:
        method: all ("grid"), or `count` points that are drawn.
        count: points to draw; none for a grid.
        seed: of the draw.
    """

    method: Method = "grid"
    count: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _count_where_drawn(self) -> Self:
        if (self.method == "grid") != (self.count is None):
            what = "needs count, the number of points" if self.count is None else "takes no count: it has all points"
            raise ValueError(f"method {self.method!r} {what}")
        return self


class Question(Record):
    """What the sweep is about, in words.

    Attributes:
        text: the question.
        minutes: how long it takes, on a laptop.
    """

    text: str
    minutes: float | None = None


class Plot(Record):
    """The picture that goes with the frame; columns by name.

    Attributes:
        kind: "lines" (y over x, a line per `color`), "heatmap" (`value` over x and y), "pareto" (x against y, the
            front marked), "parallel" (coordinates of all axes and objectives) or "tornado" (effect of each axis on y).
        x: column on the horizontal axis.
        y: column on the vertical axis.
        color: column that tells lines or points apart.
        facet: column that gives a panel to each of its values.
        value: column that colours a heat map.
        log: which of "x", "y" are logarithmic.
        title: in place of the question.
    """

    kind: PlotKind = "lines"
    x: str | None = None
    y: str | None = None
    color: str | None = None
    facet: str | None = None
    value: str | None = None
    log: tuple[Literal["x", "y"], ...] = ()
    title: str | None = None


class SweepSpec(Record):
    """A sweep as its file has it.

    Attributes:
        question: what it is about.
        fixed: keys that all points share; a value that an axis could have.
        axes: dotted key of chip, model, request or format -> its values.
        parameters: free names -> values, for `derive` and `when` of axes and for constraints.
        zip: groups of axes that go through their values together.
        sampling: which points are evaluated.
        constraints: name -> expression; those over inputs alone exclude points before they are evaluated.
        derived: name of a further column -> expression over columns.
        objectives: metric or derived column -> "min" or "max".
        plot: the picture.
    """

    question: Question | None = None
    fixed: dict[str, Any] = Field(default_factory=dict)
    axes: dict[str, Axis] = Field(min_length=1)
    parameters: dict[str, Axis] = Field(default_factory=dict)
    zip: tuple[tuple[str, ...], ...] = ()
    sampling: Sampling = Sampling()
    constraints: dict[str, str] = Field(default_factory=dict)
    derived: dict[str, str] = Field(default_factory=dict)
    objectives: dict[str, Direction] = Field(default_factory=dict)
    plot: Plot | None = None

    @field_validator("axes", "parameters", mode="before")
    @classmethod
    def _flat(cls, tables: Any) -> Any:
        """Nested tables as dotted keys; a bare list as `values`."""
        return dict(_flattened(tables)) if isinstance(tables, Mapping) else tables

    @field_validator("fixed", mode="before")
    @classmethod
    def _flat_values(cls, table: Any) -> Any:
        return dict(_flattened_values(table)) if isinstance(table, Mapping) else table

    @field_validator("zip", mode="before")
    @classmethod
    def _groups(cls, groups: Any) -> Any:
        return tuple(tuple(group) if isinstance(group, list) else group for group in groups)

    @field_validator("constraints", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """A list of expressions names itself."""
        return {text: text for text in given} if isinstance(given, (list, tuple)) else given

    @model_validator(mode="after")
    def _keys_once(self) -> Self:
        for key in self.axes:
            if key in self.fixed:
                raise ValueError(f"{key} is both fixed and an axis")
        known = {**self.axes, **self.parameters}
        seen: set[str] = set()
        for group in self.zip:
            for name in group:
                if name not in known:
                    raise ValueError(f"zip names {name!r}, which is no axis; axes: {', '.join(known)}")
                if name in seen:
                    raise ValueError(f"zip names {name!r} twice")
                seen.add(name)
        names = [axis.name or key for key, axis in known.items()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two axes have the column {name!r}")
        return self


_AXIS_KEYS: Final = frozenset(Axis.model_fields)


def _flattened(tables: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tables.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and not _is_axis(value):
            found += _flattened(value, f"{path}.")
        else:
            found.append((path, {"values": value} if isinstance(value, (list, tuple)) else _lists(value)))
    return found


def _is_axis(table: Mapping[str, Any]) -> bool:
    """Whether a table describes an axis; in `sm.count = [66, 132]` the key `count` is a figure, and holds no number."""
    kinds = set(table) & set(KINDS)
    return bool(kinds) or any(not isinstance(table[key], Mapping | list | tuple) for key in set(table) & _AXIS_KEYS)


def _lists(value: Any) -> Any:
    return (
        {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()} if isinstance(value, Mapping) else value
    )


def _flattened_values(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Values by dotted key; a table that describes a chip (`base` or `family`) is a value."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and not {"base", "family"} & set(value):
            found += _flattened_values(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
