"""Nelder-Mead descent that begins anew where it stopped, for losses with kinks and flat valleys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GAIN: Final = 1e-4
"""Restarts end when one improves the loss by less."""

RESTARTS: Final = 8


def descend(loss: Callable[[Array], float], begin: Array, evaluations: int) -> Any:
    """One descent, as scipy tells it (`x`, `fun`)."""
    from scipy import optimize

    return optimize.minimize(
        loss, begin, method="Nelder-Mead",
        options={"maxfev": evaluations, "adaptive": True, "xatol": 1e-4, "fatol": 1e-6},
    )  # fmt: skip


def polished(loss: Callable[[Array], float], found: Any, evaluations: int) -> Any:
    """Descents with a fresh simplex, each from where the one before stopped, until they gain nothing more."""
    for _ in range(RESTARTS):
        before, found = found, descend(loss, found.x, evaluations)
        if before.fun - found.fun < GAIN:
            break
    return found
