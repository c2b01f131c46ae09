"""Timed collectives, the constants that follow from them, and the lines of a calibration that hold those.

Rows are held back by operation, GPUs and bytes, so that the same message in two number formats is either fitted or held
back. The fit minimises the mean of |ln(ours / measured)| with a weak pull towards the usual values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog, units
from accelsim.errors import RequestError
from accelsim.mapping.gpu.links import fastest
from accelsim.spec.calibration import Collective
from accelsim.spec.collective import OPERATIONS, CollectiveConstants
from accelsim.spec.device import GpuChip
from accelsim.spec.fitted import Fit
from accelsim.timing.gpu import collective
from accelsim.validation.calibrate import Range, errors
from accelsim.validation.lines import lines as table_lines

Array = npt.NDArray[np.float64]

TABLE: Final = "nccl_measured.csv"
BYTES: Final[Mapping[str, int]] = {"half": 2, "int8": 1, "float": 4}
WORDS: Final[Mapping[str, str]] = {"alltoall": "all_to_all"}
"""Names of operations in public tables that are not ours."""

RANGES: Final[dict[str, Range]] = {
    "start_s": Range(1e-6, 5e-6, 20e-6),
    "hop_s": Range(0.05e-6, 1.5e-6, 10e-6),
    "ll_efficiency": Range(0.003, 0.05, 0.5),
    "ll128_s": Range(0.1e-6, 3e-6, 30e-6),
    "ll128_efficiency": Range(0.05, 0.35, 0.7),
    "simple_s": Range(1e-6, 20e-6, 150e-6),
    "simple_efficiency": Range(0.3, 0.75, 1.0),
}
GROWTH: Final = Range(-0.6, 0.0, 0.6)
LEAST_ROWS: Final = 24
_NEEDED: Final = ("op_name", "num_gpus", "message_size", "latency")
_PULL: Final = 2e-4
_STARTS: Final = 12
RULE: Final = (
    "held back: rows whose sha256 of repr(('held', 'collective', operation, devices, bytes)) is a multiple of 4; all "
    "others are fitted"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Timed collectives of one operation, [rows] each: GPUs, bytes as in `collective.wire_bytes`, seconds."""

    operation: str
    devices: Array
    size: Array
    seconds: Array

    def __len__(self) -> int:
        return len(self.devices)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.operation, self.devices[chosen], self.size[chosen], self.seconds[chosen])


def read(file: str | PathLike[str], device: str | None = None) -> dict[str, Rows]:
    """The rows of a CSV file by operation.

    Args:
        file: with the columns op_name, num_gpus, message_size (elements), latency (ms), and possibly nccl_dtype (bytes
            if there is none) and device.
        device: rows of this device, where the file has that column.

    Raises:
        RequestError: a column is missing, or a row that is no timed collective, with its line.
    """
    found: dict[str, list[tuple[int, int, float]]] = {}
    for operation, devices, size, seconds_ in _rows(Path(file), device):
        found.setdefault(operation, []).append((devices, size, seconds_))
    return {
        name: Rows(name, *np.array(sorted(found[name]), dtype=float).T) for name in OPERATIONS if name in found
    }  # fmt: skip


def _rows(file: Path, device: str | None) -> Iterator[tuple[str, int, int, float]]:
    for where, row in table_lines(file, _NEEDED):
        if device is None or row.get("device", device) == device:
            yield _row(row, where)


def _row(row: Mapping[str, str], where: str) -> tuple[str, int, int, float]:
    operation, form = WORDS.get(row["op_name"], row["op_name"]), row.get("nccl_dtype")
    if operation not in OPERATIONS:
        raise RequestError(f"{where}: op_name = {operation!r}; known are {', '.join(OPERATIONS)}")
    if form is not None and form not in BYTES:
        raise RequestError(f"{where}: nccl_dtype = {form!r}; known are {', '.join(BYTES)}")
    try:
        devices, elements, seconds = int(row["num_gpus"]), int(row["message_size"]), float(row["latency"]) * 1e-3
    except (TypeError, ValueError) as error:
        raise RequestError(f"{where}: {error}") from None
    if devices < 2 or elements < 1 or not seconds > 0:
        raise RequestError(f"{where}: at least two GPUs; sizes and latency must be above 0")
    return operation, devices, elements * (BYTES[form] if form else 1), seconds


def parts(rows: Rows) -> tuple[Rows, Rows]:
    """The rows to fit to, and those that are held back."""
    points = zip(rows.devices, rows.size, strict=True)
    kept = np.array([_held(rows.operation, int(devices), int(size)) for devices, size in points], dtype=bool)
    return rows.where(~kept), rows.where(kept)


def _held(operation: str, devices: int, size: int) -> bool:
    text = repr(("held", "collective", operation, devices, size))
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 4 == 0


