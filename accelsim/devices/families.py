"""Which device brings which description to life."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.devices.base import Device
from accelsim.devices.gpu import Gpu
from accelsim.errors import RequestError
from accelsim.graph.numbers import Number
from accelsim.spec.device import GpuChip


def device_for(
    chip: object, bits: Mapping[str, float], columns: Mapping[str, Number] | None = None, streams: str = "one"
) -> Device:
    """The device of a chip's description.

    Args:
        chip: the description.
        bits: bits of one element by format name.
        columns: chip figures by dotted path that replace the description's, one value per design point.
        streams: "one" stream of kernels, or as many as the "graph" allows.

    Raises:
        RequestError: a description of a family that has no device.
    """
    if isinstance(chip, GpuChip):
        return Gpu(chip, bits, columns, streams)
    raise RequestError(f"{getattr(chip, 'name', chip)}: no device serves a description of this family")
