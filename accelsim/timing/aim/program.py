"""Programs of host instructions: single ones, and loops of them with rows that move along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from accelsim.timing.aim.commands import (
    AF16,
    EWMUL16,
    MAC,
    MAC16,
    RD,
    RDAF16,
    RDCP,
    RDMAC16,
    WR,
    WRA16,
    WRCP,
    WRGB,
    WRMAC16,
)
from accelsim.timing.aim.controller import END

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "WR_SBK": ("gpr", "mask", "bank", "row"),
    "WR_ABK": ("gpr", "mask", "row"),
    "WR_GB": ("size", "gpr", "mask"),
    "WR_BIAS": ("gpr", "mask"),
    "RD_MAC": ("gpr", "mask"),
    "RD_AF": ("gpr", "mask"),
    "RD_SBK": ("gpr", "mask", "bank", "row"),
    "COPY_BKGB": ("size", "mask", "bank", "row"),
    "COPY_GBBK": ("size", "mask", "bank", "row"),
    "MAC_SBK": ("size", "mask", "bank", "row"),
    "MAC_ABK": ("size", "mask", "row"),
    "AF": ("mask",),
    "EWMUL": ("size", "mask", "row"),
    "EWADD": ("size", "gpr", "gpr"),
    "SYNC": (),
    "EOC": (),
}
"""Host instructions and their operands, in the order in which traces write them.

`size` counts columns, `gpr` names shared-buffer registers (no cost), `mask` has a bit for each channel.
"""

COMMAND: Final[dict[str, int]] = {
    "WR_SBK": WR, "WR_ABK": WRA16, "WR_GB": WRGB, "WR_BIAS": WRMAC16, "RD_MAC": RDMAC16, "RD_AF": RDAF16, "RD_SBK": RD,
    "COPY_BKGB": RDCP, "COPY_GBBK": WRCP, "MAC_SBK": MAC, "MAC_ABK": MAC16, "AF": AF16, "EWMUL": EWMUL16,
    "SYNC": END, "EOC": END, "READ": RD, "WRITE": WR,
}  # fmt: skip
"""The last DRAM command of each instruction that reaches a channel."""

PLAIN: Final = frozenset({"WR_SBK", "RD_SBK", "READ", "WRITE"})
"""Instructions that are ordinary accesses of one bank."""
ANSWERED: Final = frozenset({"RD_MAC", "RD_AF", "SYNC", "EOC"})
"""Instructions that hold up all later ones until their results are there."""
EVERYWHERE: Final = frozenset({"SYNC", "EOC"})
"""Instructions that go to all channels."""
LOCAL: Final = frozenset({"EWADD", "GPR", "CFR"})
"""Instructions that stay in the decoder and its shared buffer: one cycle."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One host instruction.

    Attributes:
        name: a key of `FIELDS`; "READ" or "WRITE" for an ordinary access, "GPR" for one of the shared buffer,
            "CFR" for a configuration register.
        size: columns.
        channels: bit i stands for channel i; 0 for those that go nowhere or everywhere.
        bank: the bank, -1 for all; the number of a configuration register.
        row: the row; for AF the function's number; the value of a configuration register.
        steps: what the row grows by for each turn of the enclosing loops, outermost first.
    """

    name: str
    size: int = 1
    channels: int = 0
    bank: int = -1
    row: int = -1
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """Instructions and inner loops, `count` times."""

    body: tuple[Instruction | Loop, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Program:
    """What a host sends.

    Attributes:
        body: instructions and loops; the last one is EOC.
        name: where it comes from.
    """

    body: tuple[Instruction | Loop, ...]
    name: str = ""


def unrolled(body: Iterable[Instruction | Loop], turns: tuple[int, ...] = ()) -> Iterator[Instruction]:
    """The instructions in order, with their rows."""
    for item in body:
        if isinstance(item, Loop):
            for turn in range(item.count):
                yield from unrolled(item.body, (*turns, turn))
        else:
            moved = sum(step * turn for step, turn in zip(item.steps, turns, strict=False))
            yield replace(item, row=item.row + moved, steps=()) if moved else item
