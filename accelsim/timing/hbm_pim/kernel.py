"""What one kernel takes on one pseudo-channel: cycles and commands, exactly or run by run with the same result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim import again
from accelsim.timing.hbm_pim.channel import Access, Channel, Issued
from accelsim.timing.hbm_pim.controller_kernels import ACTIVE, COUNTERS
from accelsim.timing.hbm_pim.rules import Rules
from accelsim.timing.hbm_pim.stream import Kernel, Run, expand, plain

Way = Literal["runs", "exact"]

_SHOWN = 3
"""Runs that are certainly as much as an access can see of those behind it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a kernel took.

    Attributes:
        cycles: from its first cycle until its last access was done.
        counts: READ, WRITE, ACT, PRE and REF issued, and rows of cells opened.
        issued: the commands, if they were asked for.
        around: cycles before and after the body, where runs were counted.
    """

    cycles: int
    counts: tuple[int, ...]
    issued: tuple[Issued, ...] = ()
    around: int = field(default=0, compare=False)


def serve(channel: Channel, kernel: Kernel, rules: Rules, way: Way = "runs", *, log: bool = False) -> Outcome:
    """Run a kernel on a channel, which is left in the state at its end.

    Args:
        channel: in single-bank mode; changed.
        kernel: the accesses.
        rules: timing rules.
        way: "exact" goes cycle by cycle, "runs" takes a streak of column commands for one step.
        log: keep the commands; only "exact" can.
    """
    since = channel.cycle
    if way == "exact" or log:
        all_counts, issued = channel.serve(kernel.accesses(), rules, log=log)
        return Outcome(channel.cycle - since, tuple(all_counts), tuple(issued))
    first, begin = _enter(channel, kernel, rules)
    entered, body = channel.cycle, kernel.body[begin:]
    middle = channel.serve_runs([run[:6] for run in (*body, shown(kernel.closing))], rules)
    left = channel.cycle
    last = again.serve(channel, tuple(kernel.closing), rules, queued=len(kernel.closing))
    counts = tuple(map(sum, zip(first, middle, last, strict=True)))
    return Outcome(channel.cycle - since, counts, around=entered - since + channel.cycle - left)


def _enter(channel: Channel, kernel: Kernel, rules: Rules) -> tuple[tuple[int, ...], int]:
    """Serve the opening and as much of the body as it takes until banks 2 and up are closed."""
    counts: tuple[int, ...] = ()
    for begin in range(1, len(kernel.body) + 1):
        tried = channel.copy()
        stream, stop = entry(kernel, begin)
        counts = again.serve(tried, stream, rules, stop=stop)
        if ACTIVE not in tried.banks[0][2:]:
            break
    channel.state, channel.banks, channel.window = tried.state, tried.banks, tried.window
    return counts, begin


def entry(kernel: Kernel, begin: int) -> tuple[tuple[Access, ...], int]:
    """The opening, `begin` runs of the body and what shows behind them, and how many of these to serve."""
    stream = (*kernel.opening, *expand(kernel.body[:begin]))
    behind = expand(kernel.body[begin : begin + _SHOWN])
    last = kernel.closing if begin + _SHOWN > len(kernel.body) else ()
    return (*stream, *behind, *last), len(stream)


def shown(closing: list[Access]) -> Run:
    """The first run of the closing, as the last one of the body sees it."""
    first = closing[0]
    return Run(first.op, first.bank, first.row, first.column, 2, 2, "leave")


def serve_plain(
    part: HbmPimPart,
    rules: Rules,
    channels: int,
    phases: Sequence[tuple[int, int]],
    *,
    since: int = 0,
    log: bool = False,
) -> Outcome:
    """Consecutive bursts over all pseudo-channels, phase after phase, as plain HBM2 without PIM.

    Bursts go to the pseudo-channels in turn. A phase ends when the last pseudo-channel has done its last access.

    Args:
        part: the part.
        rules: timing rules.
        channels: pseudo-channels.
        phases: READ or WRITE, and bursts on all pseudo-channels; addresses go on from one phase to the next.
        since: cycles from the beginning of a refresh interval to the start.
        log: keep the commands of the first pseudo-channel.
    """
    first, totals = 0, [0] * COUNTERS
    loads: list[list[tuple[int, int, int]]] = [[] for _ in range(channels)]
    for op, bursts in phases:
        for c, load in enumerate(loads):
            begin, end = (-(-max(at - c, 0) // channels) for at in (first, first + bursts))
            load.append((op, begin, end - begin))
        first += bursts
    kinds: dict[tuple[tuple[int, int, int], ...], int] = {}
    for load in loads:
        kinds[tuple(load)] = kinds.get(tuple(load), 0) + 1
    states = {kind: Channel.fresh(rules, since) for kind in kinds}
    issued: tuple[Issued, ...] = ()
    now = 0
    for i in range(len(phases)):
        for at_once in (True, False):  # those that are done early wait for the last one, and are refreshed
            for kind, channel in states.items():
                keep = log and kind == tuple(loads[0])
                stream = plain(part, *kind[i]) if at_once else []
                counts, lines = channel.serve(stream, rules, until=now, log=keep)
                totals = [a + b * kinds[kind] for a, b in zip(totals, counts, strict=True)]
                issued += tuple(lines)
            now = max(channel.cycle for channel in states.values())
    return Outcome(now, tuple(totals), issued)
