"""Whole-model roofline of many design points at once.

Points may differ in request (batch, prompt, generate), formats, and in the chip figures of
`accelsim.mapping.gpu.figures.COLUMNS`. What changes the graph, the formats, is grouped; the rest are columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.devices.families import device_for
from accelsim.errors import RequestError, UnknownNameError
from accelsim.evaluate import roofline
from accelsim.evaluate.outcome import closed_totals, request_figures
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of, reachable, separate
from accelsim.evaluate.summary import summarise
from accelsim.graph.attention import Formats
from accelsim.graph.numbers import maximum
from accelsim.graph.operator import Graph
from accelsim.graph.routing import Routing
from accelsim.mapping.gpu.figures import COLUMNS
from accelsim.spec.calibration import Conditions
from accelsim.spec.chip import Chip
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model

REQUEST: Final = ("batch", "prompt", "generate")
FORMATS: Final = ("weights", "activations", "kv_cache")
CHUNK: Final = 4096
"""Points evaluated together: temporaries of one operator then stay in the processor's cache."""

Column = npt.NDArray[Any]


def evaluate_points(
    model: Model,
    chip: Chip,
    points: Mapping[str, Any],
    *,
    logits: str = "last",
    routing: Routing | None = None,
    fuse: bool = True,
) -> dict[str, Column]:
    """The summary metrics of every point, as `simulate(fidelity="roofline")` gives them.

    Args:
        model: the model.
        chip: the chip that points vary.
        points: column name -> values or one value for all. Names: batch, prompt, generate; weights,
            activations, kv_cache (names of formats); dotted chip figures in SI units.
        logits: as in `simulate`.
        routing: popularity of experts, uniform if not given.
        fuse: as in `simulate`.

    Returns:
        Metric -> array with one value per point. Metrics of points whose formats the chip cannot
        multiply are NaN; points that do not fit are priced and say `fits` = False.

    Raises:
        UnknownNameError: a column that is none of these.
        RequestError: columns of different lengths, or a request below 1.
    """
    known = (*REQUEST, *FORMATS, *COLUMNS)
    for name in points:
        if name not in known:
            raise UnknownNameError("column", name, known, hint=f"columns: {', '.join(known)}")
    lengths = {name: len(values) for name, values in points.items() if np.ndim(values)}
    if len(set(lengths.values())) > 1:
        raise RequestError(f"points: columns of different lengths: {lengths}")
    count = next(iter(lengths.values()), 1)
    columns = {
        name: np.asarray(points.get(name, default), dtype=float)
        for name, default in zip(REQUEST, (1, 2048, 2), strict=True)
    }
    for name, values in columns.items():
        if np.any(values < (0 if name == "generate" else 1)) or np.any(values != np.floor(values)):
            raise RequestError(f"points: {name} must be whole numbers of at least {0 if name == 'generate' else 1}")
    columns |= {name: np.asarray(points[name], dtype=float) for name in COLUMNS if name in points}
    result: dict[str, Column] = {}
    for names, chosen in _by_formats(points, count):
        formats = formats_of(chip, *names)
        for start in range(0, len(chosen), CHUNK):
            part = chosen[start : start + CHUNK]
            mine = {name: (values[part] if values.ndim else float(values)) for name, values in columns.items()}
            priced = price(
                model, chip, formats, mine, len(part), logits=logits, routing=routing or Routing(), fuse=fuse
            )
            if priced.metrics is None:
                continue
            for name, values in priced.metrics.items():
                if name not in result:
                    result[name] = np.zeros(count, dtype=bool) if name == "fits" else np.full(count, np.nan)
                result[name][part] = values
    return result


@dataclass(frozen=True, slots=True)
class PricedPoints:
    """Design points of one model, one chip and one triple of formats, a column per figure.

    Attributes:
        metrics: the summary of `simulate`; columns, or numbers that all points share. None where the chip cannot
            compute the model.
        refusal: why it cannot, or None.
        weights_bytes: weights.
        kv_cache_bytes: keys and values in the phase that needs most memory.
        activations_bytes: working set there.
        capacity_bytes: what there is.
    """

    metrics: dict[str, Any] | None
    refusal: Infeasible | None
    weights_bytes: Column
    kv_cache_bytes: Column
    activations_bytes: Column
    capacity_bytes: Column

    @property
    def fits(self) -> Column:
        """Whether the memory holds a point."""
        needed: Column = self.weights_bytes + self.kv_cache_bytes + self.activations_bytes
        return needed <= self.capacity_bytes


