"""The traces whose cycles the public simulator of GDDR6-AiM is compared by, as programs of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.mapping.pim.aim import matmul
from accelsim.spec.aim import AimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.aim import trace
from accelsim.timing.aim.program import Instruction, Loop, Program

CHANNELS: Final = 32
"""Channels of the public simulator's device, also where a trace uses one of them."""

_ALL: Final = (1 << CHANNELS) - 1
_EOC: Final = Instruction("EOC")


def _times(count: int, *body: Instruction) -> Program:
    return Program((Loop(body, count), _EOC))


def _mac(columns: int, channels: int, *, moving: bool = True) -> Instruction:
    return Instruction("MAC_ABK", columns, (1 << channels) - 1, row=0, steps=(int(moving),))


def _every(name: str, columns: int = 1, *, row: int = -1, bank: int = -1, moving: bool = False) -> Instruction:
    return Instruction(name, columns, _ALL, bank, row, (1,) if moving else ())


_MICRO: Final[dict[str, Callable[[], Program]]] = {
    "eoc": lambda: Program((_EOC,)),
    "micro_macab_1024_16banks": lambda: _times(1024, _mac(64, CHANNELS)),
    "micro_rdmac_1024_16banks": lambda: _times(1024, _every("RD_MAC")),
    "micro_wrbias_1024_16banks": lambda: _times(1024, _every("WR_BIAS")),
    "micro_wrab_1024_1bank": lambda: _times(1024, Instruction("WR_ABK", 1, 1, row=0, steps=(1,))),
    "micro_ewmul_16banks": lambda: _times(1024, _every("EWMUL", 64, row=0, moving=True)),
    "micro_wrbias_mac_af_rdaf_16banks": lambda: _times(
        1024, _every("WR_BIAS"), _mac(64, CHANNELS, moving=False), _every("AF", row=0), _every("RD_AF")
    ),
}


def _all_kinds() -> str:
    """Every kind of instruction, on four channels."""
    four = range(4)
    return "\n".join([
        *(f"W MEM {i} 2 {8 + i}" for i in four), *["W GPR 0"] * 8,
        *(f"AiM WR_SBK {gpr} {1 << i} 0 0" for gpr in (0, 1) for i in four),
        "AiM WR_GB 2 2 15", "AiM WR_BIAS 4 15",
        *(f"W CFR 0 {value}\nAiM MAC_ABK 2 15 0" for value in (1, 0)),
        *(f"W CFR 0 {value}\nAiM MAC_SBK 2 15 0 0" for value in (1, 0)),
        *(f"W CFR 1 {value}\nAiM EWMUL 2 15 0" for value in (1, 0)),
        "W CFR 2 1", "AiM AF 15", "AiM RD_MAC 8 15", "AiM RD_AF 12 15", "AiM EWADD 4 8 12",
        "AiM COPY_BKGB 2 15 0 0", "AiM COPY_GBBK 2 15 0 0",
        *(f"AiM RD_SBK 20 {1 << (i // 2)} 0 0" for i in range(8)),
        *(f"AiM WR_ABK 4 {1 << i} 5" for i in four), "AiM EOC",
    ])  # fmt: skip


def named(name: str, part: AimPart) -> Program:
    """The program of a trace's name.

    Args:
        name: `eoc`, `all_isr`, a `micro_` trace, `mac_1ch_16col` (columns of one row), `mac_32ch_16r` (rows of 64
            columns) or `gemv_4096x1024_32ch` (outputs, inputs).
        part: the memory.

    Raises:
        UnknownNameError: no such trace.
    """
    if name in _MICRO:
        return _MICRO[name]()
    if name == "all_isr":
        return trace.parse(_all_kinds(), part.organization, CHANNELS)
    if found := re.fullmatch(r"mac_(\d+)ch_(\d+)(col|r)", name):
        channels, count = int(found[1]), int(found[2])
        return _times(count, _mac(64, channels)) if found[3] == "r" else _times(1, _mac(count, channels))
    if found := re.fullmatch(r"gemv_(\d+)x(\d+)_(\d+)ch", name):
        mapped = matmul(part, int(found[3]), m=1, n=int(found[1]), k=int(found[2]))
        if not isinstance(mapped, Infeasible):
            return mapped.program
    known = [*_MICRO, "all_isr", "mac_1ch_16col", "mac_32ch_16r", "gemv_4096x1024_32ch"]
    raise UnknownNameError("AiM trace", name, known, hint=f"there are {', '.join(known)}, with other numbers")
