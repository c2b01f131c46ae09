"""A search for positive constants that make times agree with measured ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.validation.calibrate import Range

Array = npt.NDArray[np.float64]

PULL: Final = 4e-4
"""Of the squared logarithm of a constant over its usual value: what the rows do not say stays plausible."""

_SEED: Final = 0


def loss(off: Array, seconds: Array) -> float:
    """What is minimised: the mean of |ln(ours / measured)|, with a little weight on large errors and summed time."""
    total = abs(np.log((np.exp(off) * seconds).sum() / seconds.sum()))
    return float(np.abs(off).mean() + 0.3 * (off**2).mean() + 0.2 * total)


def search(
    ours: Callable[[Array], Array], seconds: Array, spans: Sequence[Range], starts: int, usual: Sequence[float] | None,
) -> Array:  # fmt: skip
    """The constants with the least loss.

    Args:
        ours: times with given constants.
        seconds: measured times.
        spans: where the constants may lie.
        starts: searches, the first of them from the usual values.
        usual: in place of the spans' usual values.
    """
    from scipy import optimize

    low, high = (np.log([getattr(span, end) for span in spans]) for end in ("least", "most"))
    middle = np.clip(np.log(usual or [span.usual for span in spans]), low + 1e-6, high - 1e-6)

    def logs(point: Array) -> Array:
        found: Array = np.log(ours(np.exp(np.clip(point, low, high))) / seconds)
        return found

    def pulled(point: Array) -> float:
        inside = np.clip(point, low, high)
        pull = PULL * ((inside - middle) ** 2).sum() + ((point - inside) ** 2).sum()
        return float(loss(logs(inside), seconds) + pull)

    draw, best = np.random.default_rng(_SEED), None
    for number in range(starts):
        begin = np.clip(middle + (draw.normal(0, 0.4, len(spans)) if number else 0), low + 1e-3, high - 1e-3)
        rough = optimize.least_squares(
            logs, begin, bounds=(low, high), loss="soft_l1", f_scale=0.05, diff_step=[1e-3] * len(spans), max_nfev=60
        )
        fine: Any = optimize.minimize(
            pulled, rough.x, method="Nelder-Mead",
            options={"maxfev": 250 * len(spans), "adaptive": True, "xatol": 1e-4, "fatol": 1e-6},
        )  # fmt: skip
        if best is None or fine.fun < best.fun:
            best = fine
    assert best is not None
    return np.asarray(np.exp(np.clip(best.x, low, high)))
