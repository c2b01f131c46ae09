"""Points on their way to a worker: records and numbers, no paths; and their evaluation there."""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from accelsim.errors import AccelsimError
from accelsim.evaluate.memo import Memo
from accelsim.evaluate.memory import too_much
from accelsim.evaluate.points import price
from accelsim.explore.content import digest, tables_of
from accelsim.explore.groups import SIZES, Group, conditions_of
from accelsim.explore.outcome import Outcome
from accelsim.explore.version import model_version
from accelsim.results import COLUMNS
from accelsim.results.columns import TRUTH, WHOLE
from accelsim.simulation import simulate
from accelsim.spec.chip import Chip
from accelsim.spec.format import Format
from accelsim.spec.model import Model

METRICS: Final = tuple(COLUMNS["summary"])
"""Names of the metrics of a point, in order."""


class VersionError(AccelsimError):
    """A worker whose code or catalogue is not the driver's."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the points of a group share, as a worker gets it.

    Attributes:
        model: the model.
        chip: the chip.
        chip_digest: of the chip with all that it names in the driver's catalogue.
        formats: weights, activations, kv_cache; None is native.
        vectorised: whether the points are priced as columns.
        resolved: formats with defaults resolved, where priced as columns.
        library: whose kernels run on a GPU; None for its default.
    """

    model: Model
    chip: Chip
    chip_digest: str
    formats: Mapping[str, Format | None]
    vectorised: bool
    resolved: Any
    library: str | None


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one group.

    Attributes:
        shared: `Shared`, pickled once for all batches with that chip and model.
        request: further keywords of `simulate`.
        version: the driver's `model_version`.
        keys: the points.
        columns: batch, prompt, generate and figures of the chip: one value per point.
        vectorised: whether they are priced all at once.
    """

    shared: bytes
    version: str
    keys: tuple[str, ...]
    columns: Mapping[str, tuple[Any, ...]]
    request: Mapping[str, Any]
    vectorised: bool = False

    def evaluate(self) -> Iterator[list[Outcome]]:
        """Outcomes: of columns all at once, of simulations one after the other.

        Raises:
            VersionError: the worker is not the driver's equal.
        """
        if self.version != model_version():
            raise VersionError(
                f"the worker {_worker()} runs other code ({model_version()}) than the driver ({self.version}): install "
                "the same accelsim on both"
            )
        shared = _shared(self.shared)
        yield from _together(self, shared) if shared.vectorised else _one_by_one(self, shared)

    @property
    def in_turn(self) -> bool:
        """Whether points are evaluated one after the other."""
        return not self.vectorised

    def only(self, keys: Collection[str]) -> Points:
        """The same with some of the points."""
        wanted = set(keys)
        kept = [place for place, key in enumerate(self.keys) if key in wanted]
        columns = {name: tuple(values[place] for place in kept) for name, values in self.columns.items()}
        return replace(self, keys=tuple(self.keys[place] for place in kept), columns=columns)


@dataclass(frozen=True, slots=True)
class Joined:
    """Points of several groups that are simulated one after the other.

    Attributes:
        parts: the points of each group.
    """

    parts: tuple[Points, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The points."""
        return tuple(key for part in self.parts for key in part.keys)

    def evaluate(self) -> Iterator[list[Outcome]]:
        """Outcomes, one by one."""
        for part in self.parts:
            yield from part.evaluate()

    @property
    def in_turn(self) -> bool:
        """Points are evaluated one after the other."""
        return True

    def only(self, keys: Collection[str]) -> Joined:
        """The same with some of the points."""
        kept = (part.only(keys) for part in self.parts)
        return Joined(tuple(part for part in kept if part.keys))


def shared_of(group: Group) -> bytes:
    """What the points of a group share, ready to be sent."""
    content = Shared(
        model=group.model,
        chip=group.chip,
        chip_digest=group.chip_digest,
        formats=group.formats,
        vectorised=group.vectorised,
        resolved=group.resolved,
        library=group.request["library"],
    )
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


def columns_of(group: Group, places: Sequence[int]) -> dict[str, tuple[Any, ...]]:
    """Sizes and figures of some points of a group."""
    chosen = np.asarray(places, dtype=np.intp)
    return {name: tuple(values[chosen].tolist()) for name, values in {**group.sizes, **group.figures}.items()}


