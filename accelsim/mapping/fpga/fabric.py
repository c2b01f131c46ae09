"""What an overlay takes of the fabric, unit by unit, and whether the part has it."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.spec.fpga import FABRIC, FpgaPart
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.fpga.pipeline import Shape

_TABLE_BITS = 32
"""Of an entry of a table of activation functions: slope and offset."""

_BRAM_BITS = 36 * 1024
_WORDS = {"dsp": "DSP slices", "bram36": "block RAMs", "uram": "UltraRAMs", "lut": "look-up tables"}
_LEVERS = {
    "dsp": ("a smaller matrix.d x matrix.l", "fewer matrix.cores", "a smaller vector.width"),
    "bram36": ("fewer hbm.channels", "a smaller on_chip.bram36", "a smaller vector.table_entries"),
    "uram": ("a smaller on_chip.uram",),
    "lut": ("a smaller matrix.d x matrix.l", "fewer hbm.channels", "a smaller vector.width"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """What one unit takes."""

    unit: str
    dsp: float = 0.0
    bram36: float = 0.0
    uram: float = 0.0
    lut: float = 0.0


def shapes(part: FpgaPart) -> tuple[Shape, ...]:
    """The ways to use a core's multipliers, that of one token first."""
    first = Shape(1, part.matrix.d, part.matrix.l)
    return (first,) if part.panel is None else (first, Shape(part.panel.rows, part.panel.d, part.panel.l))


def uses(part: FpgaPart) -> tuple[Use, ...]:
    """Every unit of the overlay.

    A lane of d multipliers has d adders: d - 1 in its tree and one that accumulates. The vector unit has a tree over
    all of its lanes.
    """
    matrix, vector, hbm = part.matrix, part.vector, part.hbm
    products = matrix.cores * max(shape.products for shape in shapes(part))
    outputs = matrix.cores * max(shape.rows * shape.l for shape in shapes(part))
    tables = -(-vector.table_entries * _TABLE_BITS // _BRAM_BITS) * matrix.cores * min(matrix.l, 16)
    lanes = vector.width
    return (
        Use("matrix", dsp=products * (matrix.dsp_per_multiplier + matrix.dsp_per_adder),
            lut=products * matrix.lut_per_multiplier),
        Use("outputs", dsp=outputs * matrix.dsp_per_output, bram36=tables),
        Use("vector", dsp=lanes * (vector.dsp_per_multiplier + vector.dsp_per_adder), lut=lanes * vector.lut_per_lane),
        Use("sums", dsp=(lanes - 1) * vector.dsp_per_adder),
        Use("ports", bram36=hbm.channels * hbm.bram_per_port, lut=hbm.channels * hbm.lut_per_port),
        Use("buffers", bram36=part.on_chip.bram36, uram=part.on_chip.uram),
        Use("shell", part.shell.dsp, part.shell.bram36, part.shell.uram, part.shell.lut),
    )  # fmt: skip


def totals(part: FpgaPart) -> dict[str, float]:
    """The sum over all units by kind of resource."""
    return {kind: sum(getattr(use, kind) for use in uses(part)) for kind in FABRIC}


def does_not_fit(part: FpgaPart) -> Infeasible | None:
    """The resource of which most is missing, with the excess; None where the part has all."""
    taken = totals(part)
    over = {kind: taken[kind] / getattr(part.fabric, kind) for kind in FABRIC}
    worst = max(over, key=lambda kind: over[kind])
    if over[worst] <= 1:
        return None
    has, wants = getattr(part.fabric, worst), taken[worst]
    largest = max(uses(part), key=lambda use: getattr(use, worst))
    return Infeasible(
        "capacity",
        f"the overlay of {part.name} takes {wants:,.0f} {_WORDS[worst]} of {has:,}: {wants - has:,.0f} too many, "
        f"{getattr(largest, worst):,.0f} of them in its {largest.unit}",
        demand=float(wants),
        bound=float(has),
        unit=_WORDS[worst],
        set_by=("matrix.d", "matrix.l", "matrix.cores", "vector.width", f"fabric.{worst}"),
        levers=_LEVERS[worst],
    )
