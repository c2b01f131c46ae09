"""Methods that choose how weights are rounded: clipped scales, GPTQ, and the types of ANT and OliVe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.numerics.quantization import searched
from accelsim.quantization.clipping import mse_optimal
from accelsim.quantization.gptq import gptq
from accelsim.quantization.method import Asked, Chosen, Doubles, Inputs, Nearest, Serving, rounded
from accelsim.spec.format import BlockFormat, Format, IntegerFormat, TwoLevelBlockFormat
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class Clipping(Nearest):
    """Scales of least squared error, each of 80 tried."""

    name: str = "clip"
    source: str = "scales of least squared error among 80 from the absolute maximum down"

    def serves(self, formats: Asked) -> Serving:
        """Absolute-maximum scales, and tensor scales."""
        clipped(DataFormat(formats.weights), np.zeros((1, max(formats.weights.block, 1))))
        return Serving(formats, "weights: scales of least squared error")

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Codes at the scales that are chosen."""
        return Chosen(rounded(model, weights, form, lambda _, array, codec: clipped(codec, array)), weights)


def clipped(form: DataFormat, array: Doubles) -> Encoded:
    """Codes of [out, in] at scales of least squared error, in the same format.

    Raises:
        RequestError: a format without scales that can be chosen so.
    """
    if isinstance(form.record, TwoLevelBlockFormat):
        if not array.any():
            return form.encode(array)  # type: ignore[no-any-return]
        return form.encode(array, tensor_scale=searched(form, array))  # type: ignore[no-any-return]
    made: Encoded = mse_optimal(form).encode(array)
    return replace(made, format=form)  # the rule that chose the scales is no part of what is stored


@dataclass(frozen=True)
class Gptq(Nearest):
    """Columns make up for the errors of those before them, those of large inputs first."""

    name: str = "gptq"
    source: str = "Frantar et al., GPTQ, arXiv 2210.17323"
    calibrated: bool = True

    def serves(self, formats: Asked) -> Serving:
        """Block formats without scales of scales."""
        gptq(np.zeros((1, 1)), np.eye(1), DataFormat(formats.weights))
        return Serving(formats, "weights: columns of large inputs first, with the inputs of the unquantised model")

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Codes that make up for each other."""
        hessians: dict[int, Doubles] = {}  # projections that read the same share one

        def change(name: str, array: Doubles, codec: DataFormat) -> Encoded:
            x = inputs[name]
            if id(x) not in hessians:
                wide = x.astype(np.float64)
                hessians[id(x)] = wide.T @ wide
            return gptq(array, hessians[id(x)], codec, by_size=True)

        return Chosen(rounded(model, weights, form, change), weights)


_PAIRS: Final = {"int4": "olive4", "int8": "olive8"}


def _of_tensor(form: Format, method: str, whole: dict[str, str]) -> tuple[str, int | None]:
    """The integer under the scales of a format, and the elements that share one; None for the tensor.

    Raises:
        RequestError: other formats.
    """
    if isinstance(form, BlockFormat) and isinstance(form.element, IntegerFormat) and form.zero_point is None:
        name = form.element.name.removesuffix("_symmetric")
        if name in whole and form.granularity != "channel":
            return name, form.length
    raise RequestError(
        f"{method} takes the place of integers under one scale, such as "
        f"{', '.join(f'{name}_tensor ({other})' for name, other in whole.items())}; not of {form.name}"
    )


@dataclass(frozen=True)
class Olive(Nearest):
    """Outliers take the code of their neighbour."""

    name: str = "olive"
    source: str = "Guo et al., OliVe, ISCA 2023"

    def serves(self, formats: Asked) -> Serving:
        """Integers with a scale for the tensor, of weights and of activations."""
        made = self._paired(formats.weights)
        activations = formats.activations
        if isinstance(activations, BlockFormat) and isinstance(activations.element, IntegerFormat):
            activations = self._paired(activations)
        said = f"weights in {made.name}" + (
            "" if activations is formats.activations else f", activations in {activations.name}"
        )
        return Serving(Asked(made, activations, formats.kv_cache), said)

    def _paired(self, form: Format) -> Format:
        if form.name in _PAIRS.values():
            return form
        name, length = _of_tensor(form, "OliVe", _PAIRS)
        if length is not None:
            raise RequestError(f"OliVe has one scale for a tensor: name {name}_tensor in the place of {form.name}")
        return catalog.format_(_PAIRS[name])


@dataclass(frozen=True)
class Ant(Nearest):
    """The type of least squared error for every tensor or group."""

    name: str = "ant"
    source: str = "Guo et al., ANT, MICRO 2022"

    def serves(self, formats: Asked) -> Serving:
        """Integers of 4 bits with a scale for the tensor or a group, of weights and of activations."""
        made, activations = self._typed(formats.weights), formats.activations
        if isinstance(activations, BlockFormat) and isinstance(activations.element, IntegerFormat):
            activations = self._typed(activations)
        said = f"weights in {made.name}" + (
            "" if activations is formats.activations else f", activations in {activations.name}"
        )
        return Serving(Asked(made, activations, formats.kv_cache), said)

    def _typed(self, form: Format) -> Format:
        if form.kind == "adaptive":
            return form
        _, length = _of_tensor(form, "ANT", {"int4": "ant4"})
        if length is None:
            return catalog.format_("ant4")
        return catalog.format_("ant4_g128", None if length == 128 else {"length": length, "name": f"ant4_g{length}"})
