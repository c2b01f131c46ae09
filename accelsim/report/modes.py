"""Commands of a channel during one kernel, and its modes, read from the commands that change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

MODES: Final = {
    "SB": "#E8E8E8", "HAB": "#C9DDF0", "HAB-PIM": "#F6D9B8", "registers": "#D9CFE8", "banks": "#F6D9B8",
}  # fmt: skip
"""Modes and their colours; SB, HAB and HAB-PIM are those of HBM-PIM, the others those of GDDR6-AiM."""


@dataclass(frozen=True, slots=True)
class Box:
    """Equal commands at equal distances, in cycles.

    Attributes:
        name: as the timeline has it.
        kind: what it does, as the legend has it.
        lines: banks that obey, or the name of a line of registers.
        start: cycle of the first one.
        length: cycles of one.
        count: how many.
        gap: cycles from one to the next.
    """

    name: str
    kind: str
    lines: tuple[int | str, ...]
    start: float
    length: float
    count: int
    gap: float

    @property
    def end(self) -> float:
        """Cycle at which the last one is over."""
        return self.start + (self.count - 1) * self.gap + self.length


class Mode(NamedTuple):
    """A span of one mode.

    Attributes:
        name: a key of `MODES`.
        says: what happens meanwhile.
        start: its first cycle.
        end: one past its last.
    """

    name: str
    says: str
    start: float
    end: float


def modes(told: Sequence[Box], summary: Mapping[str, float]) -> list[Mode]:
    """The spans of all modes, in order; none where no command changes them.

    Args:
        told: commands of one channel by their start.
        summary: of the run, for the cycle at which the host begins to read results.
    """
    end = max(box.end for box in told)
    changes = [box.start for box in told if box.name == "TMOD"]
    if changes:
        says = {"registers": "register access", "banks": "bank access"}
        names = ("registers", "banks")
        ends = [*changes[1:], end]
        return [
            Mode(names[at % 2], says[names[at % 2]], start, stop)
            for at, (start, stop) in enumerate(zip(changes, ends, strict=True))
        ]
    return _of_hbm_pim(told, summary, end) if any(box.name == "mode" for box in told) else []


def _of_hbm_pim(told: Sequence[Box], summary: Mapping[str, float], end: float) -> list[Mode]:
    """The fourth activation of the magic row enters the all-bank mode, precharges of both halves leave it.

    A write ("mode") enters the one in which reads trigger the program, another one leaves it.
    """
    together = [box for box in told if len(box.lines) > 1 and box.name != "REFab"]
    done = min(summary.get("kernel_cycles") or end, end)
    before = [box for box in told if box.start < together[0].start]
    last = max((box for box in before if box.name in ("RD", "WR")), key=lambda box: box.start)
    enter = max(box.start for box in before if box.name == "ACT" and box.lines == last.lines and box.start < last.start)
    leave = max(box.end for box in together)
    switches = [box.start + n * box.gap for box in together if box.name == "mode" for n in range(box.count)]
    points = [enter, *switches, leave]
    inside = [
        Mode(*(("HAB", "HAB") if at % 2 == 0 else ("HAB-PIM", "HAB-PIM: the program runs")), start, stop)
        for at, (start, stop) in enumerate(pairwise(points))
    ]
    after = [Mode("SB", "SB: park out", leave, done), Mode("SB", "SB: read-out", done, end)]
    return [Mode("SB", "SB: park in", 0.0, enter), *inside, *(mode for mode in after if mode.end > mode.start)]
