"""Constants of GEMM kernels from timed ones: which rows can be used, and the fit.

The fit minimises the mean of |ln(ours / measured)|, with a little weight on large errors and on the summed time, and a
weak pull of each constant towards its usual value, so that what the rows do not say stays plausible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.evaluate.gemms import Kernels
from accelsim.spec.calibration import GemmConstants, Residency
from accelsim.spec.fitted import Errors

Array = npt.NDArray[np.float64]

HARNESS: Final = Residency("harness", "steady", "steady")
"""How the public tables were measured: copies of the weights in turn, one activation, one result."""


@dataclass(frozen=True, slots=True)
class Range:
    """Plausible values of a constant, and the usual one."""

    least: float
    usual: float
    most: float


RANGES: Final[dict[str, Range]] = {
    "start_s": Range(10e-9, 100e-9, 5e-6),
    "tile_start_s": Range(0.02e-6, 0.5e-6, 3e-6),
    "matrix_efficiency": Range(0.4, 0.88, 1.0),
    "memory_efficiency": Range(0.6, 0.9, 1.0),
    "ramp_s": Range(0.1e-6, 2.5e-6, 8e-6),
    "loaded_latency_s": Range(30e-9, 600e-9, 3e-6),
    "l2_efficiency": Range(0.3, 1.0, 3.0),
    "overlap": Range(1.5, 3.5, 8.0),
    "reduction_s": Range(0.3e-6, 2.2e-6, 6e-6),
    "issue_s": Range(3e-9, 40e-9, 200e-9),
    "recovered_tail": Range(0.01, 0.6, 1.0),
    "epilogue": Range(1.0, 2.0, 10.0),
    "usable_l2": Range(0.2, 0.6, 1.0),
    "l2_edge": Range(2.0, 6.0, 40.0),
    "clock_drop": Range(0.005, 0.2, 0.6),
    "clock_ramp_s": Range(50e-6, 1e-3, 5e-3),
    "clock_edge": Range(1.0, 2.0, 8.0),
}

FEW: Final = (
    (30, ("start_s", "matrix_efficiency", "memory_efficiency")),
    (60, ("l2_efficiency", "loaded_latency_s")),
    (150, ("tile_start_s", "recovered_tail", "clock_drop")),
)
"""Rows that it takes to refit further constants, beginning with another chip's."""

_SEED: Final = 0
_STARTS: Final = 4
_PULL: Final = 4e-4
_SPAN: Final = 3
"""Rows of a decade that its sum is looked at from."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Timed GEMMs, [rows] each."""

    m: Array
    n: Array
    k: Array
    seconds: Array

    def __len__(self) -> int:
        return len(self.m)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.m[chosen], self.n[chosen], self.k[chosen], self.seconds[chosen])

    @staticmethod
    def of(found: Iterable[tuple[int, int, int, float]]) -> Rows:
        """From (m, n, k, seconds)."""
        columns = np.array(sorted(found), dtype=float).reshape(-1, 4)
        return Rows(*columns.T)


def held(kernel: str, m: int, n: int, k: int) -> bool:
    """Whether a shape is kept out of every fit: a quarter of them, by their hash."""
    text = repr(("held", kernel, m, n, k))
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 4 == 0


def parts(rows: Rows, kernel: str) -> tuple[Rows, Rows]:
    """The rows to fit to, and those that are held back."""
    shapes = zip(rows.m, rows.n, rows.k, strict=True)
    kept = np.array([held(kernel, int(m), int(n), int(k)) for m, n, k in shapes], dtype=bool)
    return rows.where(~kept), rows.where(kept)


def possible(rows: Rows, kernels: Kernels) -> npt.NDArray[np.bool_]:
    """Rows that are not faster than the chip: than its matrix units, or than its memory for what L2 cannot hold."""
    floor = kernels.least_s(rows.m, rows.n, rows.k)
    return np.asarray(rows.seconds >= floor)


def errors(ours: Array, measured: Array) -> Errors:
    """Absolute relative errors, to four digits."""
    off = np.abs(ours / measured - 1)
    return Errors(
        rows=len(off), mean=_short(off.mean()), median=_short(np.median(off)), p90=_short(np.percentile(off, 90)),
        total=_short(ours.sum() / measured.sum()),
    )  # fmt: skip


