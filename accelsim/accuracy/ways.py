"""A method on a model: what it executes in the place of the weights and formats that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from accelsim.accuracy.combinations import Combination
from accelsim.accuracy.subject import Subject
from accelsim.execution.methods import Calibrated
from accelsim.execution.stored import valued
from accelsim.execution.weights import Weights
from accelsim.quantization.method import Asked, Method
from accelsim.quantization.methods import METHODS, NEAREST
from accelsim.weights.checkpoint import Checkpoint

CALIBRATION_TOKENS: Final = 2048
"""Tokens that methods and static scales are chosen by."""


@dataclass(frozen=True, eq=False)
class Way:
    """What is executed and priced.

    Attributes:
        method: of quantisation.
        formats: with those that the method puts in the place of others.
        weights: as the method has made them.
        function: weights of the same function that are not rounded, where tensors between operators are others than
            those of the model that is judged; else None.
        note: for the row.
        outliers_from: see `accelsim.execution.executor.Setting`.
        token_groups: likewise.
    """

    method: Method
    formats: Combination
    weights: Weights
    function: Checkpoint | None = None
    note: str = ""
    outliers_from: float | None = None
    token_groups: bool = False


class Ways:
    """Methods on one model; the latest result is kept, for the next chip.

    Args:
        judged: model and windows that are judged.
        calibration: model and windows to choose by, made when they are needed.
    """

    def __init__(self, judged: Subject, calibration: Callable[[], Subject] | None = None) -> None:
        self._judged, self._calibration = judged, calibration
        self.plain = Weights(judged.model, judged.weights)
        self._latest: tuple[tuple[str, Method], Way] | None = None

    @cached_property
    def text(self) -> Subject | None:
        """The windows to choose by, None where there are none."""
        return self._calibration() if self._calibration is not None else None

    @cached_property
    def _known(self) -> Calibrated:
        return Calibrated(self._judged.model, self._judged.weights, self.text.windows if self.text else None)

    def calibrated_on(self) -> str:
        """Which text, for notes."""
        return f"{self.text.windows.size:,} tokens of {self.text.text}" if self.text else ""

    def find(self, each: Combination, method: Method) -> Way:
        """The way of a method for some formats.

        Raises:
            RequestError: the method does not serve them, or not this model.
        """
        if method is METHODS[NEAREST]:
            return Way(method, each, self.plain)
        key = (each.name, method)
        if self._latest is not None and self._latest[0] == key:
            return self._latest[1]
        serving = method.serves(Asked(each.weights, each.activations, each.kv_cache))
        made = serving.formats
        chosen = self._known.choose(method, valued(made.weights))
        same = chosen.function is self._known.weights
        note = f"{serving.note}; chosen by {self.calibrated_on()}" if method.calibrated else serving.note
        way = Way(
            method, replace(each, weights=made.weights, activations=made.activations, kv_cache=made.kv_cache),
            Weights(self._judged.model, chosen.weights), None if same else chosen.function, note,
            serving.outliers_from, serving.token_groups,
        )  # fmt: skip
        self._latest = (key, way)
        return way
