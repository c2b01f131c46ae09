"""Methods of quantisation before an execution: calibration text is read, weights are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.execution.calibrating import inputs_of
from accelsim.execution.executor import Executor, Setting
from accelsim.execution.targets import reference
from accelsim.execution.weights import Weights
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Role
from accelsim.numerics.encoded import Encoded
from accelsim.quantization.method import Chosen, Method, encoded_entry
from accelsim.spec.format import Format
from accelsim.spec.format.names import from_name
from accelsim.spec.model import Model
from accelsim.weights import Checkpoint, of_model
from accelsim.weights.checkpoint import made

_ALL = (Role.WEIGHT, Role.ACTIVATION, Role.KV_CACHE)


class Calibrated:
    """A model with weights and with text that methods may choose by.

    Args:
        model: its shape.
        weights: arrays or `Encoded` by name.
        tokens: [windows, positions] of calibration text; None where there is none.
    """

    def __init__(self, model: Model, weights: Mapping[str, Any], tokens: NDArray[np.int64] | None) -> None:
        self.model, self.given, self._tokens = model, weights, tokens

    @cached_property
    def weights(self) -> Checkpoint:
        """The weights under their usual names."""
        found = self.given
        if not isinstance(found, Checkpoint):
            entries = {
                name: encoded_entry(value) if isinstance(value, Encoded) else made(np.asarray(value))
                for name, value in found.items()
            }
            found = Checkpoint(entries, origin="the weights that are given")
        return of_model(found, self.model)

    def text(self, who: str) -> NDArray[np.int64]:
        """The calibration text.

        Args:
            who: asks for it, for the error.

        Raises:
            RequestError: there is none.
        """
        if self._tokens is None:
            raise RequestError(
                f"calibration: {who} chooses by text; give tokens that are not judged, [windows, positions]"
            )
        return self._tokens

    @cached_property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """What every matrix of the layers reads on the text, executed in fp32.

        Raises:
            RequestError: there is no text.
        """
        text = self.text("this method")
        wide = from_name("fp32")
        setting = Setting(Formats(wide, wide, wide, wide), _ALL, fuse=False)
        held = Weights(self.model, self.weights)
        return inputs_of(self.model, Executor(self.model, held, setting, reference("fp32")), text)

    def choose(self, method: Method, form: Format) -> Chosen:
        """Weights for a format by a method.

        Raises:
            RequestError: it does not serve the model or its weights, or needs text that there is not.
        """
        return method.choose(self.model, self.weights, form, self.inputs if method.calibrated else {})
