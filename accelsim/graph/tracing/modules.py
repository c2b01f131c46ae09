"""Which modules of transformers are one operator of the graph, told by their class."""

from __future__ import annotations

from torch import nn

from accelsim.spec.model import NormKind

_EXACT = ("GELUActivation", "GELU")


def norm_of(part: nn.Module) -> NormKind | None:
    """The kind of norm that a module is; those that do not say LayerNorm are RMS norms."""
    name = type(part).__name__
    if "Norm" not in name or any(part.children()):
        return None
    return "layer" if "LayerNorm" in name and "RMS" not in name else "rms"


def activation_of(part: nn.Module) -> str | None:
    """The activation function that a module is, in the words of `accelsim.graph.counts`."""
    name = type(part).__name__
    if any(part.children()) or any(True for _ in part.parameters()):
        return None
    if "GELU" in name.upper():
        exact = name in _EXACT and getattr(part, "approximate", "none") == "none"
        return "gelu_exact" if exact else "gelu"
    words = {"relusquared": "relu2", "relu": "relu", "silu": "silu", "swish": "silu", "sigmoid": "sigmoid"}
    return next((known for word, known in words.items() if word in name.lower()), None)


def is_rotary_table(part: nn.Module) -> bool:
    """Whether a module only prepares sines and cosines."""
    return type(part).__name__.endswith("RotaryEmbedding")
