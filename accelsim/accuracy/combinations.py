"""Formats of a run in one word: `W[/A[/KV]]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.spec.format import Format

USUAL: Final = "bf16"
"""Of activations and KV cache where only weights are named."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Formats of weights, activations and KV cache.

    Attributes:
        name: as it was given.
        weights: of linear layers and experts.
        activations: of what flows between operators.
        kv_cache: of keys and values.
    """

    name: str
    weights: Format
    activations: Format
    kv_cache: Format


def combination(text: str) -> Combination:
    """One combination.

    Args:
        text: `mxfp4` or `mxfp4/mxfp8_e4m3` or `mxfp4/mxfp8_e4m3/fp8_e4m3`; what is left out is bf16.

    Raises:
        RequestError: more than three parts, or an empty one.
        UnknownNameError: no such format.
    """
    parts = text.strip().split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise RequestError(f"formats {text!r}: expected W, W/A or W/A/KV, such as mxfp4/mxfp8_e4m3/fp8_e4m3")
    found = [catalog.format_(part) for part in parts]
    found += [catalog.format_(USUAL)] * (3 - len(parts))
    return Combination(text.strip(), *found)


def combinations(given: str | Sequence[str]) -> list[Combination]:
    """Several, from a list or from text with commas; each once.

    Raises:
        RequestError: none at all, or as `combination`.
    """
    names = given.split(",") if isinstance(given, str) else list(given)
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not wanted:
        raise RequestError("formats: none is named; try mxfp4,nvfp4,int4_g128")
    return [combination(name) for name in wanted]
