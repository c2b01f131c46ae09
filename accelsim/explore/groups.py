"""Points that share model, chip and formats: resolved once, with figures that differ as columns, and their keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog, simulation
from accelsim.errors import AccelsimError, RequestError
from accelsim.evaluate import offload
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of
from accelsim.explore.content import digest, format_digest, model_digest, tables_of, written
from accelsim.explore.design import Column, Design
from accelsim.explore.known import ABSENT
from accelsim.explore.targets import FORMATS, TENSORS, changed_chip, chip_of, format_of, target, tensor_formats
from accelsim.graph import routing
from accelsim.graph.attention import Formats
from accelsim.graph.routing import Routing
from accelsim.mapping.gpu.figures import COLUMNS as FIGURES
from accelsim.mapping.gpu.offload import HostTier
from accelsim.simulation import DEFAULT_GENERATE, hosted
from accelsim.spec.calibration import Conditions, Residency
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.model import Model

CONDITIONS: Final = ("library", "residency", "clock", "launch")
"""Keywords that make up `Conditions`, in its order."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "batch": 1, "prompt": 2048, "generate": None, "seed": 0, "fidelity": "event", "convention": "corrected",
    "logits": "last", "routing": "uniform", "fuse": True, "streams": "one", "fold": True, "flash": None, "chips": 1,
    "host": None, "library": None, "residency": None, "clock": None, "launch": "graph", "scales": "dynamic",
    "offload": "none", "tensor_formats": None,
    "weights": None, "activations": None, "kv_cache": None,
}  # fmt: skip
"""What `simulate` takes where a sweep says nothing."""

SIZES: Final = ("batch", "prompt", "generate")
"""Numbers of a request that differ within a group."""

_MARK: Final = "\x00"

_PLACES: dict[tuple[str, str], tuple[str, ...]] = {}
"""Chip and figure -> where the figure stands in the chip's content."""

Contents = dict[tuple[Chip, str | None], tuple[Mapping[str, object], str]]
"""Content of the chips of a sweep, each with the library that runs on it, and its digest."""


@dataclass(slots=True)
class Group:
    """Points with one model, one chip apart from the figures in `figures`, and one triple of formats.

    Attributes:
        model: the model.
        chip: the chip, with host and all figures that are no columns.
        formats: as named; None is the chip's native one.
        request: further keywords of `simulate`.
        sizes: batch, prompt and generate: one number, or one per point.
        figures: dotted figures of the chip, one value per point.
        rows: positions of the points in the design.
        resolved: the formats of the run; None under conventions that have their own.
        tier: the memory of a host that keeps a part of what a GPU needs.
        tables: the content of the chip, as `tables_of` gives it.
        chip_digest: of them.
    """

    model: Model
    chip: Chip
    formats: dict[str, Format | None]
    request: dict[str, Any]
    sizes: dict[str, npt.NDArray[np.int64]]
    figures: dict[str, npt.NDArray[Any]]
    rows: npt.NDArray[np.intp]
    resolved: Formats | None
    tier: HostTier | None
    tables: Mapping[str, object]
    chip_digest: str

    @property
    def vectorised(self) -> bool:
        """Whether the points are priced as columns, all at once."""
        request = self.request
        return (
            request["fidelity"] == "roofline"
            and request["convention"] == "corrected"
            and request["chips"] == 1
            and request["flash"] is None
            and self.tier is None
            and isinstance(self.chip, GpuChip)
        )

    def designs(self) -> list[str]:
        """The digest of everything that can change the result of each point, code apart."""
        template, tables = self._template()
        sizes = [self.sizes[name].tolist() for name in SIZES]
        figures = {name: values.tolist() for name, values in self.figures.items()}
        made: list[str] = []
        known: list[dict[Any, str]] = [{} for _ in tables]
        for place in range(len(self.rows)):
            parts = [template[0]]
            for (pieces, names), cache, rest in zip(tables, known, template[1:], strict=False):
                values = tuple(figures[name][place] for name in names)
                found = cache.get(values)
                if found is None:
                    text = pieces[0] + "".join(_leaf(v) + p for v, p in zip(values, pieces[1:], strict=True))
                    found = cache[values] = hashlib.sha256(text.encode()).hexdigest()
                parts += (found, rest)
            parts.append(f"{sizes[0][place]},{sizes[1][place]},{sizes[2][place]}")
            made.append(hashlib.sha256("".join(parts).encode()).hexdigest())
        return made

    def _template(self) -> tuple[list[str], list[tuple[list[str], list[str]]]]:
        """The text that is hashed, cut where digests of varied tables go; and those tables, cut where figures go."""
        base = self.tables
        varied: dict[str, dict[str, tuple[str, ...]]] = {}
        for name in self.figures:
            path = leaf(self.chip, base, name, self.request["library"])
            varied.setdefault(path[0], {})[name] = path[1:]
        content = {
            "chip": {key: _MARK if key in varied else digest(table) for key, table in base.items()},
            "model": model_digest(self.model),
            "formats": self._format_digests(),
            "request": {
                key: asdict(value) if isinstance(value, Routing | Residency) else value
                for key, value in self.request.items()
                if key not in ("host", "library", "offload", TENSORS)  # chip and tier hold what these name
            },
            "tensors": [[name, format_digest(form)] for name, form in (self.request[TENSORS] or {}).items()],
            "tier": self.tier and {**asdict(self.tier), "host": ""},
        }
        cut = written(content).split(json.dumps(_MARK))
        marked = sorted(varied)  # tables stand in the text in the order of their names
        first = [piece + '"' if place < len(cut) - 1 else piece for place, piece in enumerate(cut)]
        template = [('"' if place else "") + piece for place, piece in enumerate(first)]
        tables = []
        for key in marked:
            names = list(varied[key])
            text = written(_replaced(base[key], {varied[key][name]: f"{_MARK}{i}" for i, name in enumerate(names)}))
            pieces, order = _cut(text, names)
            tables.append((pieces, order))
        return template, tables

    def _format_digests(self) -> dict[str, Any]:
        if self.resolved is None:
            return {name: form and format_digest(form) for name, form in self.formats.items()}
        return {name: format_digest(getattr(self.resolved, name)) for name in (*FORMATS, "wide")}