def fit(
    rows: Rows, kernels: Kernels, names: Sequence[str], start: GemmConstants | None = None, starts: int = _STARTS
) -> GemmConstants:
    """The constants that fit the rows best.

    Args:
        rows: measured by the harness of `HARNESS`.
        kernels: of the chip.
        names: constants to fit; the others stay as in `start`.
        start: where the search begins, and what the pull is towards; the usual values if not given.
        starts: searches, the first of them from `start` itself.

    Raises:
        RequestError: rows that do not identify the constants.
    """
    from scipy import optimize

    identifiable(rows, kernels, names)
    given = start.model_dump() if start else {name: span.usual for name, span in RANGES.items()}
    low, high = (np.log([getattr(RANGES[name], end) for name in names]) for end in ("least", "most"))
    usual = np.clip(np.log([given[name] for name in names]), low + 1e-6, high - 1e-6)

    def made(point: Array) -> GemmConstants:
        values = np.exp(np.clip(point, low, high))
        return GemmConstants.model_construct(**{**given, **dict(zip(names, map(float, values), strict=True))})

    def logs(point: Array) -> Array:
        ours = kernels.price(rows.m, rows.n, rows.k, made(point), HARNESS).seconds
        found: Array = np.log(ours / rows.seconds)
        return found

    def loss(point: Array) -> float:
        inside = np.clip(point, low, high)
        pull = _PULL * ((inside - usual) ** 2).sum() + ((point - inside) ** 2).sum()
        return misfit(logs(inside), rows.seconds) + float(pull)

    draw = np.random.default_rng(_SEED)
    best: Any = None
    for number in range(starts):
        begin = np.clip(usual + (draw.normal(0, 0.4, len(names)) if number else 0), low + 1e-3, high - 1e-3)
        rough = optimize.least_squares(
            logs, begin, bounds=(low, high), loss="soft_l1", f_scale=0.05, diff_step=[1e-3] * len(names), max_nfev=60
        )
        fine = optimize.minimize(
            loss, rough.x, method="Nelder-Mead",
            options={"maxfev": 300 * len(names), "adaptive": True, "xatol": 1e-4, "fatol": 1e-6},
        )  # fmt: skip
        if best is None or fine.fun < best.fun:
            best = fine
    return rounded(made(best.x))


def misfit(logs: Array, seconds: Array) -> float:
    """What a fit minimises, for logarithms of ours over measured times.

    Their mean magnitude; a little of their squares; and how far the summed times are off, of all rows and, on average,
    of each decade of times: the longest kernels are few, but most of a sum.
    """
    ours = np.exp(logs) * seconds
    decade = np.floor(np.log10(seconds))
    spans = [decade == number for number in np.unique(decade)]
    sums = [abs(np.log(ours[span].sum() / seconds[span].sum())) for span in spans if span.sum() >= _SPAN]
    total = abs(np.log(ours.sum() / seconds.sum()))
    return float(np.abs(logs).mean() + 0.3 * (logs**2).mean() + 0.2 * total + 0.2 * np.mean(sums or [0.0]))


def few(count: int) -> tuple[str, ...]:
    """The constants that so many rows are enough for, when the others are another chip's.

    Raises:
        RequestError: too few rows for any.
    """
    if count < FEW[0][0]:
        raise RequestError(
            f"{count} usable rows: {FEW[0][0]} are the least that any constant follows from; 60 to 200 do"
        )
    return tuple(name for needed, names in FEW if count >= needed for name in names)


def identifiable(rows: Rows, kernels: Kernels, names: Sequence[str]) -> None:
    """Refuse rows that say nothing of a constant.

    Raises:
        RequestError: which constants, and what rows would say more.
    """
    compute, memory = kernels.bounds_s(rows.m, rows.n, rows.k)
    long = np.maximum(compute, memory) > 20e-6
    needs = {
        "matrix_efficiency": ((compute > 1.5 * memory) & long, "bound by arithmetic (m, n and k above 2,000)"),
        "memory_efficiency": ((memory > 1.5 * compute) & long, "that stream weights (m up to 16, n x k above 30 M)"),
        "start_s": (rows.seconds < 15e-6, "below 15 us (m up to 64, n and k up to 2,000)"),
        "clock_drop": ((compute > 1e-3) & (compute > 1.5 * memory), "of more than 1 ms, bound by arithmetic"),
    }
    for name in names:
        if name in needs and int(needs[name][0].sum()) < 3:
            raise RequestError(
                f"{name.removesuffix('_s')} does not follow from these {len(rows)} rows: fewer than three are GEMMs "
                f"{needs[name][1]}; add some"
            )


def rounded(constants: GemmConstants) -> GemmConstants:
    """Four significant digits, as they are written down."""
    return constants.model_copy(update={name: _short(value) for name, value in constants.model_dump().items()})


def _short(value: Any) -> float:
    return float(f"{float(value):.4g}")
