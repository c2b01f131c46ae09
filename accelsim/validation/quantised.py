"""Constants of kernels in narrow formats, with the pass over the activations that goes before them.

The tables time both together: the activations come in 16 bits and are quantised first. So a fixed time and a time for
the bytes of that pass are fitted along with the constants that follow the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.evaluate.gemms import Kernels
from accelsim.spec.calibration import FormatConstants, GemmConstants
from accelsim.validation.calibrate import HARNESS, RANGES, Range, Rows, misfit

Array = npt.NDArray[np.float64]

OWN: Final[dict[str, Range]] = {
    "matrix_efficiency": Range(0.15, 0.88, 1.0),
    "l2_efficiency": RANGES["l2_efficiency"],
    "clock_drop": Range(0.005, 0.2, 3.0),
    "reread": Range(1e-3, 0.02, 1.0),
    "memory_efficiency": Range(0.4, 0.9, 1.0),
    "loaded_latency_s": Range(30e-9, 600e-9, 6e-6),
    "tile_start_s": Range(0.02e-6, 0.5e-6, 10e-6),
    "reduction_s": Range(0.3e-6, 2.2e-6, 1e-3),
}
"""Constants that follow the format; kernels that do not split the depth end at the longest reduction."""

PREPASS_S: Final = Range(10e-9, 6e-6, 30e-6)
PREPASS_BYTES: Final = Range(0.01, 4.0, 20.0)

_PULL: Final = 4e-4
_STARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Quantised:
    """A product and its pass over the activations.

    Attributes:
        prepass_s: fixed part of the pass.
        prepass_bytes: bytes per element of the activations.
        gemm: constants of the product.
    """

    prepass_s: float
    prepass_bytes: float
    gemm: GemmConstants

    def seconds(self, made: Kernels, rows: Rows) -> Array:
        """Of both, at the peak of the memory for the pass."""
        product = made.price(rows.m, rows.n, rows.k, self.gemm, HARNESS).seconds
        moved: Array = self.prepass_bytes * rows.m * rows.k / made.machine.memory_bytes_per_s
        return product + self.prepass_s + moved

    @staticmethod
    def of(row: FormatConstants) -> Quantised:
        """From a calibration."""
        return Quantised(row.prepass_s, row.prepass_bytes, row.gemm)


def fit(rows: Rows, made: Kernels, base: GemmConstants) -> Quantised:
    """The pass and the constants of `OWN` that fit the rows best; the others are those of the 16-bit kernels."""
    from scipy import optimize

    spans = (PREPASS_S, PREPASS_BYTES, *OWN.values())
    low, high = (np.log([getattr(span, end) for span in spans]) for end in ("least", "most"))
    begun = (getattr(base, name) or span.usual for name, span in OWN.items())
    usual = np.log([PREPASS_S.usual, PREPASS_BYTES.usual, *begun])
    usual = np.clip(usual, low + 1e-6, high - 1e-6)

    def of(point: Array) -> Quantised:
        first, second, *values = (float(f"{value:.4g}") for value in np.exp(np.clip(point, low, high)))
        return Quantised(first, second, base.model_copy(update=dict(zip(OWN, values, strict=True))))

    def loss(point: Array) -> float:
        off = np.log(of(point).seconds(made, rows) / rows.seconds)
        inside = np.clip(point, low, high)
        pull = _PULL * ((inside - usual)[:-1] ** 2).sum() + ((point - inside) ** 2).sum()
        return misfit(off, rows.seconds) + float(pull)

    draw, best = np.random.default_rng(0), None
    for number in range(_STARTS):
        begin = usual.copy()
        if number:
            begin = np.clip(usual + draw.normal(0, 0.4, len(usual)), low, high)
        if number % 2:
            begin[-1] = high[-1]  # kernels without split-K
        found = optimize.minimize(
            loss, begin, method="Nelder-Mead", options={"maxfev": 3000, "adaptive": True, "xatol": 1e-4, "fatol": 1e-6}
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    return of(best.x)