def key_of(design: str, version: str) -> str:
    """The key of a point: what it is, and the code that computes it."""
    return hashlib.sha256(f"{version}:{design}".encode()).hexdigest()


def leaf(chip: Chip, base: Mapping[str, object], name: str, library: str | None = None) -> tuple[str, ...]:
    """Where in the content of a chip a dotted figure stands.

    Found by changing it; for further variants of a chip the place is only looked at.

    Raises:
        RequestError: nowhere, or in more than one place.
    """
    known = _PLACES.get((chip.name, name))
    current = float(_value(chip, name))
    if known is not None and _at(base, known) == current:
        return known
    found = _PLACES[chip.name, name] = _leaf_of(chip, base, name, library, current or 1.0)
    return found


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _leaf_of(
    chip: Chip, base: Mapping[str, object], name: str, library: str | None, current: float
) -> tuple[str, ...]:  # fmt: skip
    for factor in (2, 0.5):
        probe = round(current * factor) if _whole(chip, name) else current * factor
        try:
            other = tables_of(chip.with_({name: probe}), library)
        except AccelsimError:
            continue
        found = list(_differences(base, other))
        if len(found) == 1:
            return found[0]
    raise RequestError(f"axis {name}: {chip.name} derives other figures from it; it cannot be a column")


def _value(chip: Chip, name: str) -> float:
    from accelsim.mapping.gpu.figures import GpuFigures

    assert isinstance(chip, GpuChip)
    return float(np.ravel(GpuFigures(chip, {})[name])[0])


def _whole(chip: Chip, name: str) -> bool:
    try:
        chip.with_({name: 1.5})
    except AccelsimError:
        return True
    return False


def _differences(first: Any, second: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in first:
            yield from _differences(first[key], second.get(key), (*path, key))
    elif first != second:
        yield path


def _replaced(content: Any, marks: Mapping[tuple[str, ...], str], path: tuple[str, ...] = ()) -> Any:
    if path in marks:
        return marks[path]
    if isinstance(content, Mapping):
        return {key: _replaced(item, marks, (*path, key)) for key, item in content.items()}
    return content


def _cut(text: str, names: list[str]) -> tuple[list[str], list[str]]:
    """The text between marks, and the figures in the order in which their marks stand."""
    pieces, order = [], []
    mark = json.dumps(_MARK)[:-1]
    for position, piece in enumerate(text.split(mark)):
        if position:
            number, _, piece = piece.partition('"')
            order.append(names[int(number)])
        pieces.append(piece)
    return pieces, order


def _leaf(value: Any) -> str:
    return f'"{value.hex()}"' if isinstance(value, float) else str(value)


def groups_of(design: Design) -> list[Group]:
    """The groups of a design, in the order of their first points.

    Raises:
        RequestError: a combination of values that is not allowed, with the values.
    """
    per_point = [column for column in design.columns if _is_column(column, design)]
    structural = [
        c for c in design.columns if not any(c is other for other in per_point) and c.target.kind != "parameter"
    ]
    codes = np.stack([column.codes for column in structural], axis=1) if structural else np.zeros((design.count, 1))
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    by_group = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[by_group], np.arange(len(first) + 1))
    contents: Contents = {}
    made = []
    for number in np.argsort(first, kind="stable"):
        rows = np.sort(by_group[bounds[number] : bounds[number + 1]])
        made.append(_group(design, structural, per_point, rows, contents))
    return made


