"""What peers gave: the files that `data/make_*.py` made, with a check that the inputs are still the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.numerics import peer_inputs

DATA = Path(__file__).resolve().parent / "data"


@cache
def of(peer: str) -> dict[str, NDArray[np.generic]]:
    """Every array of a peer."""
    with np.load(DATA / f"peer_{peer}.npz") as file:
        return {name: file[name] for name in file.files}


def checked(x: NDArray, peer: str, key: str) -> NDArray:
    """The inputs, if they are what the peer got."""
    assert peer_inputs.checksum(x) == of(peer)[f"inputs/{key}"], f"inputs changed: run data/make_{peer}.py again"
    return x
