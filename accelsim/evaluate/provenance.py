"""Which figures of a chip a kernel was priced with: value, unit, source and status of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from accelsim import catalog
from accelsim.mapping.gpu.library import ATTENTION, CALIBRATED
from accelsim.mapping.gpu.memory import FIGURE, port
from accelsim.mapping.kernel import PART, Kernel
from accelsim.spec.base import STATUSES, Description, Sourced
from accelsim.spec.calibration import Calibration
from accelsim.spec.device import Conversion, GpuChip, Narrowing, Peak
from accelsim.spec.faults import unit_at
from accelsim.spec.ipu import AmpPeak

_PROVENANCE = frozenset({"source", "status", "notes", "measured", "derived", "assumed"})


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure of a chip.

    Attributes:
        path: dotted, as in the description; rows of a list are numbered as the record has them.
        value: in SI units, or a plain number.
        unit: canonical unit, empty for plain numbers.
        source: where it comes from.
        status: datasheet, measured, derived or assumed.
    """

    path: str
    value: float
    unit: str
    source: str
    status: str


def constants_of(chip: Description, kernel: Kernel, part: Description | None = None) -> tuple[Constant, ...]:
    """The figures behind a kernel's time, in the order that its mapping names them.

    Lists are narrowed to what the kernel uses: rates of the pairs that it counts energy for, conversions that its
    rule names. Paths that begin with "part." are of `part`.
    """
    found: list[Constant] = []
    for path in kernel.constants:
        if part is not None and path.startswith(PART):
            found.extend(
                replace(constant, path=PART + constant.path)
                for constant in _figures(part, path.removeprefix(PART), kernel)
            )
        else:
            found.extend(_figures(chip, path, kernel))
    return tuple(dict.fromkeys(found))


def _figures(chip: Description, path: str, kernel: Kernel) -> Iterator[Constant]:
    *tables, last = path.split(".")
    owner: Any = chip
    if path == FIGURE and isinstance(chip, GpuChip):
        memory = port(chip)
        yield Constant(path, memory.streaming_bytes_per_s, "B/s", memory.source, memory.status)
        return
    if path == CALIBRATED:
        yield from _calibrated(catalog.calibration(kernel.choice["calibration"]))
        return
    if ".".join(tables) == ATTENTION:
        yield from _attention(catalog.calibration(kernel.choice["calibration"]), kernel, last)
        return
    for name in tables:
        owner = getattr(owner, name)
    content = getattr(owner, last, None)
    if isinstance(content, tuple):
        for index, row in enumerate(content):
            if _used(row, kernel):
                yield from _table(chip, row, (*tables, last, index))
    elif isinstance(content, Sourced):
        yield from _table(chip, content, (*tables, last))
    else:
        yield _figure(chip, owner, (*tables, last))


def _calibrated(record: Calibration) -> Iterator[Constant]:
    """The constants of a library's GEMMs."""
    for key, value in record.gemm.model_dump(by_alias=True).items():
        path = ("gemm", key)
        yield Constant(f"calibration.gemm.{key}", value, unit_at(Calibration, path), record.source, record.status)


def _attention(record: Calibration, kernel: Kernel, which: str) -> Iterator[Constant]:
    """The constants of a library's attention, over prompts ("prefill") or over a cache ("decode")."""
    op, known = kernel.operator, record.attention
    if known is None:
        return
    query, cache = (form.name for form in op.operand_formats())
    width = int(op.dims["head_dim"])
    found = known.prefilling(query, cache, width) if which == "prefill" else known.decoding(query, cache, width)
    told = known.prefill_provenance if which == "prefill" else known.decode_provenance
    for key, value in found.model_dump(by_alias=True).items():
        symbol = unit_at(Calibration, ("attention", which, key))
        source = record.source if told is None else told.source
        yield Constant(f"{ATTENTION}.{which}.{key}", value, symbol, source, record.status)


def _used(row: Any, kernel: Kernel) -> bool:
    """Whether the kernel uses a row of matrix rates or of conversions."""
    if isinstance(row, Peak | AmpPeak):
        first, second = row.operands
        dense = isinstance(row, AmpPeak) or row.sparsity == "dense"
        name = f"tensor:{first}x{second}:{row.accumulator}"
        return dense and any(event.partition("@")[0] == name for event in kernel.events)
    if isinstance(row, Conversion):
        return any(f"{source}->{target}" in kernel.priced_by for source in row.sources for target in row.targets)
    if isinstance(row, Narrowing):
        return any(f"->{target}" in kernel.priced_by for target in row.targets)
    return True


def _table(chip: Description, table: Sourced, path: tuple[str | int, ...]) -> Iterator[Constant]:
    for key, value in table.model_dump(by_alias=True).items():
        if key not in _PROVENANCE and isinstance(value, int | float) and not isinstance(value, bool):
            yield _figure(chip, table, (*path, key))


def _figure(chip: Description, table: Sourced, path: tuple[str | int, ...]) -> Constant:
    content, key = table.model_dump(by_alias=True), str(path[-1])
    named = [status for status in STATUSES if key in content.get(status, ())]
    return Constant(
        path=".".join(map(str, path)),
        value=content[key],
        unit=unit_at(type(chip), path),
        source=table.source,
        status=max([table.status, *named], key=STATUSES.index),
    )
