"""Constants of another chip's kernels on a chip that nobody measured.

What kernels draw of a memory is written down as a part of what plain streams draw from it. What they lose beside the
DRAM's own losses (refresh, turnarounds) hides behind these, and does not multiply: L40S's kernels draw 0.83 of the peak
of its GDDR6, those of the chips with HBM 0.78 to 0.86 of theirs, though streams draw 0.91 there and 0.97 here. So the
part of the peak carries over to another kind of memory, up to what its streams draw.
"""

from __future__ import annotations

from typing import TypeVar

from accelsim import catalog
from accelsim.mapping.gpu.memory import port
from accelsim.spec.base import Record
from accelsim.spec.calibration import Calibration
from accelsim.spec.device import GpuChip

T = TypeVar("T", bound=Record)

EFFICIENCY = "memory_efficiency"
NOTE = "; memory_efficiency from the same part of the peak of another kind of memory"


def borrowed(record: Calibration, chip: GpuChip) -> Calibration:
    """The record as kernels of a chip take it.

    Args:
        record: constants, possibly of another chip.
        chip: the GPU that they are to run on.

    Raises:
        UnknownNameError: the memory's standard names no DRAM sheet.
        DescriptionError: a sheet that is not valid.
    """
    if record.provenance is None or record.chip == chip.name:
        return record
    origin = catalog.chip(record.chip)
    if not isinstance(origin, GpuChip) or origin.memory.standard == chip.memory.standard:
        return record
    ratio = port(origin).streaming() / port(chip).streaming()

    def carried(constants: T) -> T:
        return constants.model_copy(update={EFFICIENCY: min(1.0, getattr(constants, EFFICIENCY) * ratio)})

    update: dict[str, object] = {
        "gemm": carried(record.gemm),
        "format": tuple(row.model_copy(update={"gemm": carried(row.gemm)}) for row in record.format),
        "source": record.source + NOTE,
    }
    if record.attention is not None:
        known = record.attention
        update["attention"] = known.model_copy(
            update={"prefill": carried(known.prefill), "decode": carried(known.decode)}
        )
    return record.model_copy(update=update)
