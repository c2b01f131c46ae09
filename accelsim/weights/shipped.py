"""The small trained model that comes with accelsim, in `workloads/tiny`, and the text that it is judged on."""

from __future__ import annotations

import tomllib
from typing import Any, Final, Literal, get_args

from accelsim import catalog
from accelsim.errors import UnknownNameError
from accelsim.weights.checkpoint import Checkpoint
from accelsim.weights.fitting import of_model
from accelsim.weights.opening import open_checkpoint
from accelsim.weights.outliers import with_outliers

MODEL: Final = "tiny-llama"
"""Its name in the catalogue of models."""

Variant = Literal["tiny-llama", "tiny-llama-outliers"]
Text = Literal["train", "calibration", "heldout"]


def shipped(name: Variant = "tiny-llama") -> Checkpoint:
    """The weights of the shipped model, bf16.

    Args:
        name: `tiny-llama-outliers` is the same function with activation outliers, as `record` states them.

    Raises:
        UnknownNameError: neither of the two.
    """
    if name not in get_args(Variant):
        raise UnknownNameError("shipped model", name, get_args(Variant))
    model = catalog.model(MODEL)
    plain = of_model(open_checkpoint(catalog.root() / "workloads" / "tiny" / "model.safetensors"), model)
    if name == MODEL:
        return plain
    stated = record()["outliers"]
    return with_outliers(plain, model, stated["channels"], stated["power"])


def text(part: Text) -> bytes:
    """Bytes of the shipped text; each byte is a token.

    Args:
        part: `train`, which the weights have seen; `calibration`, for whatever a method wants to choose; or `heldout`,
            which nothing was ever chosen by.

    Raises:
        UnknownNameError: none of the three.
    """
    if part not in get_args(Text):
        raise UnknownNameError("part of the shipped text", part, get_args(Text))
    return (catalog.root() / "workloads" / "tiny" / "text" / f"{part}.txt").read_bytes()


def record() -> dict[str, Any]:
    """How the model was made: seed, steps, hashes of script, text and weights, and the stated outliers."""
    found = (catalog.root() / "workloads" / "tiny" / "record.toml").read_text(encoding="utf-8")
    return tomllib.loads(found)
