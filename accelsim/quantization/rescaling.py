"""Methods that move difficulty by a change that leaves the function: SmoothQuant, AWQ and the Hadamard rotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.format import DataFormat
from accelsim.quantization.method import Asked, Chosen, Doubles, Inputs, Nearest, Serving, matrices
from accelsim.quantization.rotation import rotated
from accelsim.quantization.smoothing import awq_factors, smooth_factors
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint
from accelsim.weights.naming import expected
from accelsim.weights.rescaling import norm_readers, rescaled

SAMPLES: Final = 512
"""Calibration tokens that AWQ's search looks at."""


def _moved(
    model: Model, weights: Checkpoint, inputs: Inputs, factors: Callable[[NDArray[np.float32], list[Doubles]], Doubles]
) -> Chosen:
    """The weights with the outputs of every norm divided by factors of its inputs and readers."""
    slots, linear, made = expected(model), matrices(model, weights), {}
    for norm, readers in norm_readers(model):
        read = [weights.array(name, np.float64) for name in readers]
        turned = [array.T if slots[name].transposed else array for name, array in zip(readers, read, strict=True)]
        known = next(name for name in readers if name in linear)
        made[norm] = 1 / factors(inputs[known], turned)
    changed = rescaled(weights, model, made)
    return Chosen(changed, changed)


@dataclass(frozen=True)
class Smooth(Nearest):
    """Half of the outliers of activations goes to the weights that read them."""

    name: str = "smooth"
    source: str = "Xiao et al., SmoothQuant, arXiv 2211.10438, alpha = 0.5"
    calibrated: bool = True

    def serves(self, formats: Asked) -> Serving:
        """All formats; the factors are in norms and weights, so that nothing is added to the graph."""
        return Serving(formats, "factors of inputs of norms' readers, alpha = 0.5; nothing is added to the graph")

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Norms and weights with the factors in them."""
        return _moved(model, weights, inputs, lambda x, read: smooth_factors(np.abs(x).max(axis=0), read))


@dataclass(frozen=True)
class Awq(Nearest):
    """Channels of large activations are enlarged before their weights are rounded."""

    name: str = "awq"
    source: str = "Lin et al., AWQ, arXiv 2306.00978"
    calibrated: bool = True

    def serves(self, formats: Asked) -> Serving:
        """Formats with scales; the factors are in norms and weights."""
        return Serving(formats, "factors of inputs of norms' readers; nothing is added to the graph")

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Norms and weights with the factors in them."""
        codec = DataFormat(form)

        def factors(x: NDArray[np.float32], read: list[Doubles]) -> Doubles:
            step = max(1, len(x) // SAMPLES)
            return awq_factors(x[::step], read, codec)

        return _moved(model, weights, inputs, factors)


@dataclass(frozen=True)
class Rotate(Nearest):
    """The residual stream and values are turned, so that outliers spread over all channels."""

    name: str = "rotate"
    source: str = "Ashkboos et al., QuaRot, arXiv 2404.00456"

    def serves(self, formats: Asked) -> Serving:
        """All formats."""
        return Serving(
            formats,
            "residual stream and values turned in the weights: nothing is added to the graph; QuaRot's turns at run "
            "time (inputs of down_proj, keys and queries) are neither executed nor priced",
        )

    def choose(self, model: Model, weights: Checkpoint, form: Format, inputs: Inputs) -> Chosen:
        """Turned weights."""
        matrices(model, weights)
        turned = rotated(weights, model)
        return Chosen(turned, turned)
