"""The weights of a model, checked: every tensor there, shaped as it must be, and every number finite."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError
from accelsim.formats import dataformat
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.weights.checkpoint import Checkpoint, Entry, Stored
from accelsim.weights.naming import expected

_BUFFERS: Final = re.compile(r".*(\.attn\.(masked_)?bias|rotary_emb\.inv_freq|\.(input|k|v|q|output)_scale)")
"""What checkpoints also hold: masks and tables of old versions, and scales of activations."""

_PREFIXES: Final = ("transformer.", "model.", "model.decoder.")
_SHOWN: Final = 5


def of_model(checkpoint: Checkpoint, model: Model) -> Checkpoint:
    """The tensors of a model under the names of `expected`, and nothing else.

    Names that lack the prefix of the whole model get it, as in the checkpoint of a model without its head. A tensor
    that holds NaN or an infinity is refused when it is read.

    Args:
        checkpoint: as opened.
        model: whose weights they should be.

    Raises:
        CheckpointError: a naming that is not the family's; all tensors that are missing, misshapen or left over.
    """
    slots = expected(model)
    found = checkpoint.renamed(partial(_usual, slots, _prefix(checkpoint, slots)))
    if model.lm_head == "tied":
        found = _without_copy(found, next(iter(slots)))
    if not any(name in found for name in slots):
        raise CheckpointError(
            f"{checkpoint.origin}: none of the names of a {model.family} is there: "
            f"expected {_some(slots)}; found {_some(checkpoint.names)}"
        )
    missing = [f"{name} {list(slot.shape)}" for name, slot in slots.items() if name not in found]
    wrong = [
        f"{name} {list(found.shape(name))}, expected {list(slot.shape)}"
        for name, slot in slots.items()
        if name in found and found.shape(name) != slot.shape
    ]
    extra = [name for name in found if name not in slots]
    problems = [(missing, "missing"), (wrong, "misshapen"), (extra, f"not of a {model.family} of this configuration")]
    if any(names for names, _ in problems):
        lines = [f"{len(names)} {problem}: {_some(names)}" for names, problem in problems if names]
        raise CheckpointError(f"{checkpoint.origin}: not the weights of {model.name}\n  " + "\n  ".join(lines))
    origin = checkpoint.origin
    return Checkpoint(
        {name: _checked(name, found.entry(name), origin) for name in slots}, origin=origin, metadata=checkpoint.metadata
    )


def _prefix(checkpoint: Checkpoint, slots: Collection[str]) -> str:
    """What all names lack of the usual ones."""
    if any(name in slots for name in checkpoint):
        return ""
    for prefix in _PREFIXES:
        if any(prefix + name in slots for name in checkpoint):
            return prefix
    return ""


def _usual(slots: Collection[str], prefix: str, name: str) -> str | None:
    if name in slots:
        return name
    if prefix + name in slots:
        return prefix + name
    return None if _BUFFERS.fullmatch(name) else name


def _without_copy(checkpoint: Checkpoint, embedding: str) -> Checkpoint:
    """Leave out an lm_head that repeats the embedding."""
    if "lm_head.weight" not in checkpoint or embedding not in checkpoint:
        return checkpoint
    if not np.array_equal(checkpoint.array("lm_head.weight"), checkpoint.array(embedding)):
        raise CheckpointError(
            f"{checkpoint.origin}: lm_head.weight differs from {embedding}, though the configuration ties them: "
            "set tie_word_embeddings = false"
        )
    return checkpoint.with_entries({"lm_head.weight": None})


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _checked(name: str, entry: Entry, origin: str) -> Entry:
    def read() -> Stored:
        found = entry.read()
        lost = _lost(found)
        if lost:
            raise CheckpointError(
                f"{origin}: {name!r} holds {lost} NaN or infinities among {np.prod(entry.shape)} numbers"
            )
        return found

    return replace(entry, read=read)


def _lost(found: Stored) -> int:
    """How many numbers are none."""
    if not isinstance(found, Encoded):
        return int(found.size - np.count_nonzero(np.isfinite(found))) if found.dtype.kind == "f" else 0
    record: Any = found.format.record
    lost = _count(record.element, found.codes)
    return lost + (_count(record.scale, found.scales) if found.scales is not None else 0)


def _count(record: Format, codes: NDArray[Any]) -> int:
    table = _nonfinite(record)
    if table is None:
        return int(np.count_nonzero(~np.isfinite(dataformat(record).decode(codes))))
    return int(np.count_nonzero(table[codes])) if table.any() else 0


@cache
def _nonfinite(record: Format) -> NDArray[np.bool_] | None:
    """Which codes are no numbers; None for formats with too many codes for a table."""
    if record.bits > 16:
        return None
    codes = np.arange(1 << record.bits, dtype=np.uint32)
    return np.asarray(~np.isfinite(dataformat(record).decode(codes)))