def _is_column(column: Column, design: Design) -> bool:
    """Whether an axis differs from point to point within a group."""
    to = column.target
    if to.kind == "request" and to.key in SIZES:
        return True
    return to.kind == "chip" and to.path in FIGURES and _all_gpus(design) and not np.any(column.codes == ABSENT)


def _all_gpus(design: Design) -> bool:
    chips = [value for column in design.columns if column.target.key == "chip" and not column.target.path
             and column.target.kind == "request" for value in column.values]  # fmt: skip
    chips += [value for key, value in design.fixed.items() if target(key) == target("chip")]
    return all(isinstance(chip_of(value), GpuChip) for value in chips)


def _group(
    design: Design, structural: list[Column], per_point: list[Column], rows: npt.NDArray[np.intp], contents: Contents
) -> Group:
    chosen: dict[Any, Any] = {target(key): value for key, value in design.fixed.items()}
    for column in structural:
        code = int(column.codes[rows[0]])
        if code != ABSENT:
            chosen[column.target] = column.values[code]
    said = ", ".join(f"{c.name} = {c.shown[c.codes[rows[0]]]}" for c in structural if c.codes[rows[0]] != ABSENT)
    try:
        return _resolved(chosen, per_point, rows, contents)
    except AccelsimError as error:
        raise RequestError(f"at {said or 'every point'}: {error}") from None


def _resolved(
    chosen: Mapping[Any, Any], per_point: list[Column], rows: npt.NDArray[np.intp], contents: Contents
) -> Group:
    keywords = {to.key: value for to, value in chosen.items() if to.kind == "request"}
    changes = {to.path: value for to, value in chosen.items() if to.kind == "model"}
    request = {key: keywords.get(key, default) for key, default in DEFAULTS.items() if key not in (*SIZES, *FORMATS)}
    if request["convention"] == "corrected":
        request["routing"] = routing.parse(request["routing"], request["seed"])
    model, chip = catalog.model(keywords["model"], changes or None), changed_chip(chosen)
    kept = tuple(name for name in request["offload"].split("+") if name != "none")
    tier = offload.tier(chip, kept, request["host"])
    if tier is None:
        chip = hosted(chip, request["host"])
    request |= {"host": catalog.chip(request["host"]) if tier else None, "offload": kept}
    _conditions(request, chip)
    formats = {name: format_of(chosen, name) for name in FORMATS}
    request[TENSORS] = tensor_formats(chosen) or None
    corrected = request["convention"] == "corrected"
    resolved = formats_of(chip, *formats.values()) if corrected else None
    if request[TENSORS] and resolved:  # built once here for its names: a tensor that is not there is told before a run
        own = tuple(request[TENSORS].items())
        Work(model, resolved, 1, 1, 0, "last", routing.Routing(), request["fuse"], overrides=own).prefill()
    sizes: dict[str, npt.NDArray[np.int64]] = {}
    default = DEFAULT_GENERATE if model.generates else 0
    for name in SIZES:
        fixed = keywords.get(name, DEFAULTS[name])
        sizes[name] = np.full(len(rows), default if fixed is None else fixed, dtype=np.int64)
    figures: dict[str, npt.NDArray[Any]] = {}
    for column in per_point:
        values = np.asarray(column.values)[column.codes[rows]]
        if column.target.kind == "chip":
            figures[column.target.path] = values
        else:
            here = column.codes[rows] != ABSENT
            sizes[column.target.key] = np.where(here, values, sizes[column.target.key]).astype(np.int64)
    if not model.generates:
        sizes["generate"] = np.zeros(len(rows), dtype=np.int64)
    sheet = (chip, request["library"])
    if sheet not in contents:
        tables = tables_of(*sheet)
        contents[sheet] = (tables, digest(tables))
    return Group(model, chip, formats, request, sizes, figures, rows, resolved, tier, *contents[sheet])


def _conditions(request: dict[str, Any], chip: Chip) -> None:
    """Puts what `simulate` takes in place of a clock that is not named; refuses conditions that a chip does not have.

    Raises:
        RequestError: library, residency, clock or launch on what is no GPU.
    """
    whole = chip if request["fidelity"] == "event" else None
    asked = simulation.conditions_of(whole, *(request[key] for key in CONDITIONS))
    request |= {"clock": asked.clock, "residency": asked.residency}
    if not isinstance(chip, GpuChip) and asked != Conditions():
        raise RequestError(f"{chip.name}: library, residency, clock and launch are conditions of GPU kernels")


def conditions_of(request: Mapping[str, Any]) -> Conditions:
    """The conditions of a request of a group."""
    return Conditions(*(request[key] for key in CONDITIONS))
