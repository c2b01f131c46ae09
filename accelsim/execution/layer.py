"""The layer that a name of the graph means: blocks are stored once, with a number of repetitions."""

from __future__ import annotations

import re
from typing import Final

_LAYER: Final = re.compile(r"layers(?:\[(?P<start>\d+):(?P<stop>\d*)(?::(?P<step>\d+))?\])?\.(?P<rest>.+)")


def split(name: str, repetition: int) -> tuple[int | None, str]:
    """A name of the graph as the layer that it means in one repetition of its block, and the rest."""
    found = _LAYER.fullmatch(name)
    if found is None:
        return None, name
    start, step = int(found["start"] or 0), int(found["step"] or 1)
    return start + repetition * step, found["rest"]
