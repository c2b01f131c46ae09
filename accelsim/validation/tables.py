"""Timed GEMMs from files, and constants of kernels as files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Final

from accelsim import units
from accelsim.errors import RequestError
from accelsim.spec.calibration import Calibration, Errors, Fit, GemmConstants
from accelsim.validation.calibrate import Rows

KERNELS: Final[Mapping[str, tuple[str, str]]] = {
    "bfloat16": ("bf16", "bf16"),
    "float16": ("fp16", "fp16"),
    "fp8": ("fp8_e4m3", "fp8_e4m3"),
    "fp8_block": ("fp8_e4m3", "fp8_e4m3"),
    "nvfp4": ("nvfp4", "nvfp4"),
    "int8_wo": ("bf16", "int8"),
    "int4_wo": ("bf16", "int4"),
}
"""Formats of (activations, weights) by the name of a class of kernels in public tables."""

_NEEDED: Final = ("m", "n", "k", "latency_ms")


def read(file: str | PathLike[str], device: str | None = None, kernel: str = "bfloat16") -> Rows:
    """The rows of a CSV file with the columns m, n, k and latency_ms.

    Args:
        file: the file.
        device: rows of this device, where the file has a column `device`.
        kernel: rows of this class, where it has a column `gemm_dtype`.

    Raises:
        RequestError: a column is missing, or a row that is no timed GEMM, with its line.
    """
    return Rows.of(_rows(Path(file), device, kernel))


def _rows(file: Path, device: str | None, kernel: str) -> Iterator[tuple[int, int, int, float]]:
    try:
        with file.open(encoding="utf-8", newline="") as text:
            table = csv.DictReader(text)
            missing = [name for name in _NEEDED if name not in (table.fieldnames or ())]
            if missing:
                raise RequestError(f"{file}: no column {missing[0]!r}; needed are {', '.join(_NEEDED)}")
            for row in table:
                if device is not None and row.get("device", device) != device:
                    continue
                if row.get("gemm_dtype", kernel) != kernel:
                    continue
                try:
                    m, n, k = (int(row[name]) for name in "mnk")
                    seconds = float(row["latency_ms"]) * 1e-3
                except (TypeError, ValueError) as error:
                    raise RequestError(f"{file}, line {table.line_num}: {error}") from None
                if min(m, n, k) < 1 or not seconds > 0:
                    raise RequestError(f"{file}, line {table.line_num}: sizes and latency must be above 0")
                yield m, n, k, seconds
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}") from None


def written(record: Calibration, prose: str) -> str:
    """The TOML file of a record; `prose` opens it."""
    lines = [f"# {line}".rstrip() for line in prose.splitlines()]
    lines += ["", f'name = "{record.name}"', f'chip = "{record.chip}"', f'library = "{record.library}"']
    if record.default_for:
        lines.append("default_for = [" + ", ".join(f'"{name}"' for name in record.default_for) + "]")
    lines += [f'source = "{record.source}"', f'status = "{record.status}"']
    lines += ["", "[gemm]", *_constants(record.gemm)]
    lines += ["", "[provenance]", *_fit(record.fitted)]
    for row in record.format:
        operands = ", ".join(f'"{name}"' for name in row.operands)
        lines += [
            "", "[[format]]", f'kernel = "{row.kernel}"', f"operands = [{operands}]",
            f'prepass = "{units.show(row.prepass_s, "s", 4)}"', f"prepass_bytes = {row.prepass_bytes!r}",
            "", "[format.gemm]", *_constants(row.gemm), "", "[format.provenance]", *_fit(row.provenance),
        ]  # fmt: skip
    if record.power is not None:
        board = record.power
        lines += ["", "[power]", *(f"{name} = {getattr(board, name)!r}" for name in ("drawn", "regulated", "response"))]
        lines += ["", "[power.provenance]", *_fit(board.provenance)]
    return "\n".join(lines) + "\n"


def _fit(fit: Fit) -> Iterator[str]:
    yield from (f'device = "{fit.device}"', f'kernel = "{fit.kernel}"')
    yield from (f"fit = {_errors(fit.fit)}", f"held = {_errors(fit.held)}")
    yield from (f'source = "{fit.source}"', f'status = "{fit.status}"')


def _constants(constants: GemmConstants) -> Iterator[str]:
    for name, field in GemmConstants.model_fields.items():
        value = getattr(constants, name)
        if field.alias is None:
            yield f"{name} = {float(value)!r}"
        else:
            yield f'{field.alias} = "{units.show(value, "s", 4)}"'


def _errors(errors: Errors) -> str:
    return "{ " + ", ".join(f"{name} = {value!r}" for name, value in errors.model_dump().items()) + " }"
