"""The traces whose cycles the public simulator of GDDR6-AiM is compared by, as programs of our own."""

from __future__ import annotations

import re

from accelsim.mapping.pim.aim import matmul
from accelsim.timing.aim import trace
from accelsim.timing.aim.program import Instruction, Loop, Program
from accelsim.validation.pim import ALL_INSTRUCTIONS

CHANNELS = 32
"""Channels of the public simulator's device, also where a trace uses one of them."""

_ALL = (1 << CHANNELS) - 1
_EOC = Instruction("EOC")


def _times(count, *body):
    return Program((Loop(body, count), _EOC))


def _mac(columns, channels, *, moving=True):
    return Instruction("MAC_ABK", columns, (1 << channels) - 1, row=0, steps=(int(moving),))


def _every(name, columns=1, *, row=-1, bank=-1, moving=False):
    return Instruction(name, columns, _ALL, bank, row, (1,) if moving else ())


_MICRO = {
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


def named(name, part):
    """`eoc`, `all_isr`, a `micro_` trace, `mac_1ch_16col` (columns), `mac_32ch_16r` (rows), `gemv_OUTxIN_CHch`."""
    if name in _MICRO:
        return _MICRO[name]()
    if name == "all_isr":
        return trace.parse(ALL_INSTRUCTIONS, part.organization, CHANNELS)
    if found := re.fullmatch(r"mac_(\d+)ch_(\d+)(col|r)", name):
        channels, count = int(found[1]), int(found[2])
        return _times(count, _mac(64, channels)) if found[3] == "r" else _times(1, _mac(count, channels))
    outputs, inputs, channels = map(int, re.fullmatch(r"gemv_(\d+)x(\d+)_(\d+)ch", name).groups())
    return matmul(part, channels, m=1, n=outputs, k=inputs).program
