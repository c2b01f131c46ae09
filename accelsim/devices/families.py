"""Which device brings which description to life."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim import catalog
from accelsim.devices.base import Device
from accelsim.devices.fpga import Fpga
from accelsim.devices.gpu import Gpu
from accelsim.devices.ipu import Ipu
from accelsim.devices.pim.aim import Aim
from accelsim.devices.pim.base import KernelDevice
from accelsim.devices.pim.hbm_pim import HbmPim
from accelsim.devices.pim.upmem import Upmem
from accelsim.devices.tsp import Tsp
from accelsim.errors import RequestError
from accelsim.graph.numbers import Number
from accelsim.mapping.horizon import Horizon
from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.ipu import IpuPart, IpuSystem, lone
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.spec.tsp import lone as lone_tsp
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
    chip: object, bits: Mapping[str, float], columns: Mapping[str, Number] | None = None, streams: str = "one",
    horizon: Horizon | None = None,
) -> Device:  # fmt: skip
    """The device of a chip's description.

    Args:
        chip: the description.
        bits: bits of one element by format name.
        columns: chip figures by dotted path that replace the description's, one value per design point.
        streams: "one" stream of kernels, or as many as the "graph" allows.
        horizon: what the whole run will ask for, for machines that compile for it; None for single operators.

    Raises:
        RequestError: a description of a family that has no device, or that takes no columns.
    """
    if isinstance(chip, GpuChip):
        return Gpu(chip, bits, columns, streams)
    if columns:
        raise RequestError(
            f"{getattr(chip, 'name', chip)}: figures of the chip differ from point to point on GPUs only, not "
            f"{', '.join(columns)}: run the points one by one, with overrides"
        )
    if isinstance(chip, IpuPart):
        return Ipu(lone(chip), chip, bits, horizon)
    if isinstance(chip, IpuSystem):
        part = catalog.part(chip)
        if not isinstance(part, IpuPart):
            raise RequestError(f"{chip.name}: its part {chip.part} is no IPU but of family {part.family}")
        return Ipu(chip, part, bits, horizon)
    if isinstance(chip, FpgaPart):
        return Fpga(chip, None, horizon)
    if isinstance(chip, FpgaSystem):
        board = catalog.part(chip)
        if not isinstance(board, FpgaPart):
            raise RequestError(f"{chip.name}: its part {chip.part} is no FPGA overlay but of family {board.family}")
        return Fpga(board, chip, horizon)
    if isinstance(chip, TspPart):
        return Tsp(lone_tsp(chip), chip, horizon)
    if isinstance(chip, TspSystem):
        tsp = catalog.part(chip)
        if not isinstance(tsp, TspPart):
            raise RequestError(f"{chip.name}: its part {chip.part} is no TSP but of family {tsp.family}")
        return Tsp(chip, tsp, horizon)
    raise RequestError(f"{getattr(chip, 'name', chip)}: no device serves a description of this family")
