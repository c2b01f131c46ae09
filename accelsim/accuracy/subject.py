"""What is judged: a model with weights, and tokens in windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.execution.run import checked
from accelsim.spec.model import Model
from accelsim.weights import of_model, open_checkpoint, synthetic
from accelsim.weights.shipped import MODEL, Text, shipped, text

SHIPPED: Final = (MODEL, f"{MODEL}-outliers")
WINDOW: Final = 256
MIN_WINDOW: Final = 2
BYTES: Final = 256

_SAID: Final = {"heldout": "held-out", "calibration": "calibration", "train": "training"}


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with its weights, and windows of tokens that do not overlap.

    The first token of a window is context only: every other one is predicted, from all before it in its window.

    Attributes:
        name: for tables.
        model: its record.
        weights: tensors by Hugging Face name.
        windows: [windows, length].
        synthetic: weights are drawn, so that perplexity means nothing.
        bytes: tokens are bytes of text, so that bits per token are bits per byte.
        text: where the tokens come from.
    """

    name: str
    model: Model
    weights: Mapping[str, Any]
    windows: NDArray[np.int64]
    synthetic: bool
    bytes: bool
    text: str

    @property
    def predicted(self) -> int:
        """Tokens that are predicted."""
        return int(self.windows.shape[0] * (self.windows.shape[1] - 1))


def subject(
    model: str | PathLike[str], *, weights: str | PathLike[str] | None = None,
    tokens: str | PathLike[str] | None = None, limit: int = 4096, window: int | None = None, seed: int = 0,
    skip: int = 0,
) -> Subject:  # fmt: skip
    """A model to judge.

    Args:
        model: `tiny-llama` or `tiny-llama-outliers`, which ship with weights and held-out text; else a name or path.
        weights: a safetensors file, its index or its folder; without them, seeded synthetic ones.
        tokens: a `.npy` file of whole numbers; any other file is read as bytes, for models of 256 tokens. The shipped
            models have their held-out text, synthetic weights seeded tokens.
        limit: tokens at most, whole windows.
        window: tokens of a window; 256, or the model's context or the limit if one of them is shorter.
        seed: of what is drawn.
        skip: tokens of the text that are left to others. The shipped models have a text of its own for that, for
            calibration, of which nothing is skipped.

    Raises:
        AccelsimError: names, files and numbers that are not allowed.
    """
    name = str(model)
    record = shape_of(model)
    length = window_of(record, window, limit)
    if limit < length:
        raise RequestError(f"limit = {limit} does not hold one window of {length} tokens: raise limit, or lower window")
    if seed < 0:
        raise RequestError(f"seed = {seed}: a whole number of at least 0 is needed")
    drawn = weights is None and name not in SHIPPED
    if drawn and tokens is None:
        made = np.random.default_rng(seed).integers(0, record.vocabulary, size=skip + limit)
        said = f"seeded tokens, seed {seed}"
    else:
        made, said = _tokens(name, tokens, record, "calibration" if skip else "heldout")
        skip = skip if tokens is not None else 0
    made = made[skip:]
    if len(made) < length:
        raise RequestError(
            f"{said}: {len(made)} tokens are fewer than a window of {length}; lower window, or give more text"
        )
    count = min(limit, len(made)) // length
    if weights is not None:
        held: Mapping[str, Any] = of_model(open_checkpoint(weights), record)
    else:
        held = synthetic(record, seed) if drawn else shipped(name)  # type: ignore[arg-type]  # one of the two
    return Subject(
        name if name in SHIPPED else record.name, record, held,
        checked(record, made[: count * length].reshape(count, length)), drawn, record.vocabulary == BYTES, said,
    )  # fmt: skip


def window_of(model: Model, window: int | None, limit: int = WINDOW) -> int:
    """Tokens of a window: as given, else 256, or the model's context or the limit if one of them is shorter.

    Raises:
        RequestError: fewer than two.
    """
    made = min(WINDOW, model.max_positions or WINDOW, limit) if window is None else window
    if made < MIN_WINDOW:
        given = f"limit = {limit}" if window is None else f"window = {window}"
        raise RequestError(
            f"{given}: at least {MIN_WINDOW} tokens are needed, since the first of a window is context only"
        )
    return made


def shape_of(model: str | PathLike[str]) -> Model:
    """The record of a model by name or path, the shipped variants included."""
    return catalog.model(MODEL if str(model) in SHIPPED else model)


def _tokens(name: str, given: str | PathLike[str] | None, model: Model, part: Text) -> tuple[NDArray[np.int64], str]:
    if given is None:
        if name not in SHIPPED:
            raise RequestError(f"{model.name}: name the tokens to judge it on, a .npy file of whole numbers")
        return np.frombuffer(text(part), dtype=np.uint8).astype(np.int64), f"{_SAID[part]} text of workloads/tiny"
    path = Path(given)
    if not path.is_file():
        raise RequestError(f"tokens: there is no file {str(path)!r}")
    if path.suffix == ".npy":
        try:
            found = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise RequestError(f"{path}: no array of numbers ({error}); write one by numpy.save") from None
        if found.dtype.kind not in "iu":
            raise RequestError(f"{path}: expected whole numbers, found {found.dtype}")
        return found.reshape(-1).astype(np.int64), path.name
    if model.vocabulary != BYTES:
        raise RequestError(
            f"{path}: {model.name} has {model.vocabulary} tokens, text is bytes; give its tokens as a .npy file"
        )
    return np.frombuffer(path.read_bytes(), dtype=np.uint8).astype(np.int64), path.name
