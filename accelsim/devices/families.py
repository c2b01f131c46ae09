"""Which device brings which description to life."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim import catalog
from accelsim.devices.base import Device
from accelsim.devices.gpu import Gpu
from accelsim.devices.pim.aim import Aim
from accelsim.devices.pim.base import KernelDevice
from accelsim.devices.pim.hbm_pim import HbmPim
from accelsim.devices.pim.system import PimSystem
from accelsim.devices.pim.upmem import Upmem
from accelsim.errors import RequestError
from accelsim.graph.numbers import Number
from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.system import System
from accelsim.spec.upmem import UpmemPart


def kernel_device(system: System, part: object, format_: str | None = None) -> KernelDevice:
    """The device that runs single kernels on the parts of a system.

    Args:
        system: the system.
        part: the description of its part.
        format_: format to compute in, on parts whose arithmetic is software; their native one if they lack it.

    Raises:
        RequestError: a part of a family that has no such device.
    """
    if isinstance(part, AimPart):
        return Aim(system, part)
    if isinstance(part, HbmPimPart):
        return HbmPim(system, part)
    if isinstance(part, UpmemPart):
        return Upmem(system, part, format_)
    raise RequestError(f"{getattr(part, 'name', part)}: no device runs kernels on parts of this family")


def device_for(
    chip: object,
    bits: Mapping[str, float],
    columns: Mapping[str, Number] | None = None,
    streams: str = "one",
    weights: str | None = None,
) -> Device:
    """The device of a chip's description.

    Args:
        chip: the description.
        bits: bits of one element by format name.
        columns: chip figures by dotted path that replace the description's, one value per design point.
        streams: "one" stream of kernels, or as many as the "graph" allows.
        weights: format of the weights, in which parts compute whose arithmetic is software.

    Raises:
        RequestError: a description of a family that has no device.
    """
    if isinstance(chip, GpuChip):
        return Gpu(chip, bits, columns, streams)
    if isinstance(chip, System):
        part = catalog.part(chip)

        def memory(count: int) -> KernelDevice:
            return kernel_device(chip if count == chip.count else chip.with_({"count": count}), part, weights)

        return PimSystem(chip, part, memory, bits, streams)
    raise RequestError(f"{getattr(chip, 'name', chip)}: no device serves a description of this family")
