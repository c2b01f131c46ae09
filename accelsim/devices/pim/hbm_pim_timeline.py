"""The commands of an HBM-PIM kernel on its first pseudo-channel, as rows of a timeline."""

from __future__ import annotations

from typing import Final

from accelsim.devices.pim.base import Rows
from accelsim.mapping.pim.hbm_pim import Mapped
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim import kernel
from accelsim.timing.hbm_pim.channel import Channel, Issued
from accelsim.timing.hbm_pim.controller_kernels import ACT, PRE, READ, REF, WRITE
from accelsim.timing.hbm_pim.rules import Rules

_NAMES: Final = ("RD", "WR", "ACT", "PRE", "REFab")
_CHANNEL: Final = "memory.channel[0]"


def timeline(part: HbmPimPart, mapped: Mapped, rules: Rules, readout: bool) -> Rows:
    """A row for each run of equal commands to one bank at equal distances.

    Commands that all even or all odd banks obey are told of `banks[even]` or `banks[odd]`; column commands by what
    they do there ("mac", "broadcast", ...).
    """
    channel = Channel.fresh(rules)
    issued = list(kernel.serve(channel, mapped.kernel, rules, log=True).issued)
    together = _all_bank_span(mapped, issued)
    if readout and mapped.results:
        issued += channel.serve(mapped.results, rules, log=True)[1]
    whats = {
        (run.op, run.bank, run.row, run.column + i): run.what for run in mapped.kernel.body for i in range(run.length)
    }
    runs: list[tuple[str, str, Issued, int, int]] = []
    latest: dict[str, int] = {}
    for place, command in enumerate(issued):
        inside = together[0] <= place < together[1]
        resource = _CHANNEL if command.command == REF else f"{_CHANNEL}.bank[{command.bank}]"
        if inside and command.command != REF and command.bank < 2:
            resource = f"{_CHANNEL}.banks[{'odd' if command.bank else 'even'}]"
        name = _NAMES[command.command]
        if inside and command.command in (READ, WRITE):
            name = whats.get((command.command, command.bank, command.row, command.column), name)
        last = latest.get(resource)
        if last is not None and runs[last][1] == name and name not in _NAMES[PRE - 1 :]:
            _, _, first, count, gap = runs[last]
            if command.cycle - first.cycle == gap * count or count == 1:
                runs[last] = (resource, name, first, count + 1, gap if count > 1 else command.cycle - first.cycle)
                continue
        latest[resource] = len(runs)
        runs.append((resource, name, command, 1, 0))
    return [_row(part, rules, *run) for run in runs]


def _all_bank_span(mapped: Mapped, issued: list[Issued]) -> tuple[int, int]:
    """Places in the log of the commands that reach all even or all odd banks.

    From the activation for the first column command in all-bank mode to the precharges that leave it.
    """
    columns = [place for place, command in enumerate(issued) if command.command in (READ, WRITE)]
    first = columns[len(mapped.kernel.opening) - 1]
    bank = issued[first].bank
    begin = max((at for at in range(first) if issued[at].bank == bank and issued[at].command == ACT), default=first)
    served = len(columns) - len(mapped.kernel.closing)
    leaving = [place for place in columns[served:] if issued[place].command == WRITE]
    closed = [
        next(
            at
            for at in range(place, len(issued))
            if issued[at].bank == issued[place].bank and issued[at].command == PRE
        )
        for place in leaving
    ]
    return begin, max(closed, default=columns[served] - 1) + 1


def _row(
    part: HbmPimPart, rules: Rules, resource: str, name: str, first: Issued, count: int, gap: int
) -> dict[str, object]:
    tick = part.timing.tCK_ps
    long = rules.refresh_time if first.command == REF else rules.read_to_read_short
    access = int(part.organization.access_bytes) if first.command in (READ, WRITE) else 0
    return {
        "resource": resource,
        "name": name,
        "phase": "operator",
        "start_ps": round(first.cycle * tick),
        "end_ps": round((first.cycle + long) * tick),
        "amount": 1,
        "bytes": access * (part.pim.blocks if "banks" in resource else 1),
        "energy_j": float("nan"),
        "repeat": count,
        "period_ps": round(gap * tick),
    }
