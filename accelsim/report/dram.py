"""The command timeline of a DRAM channel: what each bank is told and when, and who has the data bus."""

from __future__ import annotations

from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accelsim.report import style
from accelsim.spec.dram import Command
from accelsim.timing.dram.controller import Served
from accelsim.timing.dram.table import wires

_COLOURS: Final = {
    "activate": style.GREEN, "precharge": style.ORANGE, "read": style.BLUE, "write": style.VERMILION,
    "refresh": style.PURPLE, "compute": style.BLACK,
}  # fmt: skip
_OPEN: Final = "#DCEBDD"
_MOST_BANKS: Final = 32
_AXIS_PX: Final = 1000
_LETTER_PX: Final = 7


def timeline(served: Served, *, channel: int = 0, cycles: int = 200, start: int | None = None) -> Figure:
    """Draw the commands of one channel.

    Args:
        served: what came of a stream, with a log.
        channel: whose commands.
        cycles: how many to show.
        start: the first; that of the first command by default.

    Returns:
        A row per bank that is used, open rows shaded, and the data bus below; the time axis is in clock cycles.
    """
    dram = served.dram
    per_channel = int(wires(dram).settings.banks_per_channel)
    log = [row for row in served.log.tolist() if row[2] // per_channel == channel]
    first = start if start is not None else (log[0][0] if log else 0)
    seen = [row for row in log if first <= row[0] < first + cycles]
    used = sorted({row[2] for row in seen if dram.protocol.commands[row[1]].level == "bank"})
    banks = used[:_MOST_BANKS]
    left_out = f", {len(banks)} of {len(used)} banks" if len(used) > len(banks) else ""
    made = style.blank(
        f"{dram.name}, {dram.timing.name}: commands of channel {channel}{left_out}\n"
        f"{served.bandwidth_bytes_per_s / 1e9:.4g} GB/s of {dram.peak_bytes_per_s / 1e9:.4g} GB/s, "
        f"{served.row_hit_share:.1%} row hits",
        (style.SIZE_PX[0], max(420, 190 + 34 * len(banks))),
    )
    with style.look():
        axes, bus = made.subplots(2, 1, sharex=True, height_ratios=[max(3, len(banks)), 1.4])
        line = {bank: at for at, bank in enumerate(banks)}
        _open_rows(axes, log, line, dram.protocol.commands, (first, first + cycles))
        for at, (cycle, number, bank, row) in enumerate(seen):
            command = dram.protocol.commands[number]
            name = f"{command.name} {row}" if command.does == "activate" else command.name
            after = next((later[0] for later in seen[at + 1 :] if later[2] == bank), first + cycles)
            fits = (after - cycle - command.cycles) * _AXIS_PX / cycles > _LETTER_PX * (len(name) + 1)
            _command(axes, command, cycle, line.get(bank), len(banks), name if fits else "")
        _data(bus, served, seen)
        axes.set_yticks(range(len(banks)), [_place(served, bank) for bank in banks])
        axes.set_ylim(len(banks) - 0.4, -0.6)
        axes.set_xlim(first, first + cycles)
        bus.set_xlabel(f"clock cycles of {dram.timing.tck_ps / 1e3:.4g} ns")
        kinds = dict.fromkeys(dram.protocol.commands[row[1]].does for row in seen)
        swatches = [style.swatch(_COLOURS[kind], kind) for kind in kinds] + [style.swatch(_OPEN, "row open")]
        made.legend(handles=swatches, loc="outside lower center", ncols=len(swatches))
    return made


def _place(served: Served, bank: int) -> str:
    """Where a bank is, without the levels of which there is one."""
    organization = served.dram.organization
    words = (("pc", organization.pseudo_channels), ("rank", organization.ranks), ("bg", organization.bank_groups),
             ("bank", organization.banks))  # fmt: skip
    parts = []
    for word, count in reversed(words):
        if count > 1:
            parts.append(f"{word} {bank % count}")
        bank //= count
    return ", ".join(reversed(parts)) or "bank 0"


def _open_rows(
    axes: Axes, log: list[Any], line: dict[int, int], commands: tuple[Command, ...], span: tuple[int, int]
) -> None:
    """Shade the time from an activation to the precharge of its bank."""
    since: dict[int, int] = {}
    for cycle, number, bank, _ in log:
        does = commands[number].does
        if does == "activate" and commands[number].level == "bank":
            since[bank] = cycle
        elif does in ("precharge", "refresh") or commands[number].auto_precharge:
            closed = [bank] if commands[number].level == "bank" else list(since)
            for other in closed:
                _shade(axes, line.get(other), since.pop(other, None), cycle, span)
    for bank, cycle in since.items():
        _shade(axes, line.get(bank), cycle, span[1], span)


def _shade(axes: Axes, at: int | None, start: int | None, end: int, span: tuple[int, int]) -> None:
    if at is not None and start is not None and end > span[0] and start < span[1]:
        axes.broken_barh([(start, end - start)], (at - 0.42, 0.84), facecolors=_OPEN, zorder=1)


def _command(axes: Axes, command: Command, cycle: int, at: int | None, banks: int, name: str) -> None:
    colour = _COLOURS[command.does]
    if command.level != "bank":
        axes.broken_barh([(cycle, command.cycles)], (-0.5, banks), facecolors=colour, alpha=0.6, zorder=2)
        return
    if at is None:
        return
    axes.broken_barh([(cycle, command.cycles)], (at - 0.34, 0.68), facecolors=colour, zorder=3)
    if name:
        axes.annotate(
            name, (cycle + command.cycles, at), (2, 0), "data", "offset points", fontsize=8, va="center", zorder=4
        )


def _data(bus: Axes, served: Served, seen: list[Any]) -> None:
    """Bursts on the data bus of each pseudo-channel, after the latency of their command."""
    dram, cycles = served.dram, served.dram.timing.cycles
    made = wires(dram)
    for cycle, number, bank, _ in seen:
        does = dram.protocol.commands[number].does
        if does in ("read", "write"):
            begin = cycle + (cycles["nCL"] if does == "read" else cycles["nCWL"])
            at = int(made.path[bank, 1] - made.offset[1]) % dram.organization.pseudo_channels
            bus.broken_barh(
                [(begin, cycles["nBL"])], (at - 0.4, 0.8), facecolors=_COLOURS[does], edgecolor="white", linewidth=0.5
            )
    names = (
        ["data"]
        if dram.organization.pseudo_channels == 1
        else [f"data {n}" for n in range(dram.organization.pseudo_channels)]
    )
    bus.set_yticks(range(len(names)), names)
    bus.set_ylim(len(names) - 0.4, -0.6)
