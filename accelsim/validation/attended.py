"""Measured attention kernels beside ours and rooflines, as `accelsim.validation.gpu` has GEMMs.

The tables time rotating, writing the cache and converting queries together with attention; ours is the sum of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.mapping.gpu.library import calibrations
from accelsim.spec.attention import Attention
from accelsim.validation.attention import KINDS, Timed, read, seconds
from accelsim.validation.gpu import Row, Score

Array = npt.NDArray[np.float64]

TABLE: Final = "attention_measured.csv"
NAMES: Final[Mapping[str, str]] = dict(zip(KINDS, ("prefill attention", "decode attention"), strict=True))
BANDS: Final[Mapping[str, tuple[float, float]]] = {
    "< 20 us": (0, 20e-6),
    "20-50 us": (20e-6, 50e-6),
    "50-200 us": (50e-6, 200e-6),
    "0.2-1 ms": (200e-6, 1e-3),
    "> 1 ms": (1e-3, np.inf),
}
MEASURED: Final = ("a100-sxm-80gb", "h100-sxm", "h200-sxm", "b200-sxm")
ASKED: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    **{(chip, "prefill attention"): (10, 7) for chip in MEASURED},
    **{(chip, "decode attention"): (20, 14) for chip in MEASURED},
    ("b200-sxm", "decode attention"): (12, 7),
}
"""Mean and median errors in per cent that the project asks for."""

ORIGIN: Final = "h100-sxm-trtllm-1.3"


def rows(folder: Path) -> Iterator[Row]:
    """All classes on all chips whose attention kernels were timed.

    Raises:
        RequestError: the table is not there.
    """
    origin = catalog.calibration(ORIGIN)
    for record in calibrations():
        known = record.attention
        if known is None or known.prefill_provenance is None or known.decode_provenance is None:
            continue
        for kind, told in zip(KINDS, (known.prefill_provenance, known.decode_provenance), strict=True):
            timed, what = read(folder / TABLE, record.chip, told.device, kind), NAMES[kind]
            to_fit, kept = ([part.where(part.held == held) for part in timed] for held in (False, True))
            base = _baseline(to_fit)
            yield _row(kept, known, kind, what, base)
            yield _row(to_fit, known, kind, f"{what}, fitted rows", base)
            for band, (least, most) in BANDS.items():
                some = [part.where((least <= part.seconds) & (part.seconds < most)) for part in timed]
                yield _row(some, known, kind, f"{what}, {band}, all rows", base)
            if origin.attention is not None and record.chip != origin.chip:
                yield _row(kept, origin.attention, kind, f"{what}, constants of {origin.chip}", base)


def _row(timed: Sequence[Timed], record: Attention, kind: str, what: str, base: Array) -> Row:
    measured = np.concatenate([part.seconds for part in timed])
    ours = np.concatenate([seconds(part, record, kind) for part in timed])
    roof, chip = _roofline(timed), timed[0].made.chip.name
    return Row(
        chip, what, len(measured), Score.of(ours, measured), Score.of(roof / base[0] + base[1], measured),
        Score.of(roof, measured), ASKED.get((chip, what)),
    )  # fmt: skip


def _roofline(timed: Sequence[Timed]) -> Array:
    return np.concatenate([np.maximum(*part.made.bounds_s(part.heads)) for part in timed])


def _baseline(timed: Sequence[Timed]) -> Array:
    """Efficiency and offset in seconds that minimise the mean of |ln| of a roofline with them."""
    from scipy import optimize

    roof, measured = _roofline(timed), np.concatenate([part.seconds for part in timed])

    def loss(point: Array) -> float:
        return float(np.abs(np.log((roof / np.exp(point[0]) + np.exp(point[1])) / measured)).mean())

    best = optimize.minimize(loss, np.log([0.5, 1e-5]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    given: Array = np.exp(best.x)
    return given
