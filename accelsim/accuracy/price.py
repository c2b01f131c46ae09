"""Time and energy of one token, from pricing a model of real size in the same formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.accuracy.combinations import Combination
from accelsim.simulation import simulate
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model

PROMPT = 512
GENERATE = 32


@dataclass(frozen=True, slots=True)
class Price:
    """What a token costs.

    Attributes:
        time_s: from one token to the next.
        energy_j: of a run, for each token that it generates.
        infeasible: why there is neither.
    """

    time_s: float
    energy_j: float
    infeasible: str = ""


def price(
    model: Model, on: Any, formats: Combination, own: Mapping[str, Format] | None = None, *, prompt: int = PROMPT,
    generate: int = GENERATE, scales: str = "dynamic",
) -> Price:  # fmt: skip
    """The price of one combination at batch 1.

    Args:
        model: that is priced.
        on: chip by name, path or record.
        formats: of the run.
        own: of single tensors.
        prompt: tokens that are there.
        generate: tokens that are made.
        scales: of activations on GPUs, "dynamic" or "static".
    """
    run = simulate(
        model, on, prompt=prompt, generate=generate, weights=formats.weights, activations=formats.activations,
        kv_cache=formats.kv_cache, tensor_formats=own, scales=scales,
    )  # fmt: skip
    if run.infeasible is not None:
        return Price(float("nan"), float("nan"), told_with_levers(run.infeasible))
    return Price(float(run.summary["time_per_output_token_s"]), float(run.summary["energy_per_token_j"]))


def told_with_levers(found: Infeasible) -> str:
    """Why there is no number, and what would give one."""
    return f"{found.reason}; try {', or '.join(found.levers)}" if found.levers else found.reason


def kv_bytes_per_token(model: Model, formats: Combination) -> float:
    """Bytes of keys and values of one position, all layers."""
    widths = sum(
        group.repeat * layer.attention.kv_heads * (layer.attention.head_dim + layer.attention.value_dim)
        for group in model.decoder
        for layer in group.layers
    )
    return widths * formats.kv_cache.bytes_per_element
