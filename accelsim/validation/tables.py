"""Timed GEMMs from files, and constants of kernels as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Final

from accelsim import units
from accelsim.errors import RequestError
from accelsim.spec.attention import Attention
from accelsim.spec.base import Record
from accelsim.spec.calibration import Board, Calibration, Collective
from accelsim.spec.fitted import Errors, Fit
from accelsim.validation import collectives
from accelsim.validation.calibrate import Rows
from accelsim.validation.lines import lines

KERNELS: Final[Mapping[str, tuple[str, str]]] = {
    "bfloat16": ("bf16", "bf16"),
    "float16": ("fp16", "fp16"),
    "fp8": ("fp8_e4m3", "fp8_e4m3"),
    "fp8_block": ("deepseek_fp8", "deepseek_fp8"),
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
    for where, row in lines(file, _NEEDED):
        if device is not None and row.get("device", device) != device:
            continue
        if row.get("gemm_dtype", kernel) != kernel:
            continue
        try:
            m, n, k = (int(row[name]) for name in "mnk")
            seconds = float(row["latency_ms"]) * 1e-3
        except (TypeError, ValueError) as error:
            raise RequestError(f"{where}: {error}") from None
        if min(m, n, k) < 1 or not seconds > 0:
            raise RequestError(f"{where}: sizes and latency must be above 0")
        yield m, n, k, seconds


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
    if record.rows is not None:
        lines += [
            "", "[rows]", f"softmax_columns = {record.rows.softmax_columns}",
            f"norm_columns = {record.rows.norm_columns}", f'source = "{record.rows.source}"',
            f'status = "{record.rows.status}"',
        ]  # fmt: skip
    lines += collectives.lines(record.collective, _fit)
    if record.attention is not None:
        lines += _attention(record.attention)
    if record.power is not None:
        lines += _power(record.power)
    return "\n".join(lines) + "\n"


def collectives_written(records: Sequence[Collective]) -> str:
    """The tables of a calibration file that hold the constants of collectives."""
    return "\n".join(collectives.lines(records, _fit)).lstrip("\n") + "\n"


def power_written(record: Board) -> str:
    """The table of a calibration file that holds the constants of a board's power."""
    return "\n".join(_power(record)).lstrip("\n") + "\n"


def _power(board: Board) -> Iterator[str]:
    yield from ("", "[power]", *(f"{name} = {getattr(board, name)!r}" for name in ("drawn", "regulated", "response")))
    yield from ("", "[power.provenance]", *_fit(board.provenance))


def _attention(record: Attention) -> Iterator[str]:
    for name, constants, variants, told in (
        ("prefill", record.prefill, record.prefill_for, record.prefill_provenance),
        ("decode", record.decode, record.decode_for, record.decode_provenance),
    ):
        yield from ("", f"[attention.{name}]", *_constants(constants))
        for row in variants:
            operands = ", ".join(f'"{form}"' for form in row.operands)
            yield from ("", f"[[attention.{name}_for]]", f"operands = [{operands}]")
            if row.head_dim is not None:
                yield f"head_dim = {row.head_dim}"
            yield from _constants(row)
        if told is not None:
            yield from ("", f"[attention.{name}_provenance]", *_fit(told))
    rule = record.dispatch
    yield from ("", "[attention.dispatch]", f"least_group = {rule.least_group}", f"most_group = {rule.most_group}")
    if rule.fill:
        yield f"fill = {rule.fill!r}"
    if rule.always:
        yield "always = [" + ", ".join(f'"{form}"' for form in rule.always) + "]"
        yield f"always_head_dim = {rule.always_head_dim}"
    yield from (f"block = {rule.block}", f"single_block = {rule.single_block}")
    yield from (f'source = "{rule.source}"', f'status = "{rule.status}"')


def _fit(fit: Fit) -> Iterator[str]:
    yield from (f'device = "{fit.device}"', f'kernel = "{fit.kernel}"')
    yield from (f"fit = {_errors(fit.fit)}", f"held = {_errors(fit.held)}")
    yield from (f'source = "{fit.source}"', f'status = "{fit.status}"')


def _constants(constants: Record) -> Iterator[str]:
    for name, field in type(constants).model_fields.items():
        value = getattr(constants, name)
        if not isinstance(value, float):  # formats and widths are told before, and what is not given is left out
            continue
        yield f"{name} = {value!r}" if field.alias is None else f'{field.alias} = "{units.show(value, "s", 4)}"'


def _errors(errors: Errors) -> str:
    return "{ " + ", ".join(f"{name} = {value!r}" for name, value in errors.model_dump().items()) + " }"
