"""Kernels of DRAM channels: commands in a given order; plain Python, or compiled.

Arguments are those of `table_kernels`.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from accelsim.timing.dram.table_kernels import apply, earliest, span


def missing(wires, banks, command, bank, row):
    """The command that a column command lacks, and for which bank: a precharge, an activation, or itself."""
    if wires.does[command] in (2, 3, 5):
        first, last = span(wires, command, bank)
        for b in range(first, last):
            if banks.row[b] != row:
                return (wires.settings.activate if banks.row[b] < 0 else wires.settings.precharge), b
    return command, bank


def clear_for_refresh(wires, banks, desk, now):
    """The next command of a refresh that is due: its precharges, then itself."""
    settings = wires.settings
    bank = wires.refresh_order[desk.refreshed[0] % settings.refresh_units]
    first, last = span(wires, settings.refresh, bank)
    for b in range(first, last):
        if banks.row[b] >= 0:
            return settings.precharge, b
    return settings.refresh, bank


def execute(wires, banks, desk, program, now):
    """Issue commands in order, each as soon as the table allows, with the precharges, activations and refreshes.

    Args:
        program: [n, 3]: command, bank, row. Reads, writes and computations open their rows.
        now: cycle of the last command before.

    Returns:
        The cycle of the last command.
    """
    settings = wires.settings
    at = 0
    while at < program.shape[0]:
        row = program[at, 2]
        command, bank = missing(wires, banks, program[at, 0], program[at, 1], row)
        time = max(now, earliest(wires, banks, command, bank), desk.bus_free[wires.bus[command]])
        if time >= desk.next_refresh[0]:
            command, bank = clear_for_refresh(wires, banks, desk, now)
            time = max(now, earliest(wires, banks, command, bank), desk.bus_free[wires.bus[command]])
            if command == settings.refresh:
                desk.refreshed[0] += 1
                desk.next_refresh[0] += settings.refresh_interval
        elif command == program[at, 0] and bank == program[at, 1]:
            at += 1
        apply(wires, banks, desk, command, bank, row, time)
        desk.bus_free[wires.bus[command]] = time + 1
        if settings.two_buses == 0:
            desk.bus_free[1 - wires.bus[command]] = time + 1
        now = time
    return now
