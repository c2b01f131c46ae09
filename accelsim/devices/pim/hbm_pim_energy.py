"""Where the energy of an HBM-PIM kernel goes: rows, cells, the way out, arithmetic, registers, refresh, standing by.

In all-bank mode data moves between a bank and the block beside it, so that only cells and registers pay. What comes
from the host passes interface, stack, die and, for a broadcast, the wires to every block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from accelsim.devices.pim.base import Rows, Spent
from accelsim.mapping.pim.hbm_pim import Mapped
from accelsim.spec.device import GpuChip
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim.controller_kernels import ACT, OPENED, READ, REF, WRITE

__all__ = ["MakesRows", "Spent", "bank_bytes", "merged", "of_host", "of_kernel", "of_readout", "of_stream"]

MakesRows = Callable[[], Rows]

_WAY_OUT: Final = ("bank_to_group", "group_to_io", "tsv", "interface")
_CELLS: Final = ("mac", "add", "mul", "mad", "fill", "store", "clear")
"""Column commands of a kernel that read or write cells, in every block."""
_REGISTERS: Final[Mapping[str, int]] = {
    "mac": 3, "mad": 3, "add": 2, "mul": 2, "fill": 1, "store": 1, "clear": 2, "broadcast": 1,
}  # fmt: skip
"""Registers that each of them reads and writes; the second operand comes straight from the bank."""
_ARITHMETIC: Final = ("mac", "mad", "add", "mul", "clear")


def of_kernel(part: HbmPimPart, mapped: Mapped, counts: Sequence[int], seconds: float) -> tuple[Spent, ...]:
    """A kernel on one pseudo-channel; `seconds` is the time of everything that is counted."""
    access, blocks, columns = int(part.organization.access_bytes), part.pim.blocks, mapped.kernel.columns
    inside = sum(columns.get(name, 0) for name in _CELLS)
    broadcast = columns.get("broadcast", 0)
    single = counts[READ] + counts[WRITE] - inside - broadcast  # parking, modes, programs: one bank or register each
    touched = sum(times * columns.get(name, 0) for name, times in _REGISTERS.items()) * blocks
    operations = sum(columns.get(name, 0) for name in _ARITHMETIC) * blocks * part.pim.lanes
    moved = {"bank_to_group": single + broadcast * blocks}
    moved |= dict.fromkeys(("group_to_io", "tsv", "interface"), single + broadcast)
    return (
        *_rows_and_standby(part, counts, seconds, 1),
        _bytes(part, "column", (single + inside * blocks) * access, single + inside),
        *(_bytes(part, name, times * access, times) for name, times in moved.items()),
        _bytes(part, "register", touched * access, touched, "register"),
        Spent("memory.mac", "tensor", operations * part.energy.mac_j, amount=operations),
    )


def of_readout(part: HbmPimPart, mapped: Mapped, counts: Sequence[int]) -> tuple[Spent, ...]:
    """The host's reads of results, of the average pseudo-channel."""
    share = mapped.result_reads / mapped.channels / max(1, counts[READ])
    row_j = part.energy.activate_j_per_byte * part.organization.row_bytes
    reads = round(counts[READ] * share)
    return (
        Spent("memory.activate", "memory", row_j * counts[OPENED] * share, amount=round(counts[ACT] * share)),
        Spent("memory.refresh", "memory", part.energy.refresh_j * counts[REF], amount=counts[REF]),
        *_outside(part, reads),
    )


def of_stream(part: HbmPimPart, counts: Sequence[int], seconds: float, channels: int) -> tuple[Spent, ...]:
    """Plain reads and writes; `counts` are of all pseudo-channels, the result is of the average one."""
    mean = [count / channels for count in counts]
    return (*_rows_and_standby(part, mean, seconds, 1), *_outside(part, mean[READ] + mean[WRITE]))


def of_host(host: GpuChip, adds: int, seconds: float) -> tuple[Spent, ...]:
    """Additions on the host's vector lanes."""
    joules = adds * host.vector.energy_j_per_flop
    return (Spent("host.vector", "vector", joules, seconds, "clk", adds, 0, host.sm.count),)


def merged(parts: Iterable[Spent], channels: int) -> tuple[Spent, ...]:
    """One row per resource: accounts of one pseudo-channel times the number of them; those of the host once."""
    rows: dict[str, Spent] = {}
    for part in parts:
        times = 1 if part.resource.startswith("host.") else channels
        known = rows.get(part.resource)
        rows[part.resource] = replace(
            part,
            joules=part.joules * times + (known.joules if known else 0.0),
            amount=round(part.amount * times) + (known.amount if known else 0),
            bytes=round(part.bytes * times) + (known.bytes if known else 0),
            count=part.count if times == 1 else channels,
        )
    return tuple(rows.values())


def bank_bytes(part: HbmPimPart, mapped: Mapped) -> int:
    """What the cells give and take in a kernel on all pseudo-channels."""
    inside = sum(mapped.kernel.columns.get(name, 0) for name in _CELLS)
    return inside * part.pim.blocks * int(part.organization.access_bytes) * mapped.channels


def _rows_and_standby(part: HbmPimPart, counts: Sequence[float], seconds: float, channels: int) -> tuple[Spent, ...]:
    tick_s = part.timing.tCK_ps * 1e-12
    row_j = part.energy.activate_j_per_byte * part.organization.row_bytes
    return (
        Spent("memory.activate", "memory", row_j * counts[OPENED], amount=round(counts[ACT])),
        Spent("memory.refresh", "memory", part.energy.refresh_j * counts[REF],
              counts[REF] * part.timing.nRFC * tick_s / part.organization.ranks, amount=round(counts[REF])),
        Spent("memory.background", "static", part.energy.background_w * seconds, seconds, "ps",
              round(seconds * 1e12) * channels),
    )  # fmt: skip


def _outside(part: HbmPimPart, accesses: float) -> tuple[Spent, ...]:
    moved = accesses * int(part.organization.access_bytes)
    return tuple(_bytes(part, name, moved, accesses) for name in ("column", *_WAY_OUT))


def _bytes(part: HbmPimPart, name: str, moved: float, times: float, component: str = "memory") -> Spent:
    each = float(getattr(part.energy, f"{name}_j_per_byte"))
    return Spent(f"memory.{name}", component, each * moved, 0.0, "clk", round(times), round(moved))
