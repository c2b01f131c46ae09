"""What is left of a system when its units stand still: a host chip whose memory is as many ordinary parts."""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.system import System
from accelsim.units import PS_PER_S


class Ordinary(NamedTuple):
    """One unit of a system's `count`, as the host's memory.

    Attributes:
        standard: of the DRAM.
        pins: data pins.
        bandwidth_bytes_per_s: at those pins.
        capacity_bytes: that its units can reach.
        access_j_per_byte: a burst of an open row, its share of the activation, and the way to the host.
        standby_w: power without accesses.
        access_bytes: of one column command.
        decoder_channels: channels to which one decoder sends commands in turn; 0 where each has its own.
        elementwise: operators whose operands may lie in the order of ordinary memory.
    """

    standard: str
    pins: int
    bandwidth_bytes_per_s: float
    capacity_bytes: float
    access_j_per_byte: float
    standby_w: float
    access_bytes: int
    decoder_channels: int
    elementwise: tuple[str, ...]


@singledispatch
def ordinary(part: object) -> Ordinary:
    """One unit of a part as ordinary memory.

    Raises:
        RequestError: a part that cannot be a host's memory.
    """
    name = getattr(part, "name", part)
    raise RequestError(f'{name} cannot replace the memory of a host: write memory = "beside" in the system')


@ordinary.register
def _(part: HbmPimPart) -> Ordinary:
    o, e = part.organization, part.energy
    inside = e.activate_j_per_byte + e.column_j_per_byte + e.bank_to_group_j_per_byte + e.group_to_io_j_per_byte
    return Ordinary(
        standard="hbm2",
        pins=o.bus_bits,
        bandwidth_bytes_per_s=part.external_bytes_per_s / o.pseudo_channels,
        capacity_bytes=float(o.channel_bytes),
        access_j_per_byte=inside + e.tsv_j_per_byte + e.interface_j_per_byte,
        standby_w=e.background_w,
        access_bytes=int(o.access_bytes),
        decoder_channels=0,
        elementwise=("add", "mul", "relu"),
    )


@ordinary.register
def _(part: AimPart) -> Ordinary:
    o, t, power = part.organization, part.timing, part.power
    burst_s = t.nBL * t.tCK_ps / PS_PER_S
    row_j = power.activate_w * power.row_cycle_s
    return Ordinary(
        standard="gddr6",
        pins=16,  # of a channel, JESD250
        bandwidth_bytes_per_s=o.access_bytes / burst_s,
        capacity_bytes=float(o.channel_bytes),
        access_j_per_byte=power.read_w * power.burst_s / o.access_bytes
        + row_j / o.row_bytes
        + power.interface_j_per_byte,
        standby_w=power.precharge_standby_w + power.global_buffer_static_w,
        access_bytes=int(o.access_bytes),
        decoder_channels=o.lock_step_channels,
        elementwise=(),
    )


def host_of(system: System) -> GpuChip:
    """The host that a system names, with the system's changes of it.

    Raises:
        UnknownNameError: no such chip, or no such key to change.
        RequestError: a chip of another family.
    """
    host = catalog.chip(system.host, system.host_changes)
    if not isinstance(host, GpuChip):
        raise RequestError(f"host = {system.host!r} of {system.name}: expected a chip of family gpu or cpu")
    return host


def host_chip(system: System, unit: Ordinary | None) -> GpuChip:
    """The host of a system, with the system's memory in place of its own where that is so.

    Args:
        system: the system.
        unit: one unit of its count as ordinary memory; None where the host keeps its own.

    Raises:
        RequestError: a host of another family, or a part that cannot be its memory.
    """
    host = host_of(system)
    if unit is None:
        return host
    whole = unit.capacity_bytes * system.count
    if system.placement == "host" and system.ordinary_capacity_bytes is not None:
        whole = system.ordinary_capacity_bytes
    per_pin = unit.bandwidth_bytes_per_s / unit.pins
    return host.with_(
        {
            "memory.standard": unit.standard,
            "memory.stacks": system.count,
            "memory.pins": unit.pins,
            "memory.pin_rate": f"{per_pin:.12g} B/s",
            "memory.capacity": f"{whole:.12g} B",
            "memory.bandwidth": f"{unit.bandwidth_bytes_per_s * system.count:.12g} B/s",
            "energy.memory": f"{unit.access_j_per_byte * 1e12:.12g} pJ/B",
        }
    )
