"""Which device brings which description to life.

A family is imported when a description of it is met: all of them together take longer to load than a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from accelsim import catalog
from accelsim.devices.base import Device
from accelsim.errors import RequestError
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Graph
from accelsim.mapping.horizon import Horizon
from accelsim.spec.aim import AimPart
from accelsim.spec.calibration import Conditions
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem, lone
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.spec.tsp import lone as lone_tsp
from accelsim.spec.upmem import UpmemPart

if TYPE_CHECKING:
    from accelsim.devices.pim.base import KernelDevice


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
        from accelsim.devices.pim.aim import Aim

        return Aim(system, part)
    if isinstance(part, HbmPimPart):
        from accelsim.devices.pim.hbm_pim import HbmPim

        return HbmPim(system, part)
    if isinstance(part, UpmemPart):
        from accelsim.devices.pim.upmem import Upmem

        return Upmem(system, part, format_)
    raise RequestError(f"{getattr(part, 'name', part)}: no device runs kernels on parts of this family")


def device_for(
    chip: object,
    bits: Mapping[str, float],
    columns: Mapping[str, Number] | None = None,
    streams: str = "one",
    *,
    horizon: Horizon | None = None,
    weights: str | None = None,
    conditions: Conditions | None = None,
    devices: int = 1,
) -> Device:
    """The device of a chip's description.

    Args:
        chip: the description.
        bits: bits of one element by format name.
        columns: chip figures by dotted path that replace the description's, one value per design point.
        streams: "one" stream of kernels, or as many as the "graph" allows.
        horizon: what the whole run will ask for, for machines that compile for it; None for single operators.
        weights: format of the weights, in which parts compute whose arithmetic is software.
        conditions: library, residency and clock of the kernels of a GPU.
        devices: GPUs that share every operator.

    Raises:
        RequestError: a description of a family that has no device, or that takes no columns or conditions.
    """
    if isinstance(chip, GpuChip):
        from accelsim.devices.gpu import Gpu

        return Gpu(chip, bits, columns, streams, conditions, devices)
    if conditions is not None and conditions != Conditions():
        raise RequestError(
            f"{getattr(chip, 'name', chip)}: library, residency and clock are conditions of GPU kernels; leave them out"
        )
    if columns:
        raise RequestError(
            f"{getattr(chip, 'name', chip)}: figures of the chip differ from point to point on GPUs only, not "
            f"{', '.join(columns)}: run the points one by one, with overrides"
        )
    if isinstance(chip, System):
        from accelsim.devices.pim.system import PimSystem

        part = catalog.part(chip)

        def memory(count: int) -> KernelDevice:
            return kernel_device(chip if count == chip.count else chip.with_({"count": count}), part, weights)

        return PimSystem(chip, part, memory, bits, streams)
    if isinstance(chip, IpuPart | IpuSystem):
        from accelsim.devices.ipu import Ipu

        ipus = lone(chip) if isinstance(chip, IpuPart) else chip
        return Ipu(ipus, chip if isinstance(chip, IpuPart) else _part(chip, IpuPart, "IPU"), bits, horizon)
    if isinstance(chip, FpgaPart | FpgaSystem):
        from accelsim.devices.fpga import Fpga

        if isinstance(chip, FpgaPart):
            return Fpga(chip, None, horizon)
        return Fpga(_part(chip, FpgaPart, "FPGA overlay"), chip, horizon)
    if isinstance(chip, TspPart | TspSystem):
        from accelsim.devices.tsp import Tsp

        tsps = lone_tsp(chip) if isinstance(chip, TspPart) else chip
        return Tsp(tsps, chip if isinstance(chip, TspPart) else _part(chip, TspPart, "TSP"), horizon)
    raise RequestError(f"{getattr(chip, 'name', chip)}: no device serves a description of this family")


_P = TypeVar("_P")


def _part(system: ModelSystem, record: type[_P], what: str) -> _P:
    part = catalog.part(system)
    if not isinstance(part, record):
        raise RequestError(f"{system.name}: its part {system.part} is no {what} but of family {part.family}")
    return part


def resized(chip: Chip, chips: int | str, first: Graph, horizon: Horizon | None) -> Chip | Infeasible:
    """The system with so many chips, or with as few as the run fits on for "auto".

    Args:
        chip: a chip or a system.
        chips: 1 leaves it as it is.
        first: graph of the first phase.
        horizon: what the whole run will ask for.

    Raises:
        RequestError: a lone chip that is part of systems, which are to be named instead.
    """
    if chips == 1:
        return chip
    if isinstance(chip, IpuPart):
        raise RequestError(f"chips = {chips!r}: {chip.name} is one chip; name a system of them, such as ipu-mk2-8")
    if isinstance(chip, IpuSystem):
        from accelsim.devices.ipu import resized as ipu_resized

        return ipu_resized(chip, chips, first, horizon)
    if isinstance(chip, FpgaPart | FpgaSystem):
        from accelsim.devices.fpga import resized as fpga_resized

        return fpga_resized(chip, chips, first, horizon.cache_bytes if horizon else 0.0)
    if isinstance(chip, TspSystem):
        from accelsim.devices.tsp import sized as tsp_sized

        return tsp_sized(chip, chips, horizon)
    what = "the number of parts is the system's count"
    return Infeasible("unsupported", f"{chips} chips: {what}", set_by=("chips",), levers=("overrides: count",))
