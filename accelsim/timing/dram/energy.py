"""Joules of the commands that a memory has issued, by component."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from accelsim.spec.dram import LEVELS, Components, Currents, Dram
from accelsim.timing.dram.table import Banks, Ints, wires

_REFRESHES = 8192  # commands in which every row of a bank is refreshed once


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy of each component."""

    activate: float
    read: float
    write: float
    refresh: float
    background: float
    interface: float

    @property
    def total(self) -> float:
        """The sum."""
        return sum(self.as_dict().values())

    def as_dict(self) -> dict[str, float]:
        """Component -> joules."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def account(dram: Dram, counts: Ints, banks: Banks, cycles: int, channels: int | None = None) -> Joules:
    """Energy of commands and of the time in which they were issued.

    Args:
        dram: the memory.
        counts: [commands] how many were issued.
        banks: final state; its open times tell active from precharged standby.
        cycles: how long all ranks were powered.
        channels: how many of the first channels are counted; all by default.
    """
    if dram.energy.currents is not None:
        return _by_currents(dram, dram.energy.currents, counts, banks, cycles, channels)
    assert dram.energy.components is not None
    return _by_components(dram, dram.energy.components, counts, cycles, channels)


def per_command(dram: Dram) -> dict[str, float]:
    """Joules of each command by its name, above standby and without the interface."""
    organization, protocol = dram.organization, dram.protocol
    found = {}
    for command in protocol.commands:
        level = LEVELS.index(command.level)
        per_rank = int(wires(dram).below[level])
        banks = min(per_rank, organization.bank_groups * organization.banks)
        ranks = max(1, per_rank // (organization.bank_groups * organization.banks))
        if dram.energy.currents is not None:
            joules = _drawn(dram, dram.energy.currents, command.does, banks) * ranks
        else:
            assert dram.energy.components is not None
            joules = _moved(dram, dram.energy.components, command.does, per_rank)
        found[command.name] = joules
    return found


def _cycle_s(dram: Dram, currents: Currents) -> float:
    return dram.timing.tck_ps * 1e-12 if currents.cycle_ns is None else currents.cycle_ns * 1e-9


def _drawn(dram: Dram, currents: Currents, does: str, banks: int) -> float:
    cycles = dram.timing.cycles
    standby = currents.idd3n_a
    all_banks = dram.organization.bank_groups * dram.organization.banks
    if does == "activate":
        held = standby * cycles["nRAS"] + currents.idd2n_a * cycles["nRP"]
        charge = (currents.idd0_a * cycles["nRC"] - held) * banks
    elif does in ("read", "compute"):
        charge = (currents.idd4r_a - standby) * cycles["nBL"] * (banks if does == "compute" else 1)
    elif does == "write":
        charge = (currents.idd4w_a - standby) * cycles["nBL"]
    elif does == "refresh" and banks == all_banks:
        charge = (currents.idd5ab_a - standby) * cycles.get("nRFC", 0)
    elif does == "refresh" and currents.idd5pb_a is not None:
        charge = (currents.idd5pb_a - standby) * cycles.get("nRFCpb", 0)
    else:
        charge = 0.0
    return currents.vdd_v * charge * _cycle_s(dram, currents) * dram.organization.devices


def _ranks(dram: Dram, channels: int | None) -> Ints:
    """Nodes of the ranks of the first channels."""
    made = wires(dram)
    counted = dram.organization.channels if channels is None else channels
    return np.unique(made.path[: counted * made.settings.banks_per_channel, LEVELS.index("rank")])


def _by_currents(
    dram: Dram, currents: Currents, counts: Ints, banks: Banks, cycles: int, channels: int | None
) -> Joules:
    nodes = _ranks(dram, channels)
    still_open = np.where(banks.open_banks[nodes] > 0, cycles - banks.open_since[nodes], 0)
    active = int((banks.open_cycles[nodes] + still_open).sum())
    idle = len(nodes) * cycles - active
    standby = currents.vdd_v * _cycle_s(dram, currents) * dram.organization.devices
    background = standby * (currents.idd3n_a * active + currents.idd2n_a * idle)
    return _sum(dram, counts, background, currents.interface_j_per_byte)


def _moved(dram: Dram, parts: Components, does: str, banks: int) -> float:
    organization = dram.organization
    row = parts.activate_j_per_byte * organization.row_bytes
    if does == "activate":
        return row * banks
    if does in ("read", "write"):
        path = parts.bank_to_group_j_per_byte + parts.group_to_io_j_per_byte + parts.tsv_j_per_byte
        return (parts.array_j_per_byte + path) * organization.access_bytes
    if does == "compute":
        return parts.array_j_per_byte * organization.access_bytes * banks
    if does == "refresh":
        return row * organization.rows / _REFRESHES * banks
    return 0.0


def _by_components(dram: Dram, parts: Components, counts: Ints, cycles: int, channels: int | None) -> Joules:
    ranks = len(_ranks(dram, channels))
    time_s = cycles * dram.timing.tck_ps * 1e-12
    return _sum(dram, counts, parts.standby_w * ranks * time_s, parts.interface_j_per_byte)


def _sum(dram: Dram, counts: Ints, background: float, interface_j_per_byte: float) -> Joules:
    each = per_command(dram)
    spent = dict.fromkeys(("activate", "read", "write", "refresh"), 0.0)
    moved = 0
    for command, count in zip(dram.protocol.commands, counts, strict=True):
        kind = "read" if command.does == "compute" else command.does
        if kind in spent:
            spent[kind] += each[command.name] * int(count)
        if command.does in ("read", "write"):
            moved += int(count)
    return Joules(
        activate=spent["activate"],
        read=spent["read"],
        write=spent["write"],
        refresh=spent["refresh"],
        background=background,
        interface=interface_j_per_byte * moved * dram.organization.access_bytes,
    )
