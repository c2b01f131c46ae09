"""The DRAM commands of GDDR6-AiM and the cycles that must lie between them.

The constraints are those that the public simulator applies (arkhadem/aim_simulator at 0f28a07, GDDR6 with its AiM
preset): the command before, the command after, and the sum of timings between them, at the level where it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from accelsim.spec.aim import AimOrganization, AimTiming

COMMANDS: Final = (
    "ACT", "ACT16", "PRE", "PREA", "RD", "WR", "MAC", "MAC16", "AF16", "EWMUL16", "RDCP", "WRCP", "WRGB", "WRMAC16",
    "RDMAC16", "RDAF16", "WRA16", "TMOD", "REFab",
)  # fmt: skip
"""All commands; a number 16 says that they reach all banks of a channel at once."""

(
    ACT, ACT16, PRE, PREA, RD, WR, MAC, MAC16, AF16, EWMUL16, RDCP, WRCP, WRGB, WRMAC16, RDMAC16, RDAF16, WRA16, TMOD,
    REFAB,
) = range(len(COMMANDS))  # fmt: skip

ONE_ROW: Final = frozenset({RD, WR, MAC, RDCP, WRCP})
"""Commands that need their row open in one bank."""
ALL_ROWS: Final = frozenset({WRA16, MAC16, AF16, EWMUL16})
"""Commands that need their row open in all banks."""
REGISTERS: Final = frozenset({WRGB, WRMAC16, RDMAC16, RDAF16})
"""Commands that touch no bank; the channel changes its mode (TMOD) before and after them."""

Level = Literal["channel", "group", "bank"]

_RULES: Final[tuple[tuple[Level, str, str, str], ...]] = (
    # data pins
    ("channel", "RD RDMAC16 RDAF16", "RD RDMAC16 RDAF16", "nBL"),
    ("channel", "WR WRA16 WRGB WRMAC16", "WR WRA16 WRGB WRMAC16", "nBL"),
    # columns of different bank groups, then of the same one
    ("channel", "RD MAC MAC16 RDCP RDMAC16 RDAF16", "RD MAC MAC16 RDCP RDMAC16 RDAF16", "nCCDS"),
    ("channel", "WR WRA16 WRGB WRCP WRMAC16", "WR WRA16 WRGB WRCP WRMAC16", "nCCDS"),
    ("channel", "RD MAC RDCP RDMAC16 RDAF16 MAC16 EWMUL16", "RDMAC16 RDAF16 MAC16 EWMUL16", "nCCDL"),
    ("channel", "RDMAC16 RDAF16 MAC16 EWMUL16", "RD MAC RDCP RDMAC16 RDAF16 MAC16 EWMUL16", "nCCDL"),
    ("channel", "WR WRCP WRA16 WRMAC16 EWMUL16", "WRA16 WRMAC16 EWMUL16", "nCCDL"),
    ("channel", "WRA16 WRMAC16 EWMUL16", "WR WRCP WRA16 WRMAC16 EWMUL16", "nCCDL"),
    ("group", "RD MAC RDCP", "RD MAC RDCP", "nCCDL"),
    ("group", "WR WRCP", "WR WRCP", "nCCDL"),
    # read to write
    ("channel", "RD", "WR WRA16", "nCL nBL nRTW nWPRE -nCWL"),
    ("channel", "RD", "WRGB", "nCL nBL nRTW nWPRE -nCWLGB"),
    ("channel", "RD", "WRMAC16", "nCL nBL nRTW nWPRE -nCWLREG"),
    ("channel", "RDMAC16 RDAF16", "WR WRA16", "nCLREG nBL nRTW nWPRE -nCWL"),
    ("channel", "RDMAC16 RDAF16", "WRGB", "nCLREG nBL nRTW nWPRE -nCWLGB"),
    ("channel", "RDMAC16 RDAF16", "WRMAC16", "nCLREG nBL nRTW nWPRE -nCWLREG"),
    # write to read
    ("channel", "WR WRA16", "RD RDMAC16 RDAF16", "nCWL nBL nWTRS"),
    ("channel", "WRGB", "RD RDMAC16 RDAF16", "nCWLGB nBL nWTRS"),
    ("channel", "WRMAC16", "RD RDMAC16 RDAF16", "nCWLREG nBL nWTRL"),
    ("channel", "WR", "RDMAC16 RDAF16", "nCWL nBL nWTRL"),
    ("channel", "WRA16", "RD RDMAC16 RDAF16", "nCWL nBL nWTRL"),
    ("group", "WR", "RD", "nCWL nBL nWTRL"),
    # column to precharge
    ("channel", "RD RDCP MAC MAC16 AF16 EWMUL16", "PREA", "nRTP"),
    ("channel", "MAC16 AF16 EWMUL16", "PRE", "nRTP"),
    ("channel", "WR WRCP", "PREA", "nCWL nBL nWR"),
    ("channel", "EWMUL16", "PRE PREA", "nCWL nWR"),
    ("bank", "RD RDCP MAC", "PRE", "nRTP"),
    ("bank", "WR WRCP", "PRE", "nCWL nBL nWR"),
    # row to row
    ("channel", "ACT", "ACT", "nRRDS"),
    ("group", "ACT", "ACT", "nRRDL"),
    ("bank", "ACT", "ACT", "nRC"),
    ("channel", "ACT ACT16", "ACT16", "nRC"),
    ("channel", "ACT16", "ACT", "nRC"),
    ("channel", "ACT ACT16", "PREA", "nRAS"),
    ("channel", "ACT16", "PRE", "nRAS"),
    ("bank", "ACT", "PRE", "nRAS"),
    ("channel", "PRE PREA", "ACT16", "nRP"),
    ("channel", "PREA", "ACT", "nRP"),
    ("bank", "PRE", "ACT", "nRP"),
    ("channel", "PREA", "PRE PREA", "nRP"),
    ("channel", "PRE", "PREA", "nRP"),
    ("bank", "PRE", "PRE", "nRP"),
    ("channel", "WRA16", "ACT ACT16", "nCWL nBL nWR nRP"),
    # row to column
    ("channel", "ACT ACT16", "MAC16", "nRCDRDMAC"),
    ("channel", "ACT ACT16", "AF16", "nRCDRDAF"),
    ("channel", "ACT ACT16", "EWMUL16", "nRCDEWMUL"),
    ("channel", "ACT ACT16", "WRA16", "nRCDWR"),
    ("channel", "ACT16", "MAC", "nRCDRDMAC"),
    ("channel", "ACT16", "RDCP", "nRCDRDCP"),
    ("channel", "ACT16", "WRCP", "nRCDWRCP"),
    ("channel", "ACT16", "RD", "nRCDRD"),
    ("channel", "ACT16", "WR", "nRCDWR"),
    ("bank", "ACT", "MAC", "nRCDRDMAC"),
    ("bank", "ACT", "RDCP", "nRCDRDCP"),
    ("bank", "ACT", "WRCP", "nRCDWRCP"),
    ("bank", "ACT", "RD", "nRCDRD"),
    ("bank", "ACT", "WR", "nRCDWR"),
    # refresh
    ("channel", "ACT ACT16", "REFab", "nRC"),
    ("channel", "PRE PREA", "REFab", "nRP"),
    ("channel", "WRA16", "REFab", "nCWL nBL nWR nRP"),
    ("channel", "REFab", "ACT ACT16 REFab", "nRFC"),
    # mode
    ("channel", "TMOD", " ".join(name for name in COMMANDS if name != "TMOD"), "nMODCH"),
)

_LATENCIES: Final = {
    WR: "nCWL nBL", RD: "nCL nBL", WRGB: "nCWLGB nBL", WRMAC16: "nCWLREG nBL", RDMAC16: "nCLREG nBL",
    RDAF16: "nCLREG nBL", WRA16: "nCWL nBL nRP",
}  # fmt: skip

Followers = tuple[tuple[tuple[int, int], ...], ...]
"""By command: (following command, cycles) pairs."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The constraints of one part in numbers.

    Attributes:
        channel: what a command demands of later ones in its channel.
        group: in its bank group.
        bank: in its bank.
        gap: cycles between two equal commands to one bank, by command; at least 1.
        latency: from a command to the end of its data, by command.
        groups: bank groups.
        banks: banks of a channel.
        window: four single activations lie within this many cycles at the closest; 0 without that rule.
        refresh: cycles between refreshes; 0 without refresh.
    """

    channel: Followers
    group: Followers
    bank: Followers
    gap: tuple[int, ...]
    latency: tuple[int, ...]
    groups: int
    banks: int
    window: int
    refresh: int


@lru_cache(maxsize=64)
def rules(timing: AimTiming, organization: AimOrganization, *, activation_window: bool, refresh: bool) -> Rules:
    """The constraints of a part.

    Args:
        timing: its delays.
        organization: its banks.
        activation_window: whether nFAW counts. All banks then open in groups of four, nFAW apart, and whatever
            follows waits for the last group.
        refresh: whether all banks are refreshed every nREFI.
    """

    def cycles(terms: str) -> int:
        return sum(-getattr(timing, t[1:]) if t.startswith("-") else getattr(timing, t) for t in terms.split())

    number = {name: index for index, name in enumerate(COMMANDS)}
    tables: dict[Level, list[dict[int, int]]] = {
        level: [{} for _ in COMMANDS] for level in ("channel", "group", "bank")
    }
    later = timing.nFAW * (organization.banks_per_channel // 4 - 1) if activation_window else 0
    for level, before, after, terms in _RULES:
        for first in before.split():
            for second in after.split():
                row = tables[level][number[first]]
                delay = cycles(terms) + (later if first == "ACT16" else 0)
                row[number[second]] = max(row.get(number[second], delay), delay)
    if activation_window:
        for second_ in (ACT, ACT16):
            row = tables["channel"][ACT16]
            row[second_] = max(row[second_], later + timing.nFAW)
    frozen = {level: tuple(tuple(row.items()) for row in table) for level, table in tables.items()}
    gap = tuple(max(1, *(tables[level][c].get(c, 1) for level in tables)) for c in range(len(COMMANDS)))
    return Rules(
        channel=frozen["channel"],
        group=frozen["group"],
        bank=frozen["bank"],
        gap=gap,
        latency=tuple(cycles(_LATENCIES.get(c, "")) or 1 for c in range(len(COMMANDS))),
        groups=organization.bank_groups,
        banks=organization.banks_per_channel,
        window=timing.nFAW if activation_window else 0,
        refresh=timing.nREFI if refresh else 0,
    )
