"""A calibration of one chip from a table of timed GEMMs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.evaluate.gemms import Kernels, kernels
from accelsim.spec.attention import Attention
from accelsim.spec.calibration import Calibration, FormatConstants, GemmConstants
from accelsim.spec.device import GpuChip
from accelsim.spec.fitted import Errors, Fit
from accelsim.validation import quantised, tables
from accelsim.validation.attention import timed
from accelsim.validation.calibrate import HARNESS, RANGES, Rows, errors, few, fit, parts, possible

LEAST_FULL = 150
"""Rows, less those that are held back, that a fit of all constants asks for."""

RULE = "held back: rows whose sha256 of repr(('held', kernel, m, n, k)) is a multiple of 4; all others are fitted"


def calibrated(
    file: str | PathLike[str], chip: str | PathLike[str] | GpuChip, *, library: str = "own", device: str | None = None,
    kernel: str = "bfloat16", full: bool = False, source: str | None = None, default_for: tuple[str, ...] = (),
    formats: tuple[str, ...] = (), attention: str | PathLike[str] | None = None,
) -> tuple[Calibration, int]:  # fmt: skip
    """Constants of the GEMMs of a chip.

    Args:
        file: CSV with m, n, k, latency_ms, and possibly device and gemm_dtype; see `tables.read`.
        chip: whose kernels were timed.
        library: name and version of the kernels.
        device: name of the chip in the file.
        kernel: class of kernels in the file, one of `tables.KERNELS`.
        full: fit all constants anew; else those that so many rows are enough for, beginning with the nearest
            chip's.
        source: of the file, its name if not given.
        default_for: generations that take these constants where nothing fits better.
        formats: further classes of kernels in the file, whose constants follow those of `kernel`.
        attention: CSV of timed attention kernels, see `accelsim.validation.attention.read`; variants and dispatch are
            those of the nearest chip.

    Returns:
        The record, and how many rows were left out because the chip cannot be that fast.

    Raises:
        RequestError: too few rows, rows that do not identify the constants, or a file that cannot be read.
    """
    for name in (kernel, *formats):
        if name not in tables.KERNELS:
            raise RequestError(f"kernel = {name!r}: allowed are {', '.join(tables.KERNELS)}")
    made = kernels(chip, *tables.KERNELS[kernel])
    found = tables.read(file, device, kernel)
    usable = possible(found, made) if len(found) else np.zeros(0, dtype=bool)
    to_fit, kept = parts(found.where(usable), kernel)
    if full and len(to_fit) < LEAST_FULL:
        raise RequestError(
            f"{len(to_fit)} usable rows beside {len(kept)} held back: all {len(RANGES)} constants need {LEAST_FULL}; "
            "without full, some are refitted and the others stay those of the nearest chip"
        )
    names = tuple(RANGES) if full else few(len(to_fit))
    start = None if full else made.library.calibration.gemm
    constants = fit(to_fit, made, names, start, *(() if full else (2,)))
    told = source or Path(file).name
    record = Calibration(
        name=f"{made.chip.name}-{library}", chip=made.chip.name, library=library, default_for=default_for,
        source=f"{len(names)} constants fitted to {len(to_fit)} timed GEMMs"
        + ("" if full else f", the others of {made.library.calibration.name}"),
        status="derived",
        gemm=constants,
        provenance=Fit(
            source=f"{told}; {RULE}", status="measured", device=device or "", kernel=kernel,
            fit=_errors(made, constants, to_fit), held=_errors(made, constants, kept),
        ),
        format=tuple(_format(file, made, constants, device, name, told) for name in formats),
        attention=None if attention is None else _attention(attention, made, device, source),
    )  # fmt: skip
    return record, int((~usable).sum())


def again(name: str, file: str | PathLike[str]) -> Calibration:
    """A shipped calibration, fitted anew to the same rows; what is not of GEMMs stays as it is."""
    record = catalog.calibration(name)
    told = record.fitted
    made, _ = calibrated(
        file, record.chip, library=record.library, device=told.device, kernel=told.kernel, full=True,
        source=told.source.partition("; held back")[0], default_for=record.default_for,
        formats=tuple(row.kernel for row in record.format),
    )  # fmt: skip
    return made.model_copy(update={"collective": record.collective, "rows": record.rows})


def _attention(file: str | PathLike[str], made: Kernels, device: str | None, source: str | None) -> Attention:
    base = made.library.attention.attention
    assert base is not None
    return timed(file, made.chip.name, device or "", base, source=source or Path(file).name)


def _format(
    file: str | PathLike[str], base: Kernels, constants: GemmConstants, device: str | None, kernel: str, told: str
) -> FormatConstants:
    operands = tables.KERNELS[kernel]
    made = kernels(base.chip, *operands)
    found = tables.read(file, device, kernel)
    to_fit, kept = parts(found.where(possible(found, made)), kernel)
    if len(to_fit) < LEAST_FULL or not len(kept):
        raise RequestError(f"{kernel}: {len(to_fit)} usable rows beside {len(kept)} held back; {LEAST_FULL} are needed")
    best = quantised.fit(to_fit, made, constants)
    fitted, held = (errors(best.seconds(made, rows), rows.seconds) for rows in (to_fit, kept))
    return FormatConstants.model_construct(
        kernel=kernel, operands=operands, prepass_s=best.prepass_s, prepass_bytes=best.prepass_bytes, gemm=best.gemm,
        provenance=Fit(
            source=f"{told}; {RULE}", status="measured", device=device or "", kernel=kernel, fit=fitted, held=held
        ),
    )  # fmt: skip


def _errors(made: Kernels, constants: GemmConstants, rows: Rows) -> Errors:
    if not len(rows):
        raise RequestError("no row is held back: a calibration is to be checked on rows that it was not fitted to")
    return errors(made.price(rows.m, rows.n, rows.k, constants, HARNESS).seconds, rows.seconds)