def seconds(rows: Rows, link_bytes_per_s: float, constants: CollectiveConstants) -> Array:
    """Our times of these rows."""
    return collective.price(rows.size, rows.devices, link_bytes_per_s, constants).seconds


def fit(rows: Rows, link_bytes_per_s: float, starts: int = _STARTS) -> CollectiveConstants:
    """The constants that fit the rows of one operation best.

    Raises:
        RequestError: too few rows, or messages that are all short or all long.
    """
    from scipy import optimize

    if len(rows) < LEAST_ROWS or rows.size.min() > 32e3 or rows.size.max() < 32e6:
        raise RequestError(
            f"{rows.operation}: {len(rows)} usable rows from {rows.size.min():.3g} to {rows.size.max():.3g} bytes; "
            f"three protocols show in {LEAST_ROWS} rows or more that reach from 32 kB or less to 32 MB or more"
        )
    spans = (*RANGES.values(), GROWTH)
    low, usual, high = (
        np.array([np.log(getattr(s, end)) for s in RANGES.values()] + [getattr(GROWTH, end)])
        for end in ("least", "usual", "most")
    )
    varied = len(set(rows.devices)) > 1
    free = np.array([True] * len(RANGES) + [varied])

    def made(point: Array) -> CollectiveConstants:
        inside = np.clip(point, low, high)
        values = [float(f"{value:.4g}") for value in (*np.exp(inside[:-1]), inside[-1])]
        given: dict[str, Any] = {"operation": rows.operation, **dict(zip((*RANGES, "growth"), values, strict=True))}
        return CollectiveConstants.model_construct(**given)

    def loss(some: Array) -> float:
        point = usual.copy()
        point[free] = some
        inside = np.clip(point, low, high)
        off = np.log(seconds(rows, link_bytes_per_s, made(inside)) / rows.seconds)
        pull = _PULL * ((inside - usual) ** 2).sum() + ((point - inside) ** 2).sum()
        return float(np.abs(off).mean() + 0.1 * (off**2).mean() + pull)

    draw, best = np.random.default_rng(0), None
    width = np.where(np.arange(len(spans)) < len(RANGES), 0.5, 0.1)
    for number in range(starts + 2):
        begin = (usual + (draw.normal(0, width) if number else 0))[free]
        if number >= starts and best is not None:
            begin = best.x  # a simplex that has shrunk too early gets another chance
        found = optimize.minimize(
            loss, begin, method="Nelder-Mead",
            options={"maxfev": 4000, "adaptive": True, "xatol": 1e-4, "fatol": 1e-7},
        )  # fmt: skip
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    point = usual.copy()
    point[free] = best.x
    return made(point)


def fitted(
    file: str | PathLike[str], chip: str | PathLike[str] | GpuChip, *, library: str = "nccl",
    device: str | None = None, source: str | None = None,
) -> tuple[Collective, ...]:  # fmt: skip
    """Constants of all operations of a table, on the fastest link of a chip.

    Args:
        file: as in `read`.
        chip: whose collectives were timed.
        library: name and version of their library.
        device: name of the chip in the file.
        source: of the file, its name if not given.

    Raises:
        RequestError: a table without enough rows, or a chip without a link.
    """
    record = catalog.chip(chip)
    if not isinstance(record, GpuChip) or (link := fastest(record)) is None:
        raise RequestError(f"{getattr(record, 'name', record)}: collectives are fitted on GPUs with a link")
    found, rate = read(file, device), link.bandwidth_bytes_per_s
    if not found:
        raise RequestError(f"{file}: no row" + (f" of device {device!r}" if device else ""))
    made = []
    for name, rows in found.items():
        to_fit, kept = parts(rows)
        if not len(kept):
            raise RequestError(f"{name}: no row is held back; a fit is to be checked on rows that it was not fitted to")
        constants = fit(to_fit, rate)
        one, other = (errors(seconds(some, rate, constants), some.seconds) for some in (to_fit, kept))
        told = Fit(
            source=f"{source or Path(file).name}; {RULE}", status="measured", device=device or "", kernel=name,
            fit=one, held=other,
        )  # fmt: skip
        made.append(Collective(library=library, link=link.name, constants=constants, provenance=told))
    return tuple(made)


def lines(records: Iterable[Collective], fit_lines: Callable[[Fit], Iterable[str]]) -> Iterator[str]:
    """The `[[collective]]` tables of a calibration file."""
    for record in records:
        yield from ("", "[[collective]]", f'library = "{record.library}"', f'link = "{record.link}"')
        yield from ("", "[collective.constants]", f'operation = "{record.constants.operation}"')
        for name, field in CollectiveConstants.model_fields.items():
            value: Any = getattr(record.constants, name)
            if field.alias is not None:
                yield f'{field.alias} = "{units.show(value, "s", 4)}"'
            elif name != "operation":
                yield f"{name} = {float(value)!r}"
        yield from ("", "[collective.provenance]", *fit_lines(record.provenance))
