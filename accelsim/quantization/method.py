"""What a method of quantisation is: which formats it serves, and what it makes of weights before they are rounded.

Rounding to nearest, `Nearest`, is the method that does nothing; every other one changes a part of it. Methods know
models and their tensors; graphs, chips and prices are those of the run that uses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.naming import Slot, expected

Doubles = NDArray[np.float64]
Inputs = Mapping[str, NDArray[Any]]
"""[samples, in] of what every matrix of the layers reads on calibration text, by its name in the checkpoint."""

_OF_A_LAYER: Final = re.compile(r".*\.\d+\..*")


@dataclass(frozen=True, slots=True)
class Asked:
    """Formats of a run.

    Attributes:
        weights: of linear layers and experts.
        activations: of what flows between operators, or of what products take.
        kv_cache: of keys and values.
    """

    weights: Format
    activations: Format
    kv_cache: Format


@dataclass(frozen=True, slots=True)
class Serving:
    """How a method serves some formats.

    Attributes:
        formats: that are executed and priced.
        note: what a reader of the result must know: what is chosen, what is executed and not priced.
        outliers_from: columns of the inputs of products with a magnitude from here on are multiplied apart, in fp16;
            None for products in one piece.
        token_groups: keys and values are quantised in groups of tokens, keys with scales along them; tokens of a group
            that is not full stay in the format of activations.
    """

    formats: Asked
    note: str = ""
    outliers_from: float | None = None
    token_groups: bool = False


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a method makes of weights.

    Attributes:
        weights: as they are executed; `Encoded` where the method has rounded them.
        function: weights of the same function that are not rounded, with the same tensors between its operators.
    """

    weights: Checkpoint
    function: Checkpoint


class Method(Protocol):
    """A way to bring a model to a few bits."""

    @property
    def name(self) -> str:
        """Short, for tables and the command line."""
        ...

    @property
    def source(self) -> str:
        """Who says so."""
        ...

    @property
    def calibrated(self) -> bool:
        """Whether it needs inputs on calibration text."""
        ...

    def serves(self, formats: Asked) -> Serving:
        """How it serves some formats.

        Raises:
            RequestError: it does not, with the formats to name in their place.
        """
        ...

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Weights for one format.

        Args:
            model: whose weights they are.
            weights: by their usual names, as `of_model` gives them.
            form: of linear layers, as `serves` says.
            inputs: on calibration text; nothing where the method is not calibrated.

        Raises:
            RequestError: weights that are quantised already, or a model or format that it does not serve.
        """
        ...


@dataclass(frozen=True)
class Nearest:
    """Rounding to nearest, at the granularity of the format: every weight when it is stored."""

    name: str = "rtn"
    source: str = "by definition"
    calibrated: bool = False

    def serves(self, formats: Asked) -> Serving:
        """All formats, as they are."""
        return Serving(formats)

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """The weights as they are."""
        return Chosen(weights, weights)


def matrices(model: Model, weights: Checkpoint) -> dict[str, Slot]:
    """The matrices of the layers that are quantised, by name.

    Raises:
        RequestError: one of them is quantised already.
    """
    found = {
        name: slot for name, slot in expected(model).items() if slot.part == "linear" and _OF_A_LAYER.fullmatch(name)
    }
    for name in found:
        entry = weights.entry(name)
        if not entry.dtype.startswith(("fp32", "fp16", "bf16", "float")):
            raise RequestError(
                f"{name} is {entry.dtype} in the checkpoint already: methods choose how numbers are rounded; use "
                "rtn, kivi or split, or weights that are not quantised"
            )
    return found


def rounded(
    model: Model, weights: Checkpoint, form: Format, change: Callable[[str, Doubles, DataFormat], Encoded]
) -> Checkpoint:
    """The weights with every matrix of the layers through `change(name, [out, in], format)`."""
    made: dict[str, Entry | None] = {}
    codec = dataformat(form)
    for name, slot in matrices(model, weights).items():
        array = weights.array(name, np.float64)
        found = change(name, array.T if slot.transposed else array, codec)
        held = found.transposed() if slot.transposed else found
        if held is None:
            raise RequestError(f"{name}: blocks of {form.name} do not follow its orientation [in, out]")
        made[name] = encoded_entry(held)
    return weights.with_entries(made)


def encoded_entry(held: Encoded) -> Entry:
    """An entry of a checkpoint for codes that are at hand."""
    return Entry(held.shape, held.format.name, held.nbytes, lambda: held)
