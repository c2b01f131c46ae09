"""What one element costs the vector unit on its way from storage to arithmetic, and back.

A row of the chip's `convert` or `narrow` comes first, then what the format's structure says: the element's own row or
a table or shifts, a product for every scale, a choice for outliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accelsim.graph.numbers import Number
from accelsim.graph.operator import MATRIX_KINDS, Kind, Operator
from accelsim.spec.device import Conversion, GpuChip
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible

FREE: Final = frozenset({"fp64", "fp32", "tf32", "fp16", "bf16"})
"""Formats of the lanes' own loads and stores: widened and rounded while registers are packed."""

_LANES: Final = "fp32"
COPIES: Final = frozenset({Kind.EMBEDDING, Kind.KV_APPEND, Kind.DISPATCH})
"""Kinds that move codes as they are where both sides have one format."""

_STRUCTURE: Final = "software.*, by the structure of the format"
_TABLE_16_BITS: Final = 4
_TABLE_256_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class Steps:
    """Conversions of an operator beside those of its matrix operands.

    Attributes:
        flops: vector operations, each element once.
        names: "fp8_e4m3->fp32" for every conversion.
        figures: tables of the chip that say so.
    """

    flops: Number = 0
    names: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Empty, or `+convert(fp32->mxfp8_e4m3)`."""
        return f"+convert({','.join(self.names)})" if self.names else ""


def widening(chip: GpuChip, form: Format, target: str) -> Conversion | bool | None:
    """True where nothing is to do, the work where there is a way, else None.

    A format that differs from its element only by a scale of the tensor or channel goes the element's way, since
    such a scale is applied to sums.
    """
    if form.name == target:
        return True
    row = next((row for row in chip.convert if form.name in row.sources and target in row.targets), None)
    if row is not None:
        return row
    parts = form.structure
    own = parts.element is None or parts.element is form
    found = _by_structure(chip, form, target) if own or parts.element is None else widening(chip, parts.element, target)
    if own or found is None or not (parts.scales or parts.outliers):
        return found
    software = chip.software
    if software is None or target not in software.targets:
        return None
    base = found.flops_per_element if isinstance(found, Conversion) else 0.0
    return _made(form, target, base + software.multiply * parts.scales + software.outlier * parts.outliers)


def _by_structure(chip: GpuChip, form: Format, target: str) -> Conversion | None:
    software, parts = chip.software, form.structure
    if software is None or target not in software.targets:
        return None
    by_bits = ((_TABLE_16_BITS, software.table_16), (_TABLE_256_BITS, software.table_256))
    decode = next((flops for bits, flops in by_bits if form.bits <= bits), software.fields)
    return _made(form, target, decode + software.multiply * parts.scales + software.outlier * parts.outliers)


def _made(form: Format, target: str, flops: float) -> Conversion:
    return Conversion.model_validate(
        {
            "from": (form.name,),
            "to": (target,),
            "flops_per_element": flops,
            "source": _STRUCTURE,
            "status": "assumed",
        }
    )


def figures(row: Conversion) -> tuple[str, ...]:
    """Tables of the chip behind a conversion."""
    return ("vector.rate", "software" if row.source == _STRUCTURE else "convert")


def narrowing(chip: GpuChip, form: Format) -> float | None:
    """Vector operations that bring one fp32 result into a format; None where there is no way."""
    if form.name in FREE:
        return 0.0
    row = next((row for row in chip.narrow if form.name in row.targets), None)
    if row is not None:
        return row.flops_per_element
    software, parts = chip.software, form.structure
    if software is None:
        return None
    if parts.element is None or parts.element is form:
        own = software.round
    else:
        found = narrowing(chip, parts.element)
        if found is None:
            return None
        own = found
    return own + software.absmax * form.scaled + software.outlier * parts.outliers


def beside(op: Operator, chip: GpuChip) -> Steps | Infeasible:
    """Conversions of results, and of the inputs of element-wise operators.

    Widening the operands of matrix operators is `accelsim.mapping.gpu.pairs`.
    """
    if op.kind in COPIES and len({tensor.format.name for tensor in (*op.inputs, *op.outputs)}) == 1:
        return Steps()
    made: list[tuple[Number, str, tuple[str, ...]]] = []
    for tensor in op.outputs:
        work = narrowing(chip, tensor.format)
        if work is None:
            return _no_way(chip, tensor.format)
        if not work:
            continue
        named = any(tensor.format.name in row.targets for row in chip.narrow)
        used = ("vector.rate", "narrow" if named else "software")
        made.append((work * tensor.elements, f"{_LANES}->{tensor.format.name}", used))
    for tensor in () if op.kind in MATRIX_KINDS else op.inputs:
        way = tensor.format.name in FREE or widening(chip, tensor.format, _LANES)
        if way is None:
            return _no_way(chip, tensor.format)
        if isinstance(way, Conversion):
            flops = way.flops_per_element * tensor.elements
            made.append((flops, f"{tensor.format.name}->{_LANES}", figures(way)))
    return Steps(
        sum(flops for flops, _, _ in made),
        tuple(dict.fromkeys(name for _, name, _ in made)),
        tuple(dict.fromkeys(path for _, _, paths in made for path in paths)),
    )


def _no_way(chip: GpuChip, form: Format) -> Infeasible:
    return Infeasible(
        kind="unsupported",
        reason=f"{chip.name} has no way between {form.name} and {_LANES} on its vector unit",
        set_by=("convert", "narrow", "software"),
        levers=(
            f"a [[convert]] and a [[narrow]] row in the description for {form.name}",
            "a [software] table in the description: work by the structure of any format",
        ),
    )