@lru_cache(maxsize=64)
def _shared(content: bytes) -> Shared:
    shared: Shared = pickle.loads(content)
    _check(shared.chip, shared.library, shared.chip_digest)
    return shared


@lru_cache(maxsize=64)
def _check(chip: Chip, library: str | None, expected: str) -> None:
    """Refuses a chip that means something else here than where the keys were made."""
    if digest(tables_of(chip, library)) != expected:
        raise VersionError(
            f"the worker {_worker()} has other descriptions than the driver of what {chip.name} names (parts, DRAM, "
            "formats, kernels): install the same accelsim on both"
        )


@lru_cache(maxsize=1)
def _memo() -> Memo:
    return Memo()


@lru_cache(maxsize=32)
def _chip(shared: bytes, figures: tuple[tuple[str, Any], ...]) -> Chip:
    chip = _shared(shared).chip
    return chip.with_(dict(figures)) if figures else chip


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()


def _worker() -> str:
    return f"{_host()}:{os.getpid()}"


def _one_by_one(points: Points, shared: Shared) -> Iterator[list[Outcome]]:
    names = [name for name in points.columns if name not in SIZES]
    for place, key in enumerate(points.keys):
        began = time.perf_counter()
        sizes = {name: int(points.columns[name][place]) for name in SIZES}
        figures = tuple((name, points.columns[name][place]) for name in names)
        yield [_simulated(key, points, shared, sizes, figures, began)]


def _simulated(
    key: str,
    points: Points,
    shared: Shared,
    sizes: Mapping[str, int],
    figures: tuple[tuple[str, Any], ...],
    began: float,
) -> Outcome:
    request: dict[str, Any] = {**sizes, **shared.formats, **points.request, "memo": _memo()}
    try:
        chip = _chip(points.shared, figures)
        run = simulate(shared.model, chip, **request)
    except Exception as error:  # noqa: BLE001 - whatever a point raises is the result of that point
        return Outcome(key, "failed", f"{type(error).__name__}: {error}", None, time.perf_counter() - began, _worker())
    elapsed = time.perf_counter() - began
    if run.infeasible is not None:
        return Outcome(key, "infeasible", run.infeasible.reason, None, elapsed, _worker())
    return Outcome(key, "ok", "", tuple(run.summary[name] for name in METRICS), elapsed, _worker())


def _together(points: Points, shared: Shared) -> Iterator[list[Outcome]]:
    began = time.perf_counter()
    request = points.request
    columns = {name: np.asarray(values, dtype=float) for name, values in points.columns.items()}
    try:
        priced = price(
            shared.model,
            shared.chip,
            shared.resolved,
            columns,
            len(points.keys),
            logits=request["logits"],
            routing=request["routing"],
            fuse=request["fuse"],
            scales=request["scales"],
            conditions=conditions_of(request),
            overrides=tuple((request["tensor_formats"] or {}).items()),
        )
    except Exception:  # noqa: BLE001 - one of them, which the slow way will tell
        yield from _one_by_one(points, shared)
        return
    count = len(points.keys)
    worker = _worker()
    fits = priced.fits.tolist()
    rows = _rows(priced.metrics, count)
    each = (time.perf_counter() - began) / count
    outcomes = []
    for place, key in enumerate(points.keys):
        if not fits[place]:
            reason = too_much(
                float(priced.weights_bytes[place]),
                float(priced.kv_cache_bytes[place]),
                float(priced.activations_bytes[place]),
                float(priced.capacity_bytes[place]),
                shared.chip.name,
            )
            outcomes.append(Outcome(key, "infeasible", reason, None, each, worker))
        elif priced.refusal is not None:
            outcomes.append(Outcome(key, "infeasible", priced.refusal.reason, None, each, worker))
        else:
            outcomes.append(Outcome(key, "ok", "", rows[place], each, worker))
    yield outcomes


def _rows(metrics: Mapping[str, Any] | None, count: int) -> list[tuple[Any, ...]]:
    """A tuple of metrics per point, whole numbers and truths as such."""
    if metrics is None:
        return []
    columns = []
    for name in METRICS:
        values: list[Any] = np.broadcast_to(metrics[name], (count,)).tolist()
        if name in WHOLE["summary"]:
            values = [int(value) for value in values]
        elif name in TRUTH:
            values = [bool(value) for value in values]
        else:
            values = [float(value) for value in values]
        columns.append(values)
    return list(zip(*columns, strict=True))