def price(
    model: Model,
    chip: Chip,
    formats: Formats,
    columns: Mapping[str, Any],
    count: int,
    *,
    logits: str,
    routing: Routing,
    fuse: bool,
    scales: str = "dynamic",
    conditions: Conditions | None = None,
    overrides: tuple[tuple[str, Format], ...] = (),
) -> PricedPoints:
    """The points of one group, all at once; at most `CHUNK` of them keep the temporaries in the cache.

    Args:
        model: the model.
        chip: the chip that points vary.
        formats: of all points.
        columns: batch, prompt, generate and figures of the chip: numbers, or arrays of `count` values.
        count: number of points.
        logits: as in `simulate`.
        routing: popularity of experts.
        fuse: as in `simulate`.
        scales: as in `simulate`.
        conditions: library, residency, clock and launch of a GPU's kernels.
        overrides: formats of single tensors by name.
    """
    mine = {name: values[:, None] if np.ndim(values) else float(values) for name, values in columns.items()}
    bits = {form.name: form.bits for form in reachable(chip, formats, (form for _, form in overrides))}
    generate = mine["generate"] if model.generates else 0.0
    passes = scales if separate(chip) else None
    work = Work(
        model, formats, mine["batch"], mine["prompt"], generate, logits, routing, fuse, passes, overrides=overrides
    )
    figures = {name: mine[name] for name in COLUMNS if name in mine}
    device = device_for(chip, bits, figures, conditions=conditions)
    weights, cache, held = _footprint(work, count)
    totals = roofline.evaluate(work, device, count)
    asked = request_figures(work, device)
    capacity = np.broadcast_to(asked["capacity_bytes"], (count,))
    if isinstance(totals, Infeasible):
        return PricedPoints(None, totals, weights, cache, held, capacity)
    metrics = summarise(closed_totals(totals, work, device), **asked, events=0)
    return PricedPoints(metrics, None, weights, cache, held, capacity)


def _footprint(work: Work, count: int) -> tuple[Column, Column, Column]:
    """Bytes of weights, KV cache and working set, in the phase of each point that needs most."""

    def columns(phase: str, graph: Graph) -> tuple[Column, ...]:
        figures = work.footprint(phase, graph)
        return tuple(np.broadcast_to(np.ravel(value) if np.ndim(value) else value, (count,)) for value in figures)

    first = columns(work.first, work.prefill())
    if not np.any(np.asarray(work.generate) > 1):
        return first[0], first[1], first[2]
    last = columns("decode", work.decode(maximum(work.generate - 1, 1)))
    runs = np.broadcast_to(np.ravel(work.generate), (count,)) > 1
    more = runs & (last[0] + last[1] + last[2] > first[0] + first[1] + first[2])
    return first[0], np.where(more, last[1], first[1]), np.where(more, last[2], first[2])


def _by_formats(points: Mapping[str, Any], count: int) -> Iterator[tuple[tuple[Any, ...], npt.NDArray[np.intp]]]:
    """Groups of points with one triple of formats."""
    codes = np.zeros(count, dtype=np.intp)
    tables: list[list[Any]] = []
    for name in FORMATS:
        values: Any = points.get(name)
        if values is None or np.ndim(values) == 0:
            tables.append([values])
            continue
        table = list(dict.fromkeys(values))
        index = {value: position for position, value in enumerate(table)}
        codes = codes * len(table) + np.fromiter((index[value] for value in values), dtype=np.intp, count=count)
        tables.append(table)
    for code in np.unique(codes):
        rest, names = int(code), []
        for table in reversed(tables):
            rest, position = divmod(rest, len(table)) if len(table) > 1 else (rest, 0)
            names.append(table[position])
        yield tuple(reversed(names)), np.flatnonzero(codes == code)
