"""The weights of a model as an execution reads them: found by name, checked, brought to their format, kept packed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError, did_you_mean
from accelsim.execution.lanes import Lanes
from accelsim.execution.matrix import Prepared
from accelsim.execution.mixtures import mixed
from accelsim.execution.panels import Codes, Matrix, Panels, Scaled, Values
from accelsim.execution.plan import TensorPlan, Unit
from accelsim.execution.stored import converter, decoded, largest, valued
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import Format
from accelsim.spec.format.mixture import MixtureFormat
from accelsim.spec.model import Model
from accelsim.weights import schemes
from accelsim.weights.checkpoint import Checkpoint

Array = NDArray[Any]
Given = Mapping[str, Any]
"""Tensors by Hugging Face name: arrays, or `Encoded` for what is quantised already."""

_NUMBERS: Final = frozenset({"bf16", "fp16", "fp32", "float16", "float32", "float64"})

_BYTE: Final = 8

KEPT_BYTES: Final = 4 << 20
"""Operands that stay decoded between calls; beyond that they are decoded each time."""


class Weights:
    """Weights of one model.

    Args:
        model: its shape.
        given: tensors by name; an array may be anything that `np.asarray` takes, also lazily.
        keep_bytes: decoded operands that are kept at most.

    Attributes:
        clipped: elements beyond the range of a format without scales, and all, by tensor and format.

    Raises:
        RequestError: a family that is not executed.
    """

    def __init__(self, model: Model, given: Given, keep_bytes: int = KEPT_BYTES) -> None:
        if model.values is None or model.family not in schemes.SCHEMES:
            raise RequestError(
                f"{model.name}: the family {model.family} (with its settings) is priced but not executed; executed are "
                f"{', '.join(sorted(schemes.SCHEMES))} with plain, linear or llama3 rotary scaling"
            )
        self._model, self._given, self._keep = model, given, keep_bytes
        self._packed: dict[tuple[object, ...], Scaled | Codes] = {}
        self._ready: dict[tuple[object, ...], tuple[Prepared, ...]] = {}
        self._ready_bytes = 0
        self.clipped: dict[tuple[str, Format], tuple[int, int]] = {}

    def matrix(
        self, layer: int | None, plan: TensorPlan, unit: Unit, shape: tuple[int, ...], *, tied: bool
    ) -> Iterable[Prepared]:
        """A [k, n] matrix as the unit takes it, in panels of columns.

        Args:
            layer: its layer, None for what belongs to none.
            plan: of the tensor; the name without the layer.
            unit: that multiplies.
            shape: [k, n].
            tied: the matrix is the transposed token embedding.
        """
        return self._operands(layer, plan, unit, shape, tied=tied)

    def experts(
        self, layer: int | None, plan: TensorPlan, unit: Unit, shape: tuple[int, ...], expert: int
    ) -> Iterable[Prepared]:
        """The [k, n] matrix of one expert, likewise; `shape` is [experts, k, n]."""
        return self._operands(layer, plan, unit, shape, expert=expert)

    @property
    def packed_bytes(self) -> int:
        """Bytes of codes and scales that are kept."""
        return sum(held.nbytes for held in self._packed.values())

    def values(self, layer: int | None, plan: TensorPlan, shape: tuple[int, ...], expert: int | None = None) -> Array:
        """The [k, n] values of a matrix as it is stored; of one expert, `shape` is [experts, k, n]."""
        where = schemes.source(self._model, layer, plan.name, 0 if expert is None else shape[0])
        if expert is not None:
            where, shape = schemes.Source((where.names[expert],), where.transpose, where.part), shape[1:]
        return self._matrix(where, shape, plan.storage).columns(slice(None)).values

    def rows(self, layer: int | None, plan: TensorPlan, lanes: Lanes, shape: tuple[int, ...]) -> Array:
        """A table or a vector at the width of the lanes."""
        key = ("rows", layer, plan.name, plan.storage, lanes.width)
        if key in self._ready:
            made = self._ready[key][0]
            assert isinstance(made, np.ndarray)
            return made
        made = lanes.round(self._stored(schemes.source(self._model, layer, plan.name), shape, plan.storage))
        if len(shape) == 1 or self._room(made.nbytes):
            self._keep_ready(key, (made,), made.nbytes)
        return made

    def format_of(self, layer: int | None, name: str) -> Format | None:
        """The format of a weight that is given quantised (of experts, that of the first); None for numbers."""
        where = schemes.source(self._model, layer, name, experts=int("experts" in name))
        found = schemes.spelt(where.names[0], self._given)
        if found is None or (isinstance(self._given, Checkpoint) and self._given.dtype(found) in _NUMBERS):
            return None  # without reading it
        value = self._given[found]
        return value.format.record if isinstance(value, Encoded) else None

    def _operands(
        self, layer: int | None, plan: TensorPlan, unit: Unit, shape: tuple[int, ...], *, tied: bool = False,
        expert: int | None = None,
    ) -> Iterable[Prepared]:  # fmt: skip
        key = ("matrix", layer, plan.name, plan.storage, unit, tied, expert)
        if key in self._ready:
            return self._ready[key]
        experts = 0 if expert is None else shape[0]
        where = schemes.source(self._model, layer, plan.name, experts)
        if expert is not None:
            where, shape = schemes.Source((where.names[expert],), where.transpose, where.part), shape[1:]
        if tied:
            where = schemes.Source(where.names, True, where.part)
        panels = Panels(self._matrix(where, shape, plan.storage), unit)
        if not self._room(panels.nbytes):
            return panels
        self._keep_ready(key, tuple(panels), panels.nbytes)
        return self._ready[key]

    def _room(self, size: int) -> bool:
        return self._ready_bytes + size <= self._keep

    def _keep_ready(self, key: tuple[object, ...], made: tuple[Prepared, ...], size: int) -> None:
        self._ready[key] = made
        self._ready_bytes += size

    def _stored(self, where: schemes.Source, shape: tuple[int, ...], form: Format | None) -> Array:
        """The values of a table or a vector in its storage format, blocks along the last axis."""
        found = self._taken(where, shape)
        if isinstance(found, Values):
            return found.values
        if form is None:
            return found
        # tables and vectors have no sparsity, and take the widest part of a mixture
        form = form.widest if isinstance(form, MixtureFormat) else valued(form)
        found, codec = np.asarray(found, dtype=np.float32), converter(form)
        if form.name == "fp32":
            return found
        self._count_clipped(where.names[0], found, form)
        try:
            return decoded(codec.encode(found)) if form.scaled else np.asarray(codec.quantize(found))
        except RequestError as error:
            raise RequestError(f"{where.names[0]}: {error}") from None

    def _matrix(self, where: schemes.Source, shape: tuple[int, ...], form: Format | None) -> Matrix:
        """A [k, n] matrix in its storage format, blocks along k: its codes are kept, if they have at most 8 bits."""
        key = (where, form)
        if key in self._packed:
            return self._packed[key]
        found = self._taken(where, shape)
        if isinstance(found, Values):
            return found
        if form is None:
            return Values(found)
        if isinstance(form, MixtureFormat):
            rows = mixed(form, found).transposed()
            assert rows is not None
            self._packed[key] = Scaled(rows)
            return self._packed[key]
        form = valued(form)
        found, codec = np.asarray(found, dtype=np.float32), converter(form)
        if form.name == "fp32":
            return Values(found)
        self._count_clipped(where.names[0], found, form)
        if not form.scaled and form.bits > _BYTE:
            return Values(found, form)
        try:
            made = codec.encode(found.T)  # as it lies in most files
        except RequestError as error:
            raise RequestError(f"{where.names[0]}: {error}") from None
        self._packed[key] = Scaled(made) if form.scaled else Codes(made, form)
        return self._packed[key]

    def _count_clipped(self, name: str, found: Array, form: Format) -> None:
        if form.scaled or form.name == "bf16" or (name, form) in self.clipped:  # bf16 has the exponents of fp32
            return
        beyond = int(np.count_nonzero(np.abs(found) > largest(form)))
        if beyond:
            self.clipped[name, form] = (beyond, found.size)

    def _taken(self, where: schemes.Source, shape: tuple[int, ...]) -> Array | Values:
        """A tensor as it is given, [k, n] if it is a matrix; checked."""
        name = where.names[0]
        value = self._found(name)
        if isinstance(value, Encoded):
            turned = value.transposed() if where.transpose else value
            values = decoded(value)
            found = _part(values.T if where.transpose else values, where)
            self._check(name, found, shape, where)
            if turned is not None and where.part != (0, 1):
                turned = turned.sliced(-1, _slice(turned.shape[-1], where))
            return Values(found, encoded=turned)
        array = np.asarray(value)
        array = _part(array.T if where.transpose else array, where)
        self._check(name, array, shape, where)
        return np.asarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)

    def _found(self, name: str) -> Any:
        spelt = schemes.spelt(name, self._given)
        if spelt is None:
            near = did_you_mean(name, list(self._given))
            raise RequestError(f"{self._model.name}: the weights have no tensor {name}{near}")
        return self._given[spelt]

    def _check(self, name: str, array: Array, shape: tuple[int, ...], where: schemes.Source) -> None:
        if array.shape != shape:
            wanted = shape[::-1] if where.transpose else shape
            found = array.shape[::-1] if where.transpose else array.shape
            raise RequestError(f"{self._model.name}: {name} has shape {list(found)}, the model asks for {list(wanted)}")
        if not np.isfinite(array).all():
            bad = int(np.size(array) - np.isfinite(array).sum())
            raise RequestError(f"{self._model.name}: {name} has {bad} infinities or NaN; weights must be finite")


def _slice(width: int, where: schemes.Source) -> slice:
    at, parts = where.part
    return slice(at * (width // parts), (at + 1) * (width // parts))


def _part(array: Array, where: schemes.Source) -> Array:
    return array if where.part == (0, 1) else array[..., _slice(array.shape[-1], where)]
