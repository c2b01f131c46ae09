"""Address traces of DRAMsim3 and Ramulator.

DRAMsim3: `0x2000D5C0 READ 30`: address, READ or WRITE, cycle of arrival. Ramulator 1: `0x12345680 R`; Ramulator 2:
`LD 0x12345680` or `ST 20734016`, and `R 0,1,2,100,32`: the places of every level from the channel to the column.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.spec.dram import FIELDS, Dram, address_fields
from accelsim.timing.dram.table import Ints

_READS: Final = frozenset({"READ", "R", "LD", "P_MEM_RD", "BOFFRD"})
_WRITES: Final = frozenset({"WRITE", "W", "ST", "P_MEM_WR", "BOFF"})
_EXPECTED: Final = (
    "expected `ADDRESS READ|WRITE CYCLE` (DRAMsim3), "
    "or `ADDRESS R|W`, `LD|ST ADDRESS` or `R|W LEVEL,...,COLUMN` (Ramulator)"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests of a trace; [n] each.

    Attributes:
        addresses: in bytes.
        writes: 1 for a write.
        arrivals: cycles; all 0 where the trace has none.
    """

    addresses: Ints
    writes: Ints
    arrivals: Ints


def load(dram: Dram, file: str | os.PathLike[str]) -> Trace:
    """Read an address trace; each line says itself which kind it is. Empty lines and # comments are passed over.

    Raises:
        RequestError: a line that is none of these, or arrivals that decrease, with its number; no request at all.
        OSError: the file cannot be read.
    """
    place = _places(dram)
    found: list[tuple[int, int, int]] = []
    with Path(file).open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                request = _request(words, place)
            except ValueError as error:
                shown = line.strip()[:60]
                raise RequestError(f"{file}: line {number}: {shown!r}: {str(error) or _EXPECTED}") from None
            if found and request[2] < found[-1][2]:
                raise RequestError(
                    f"{file}: line {number}: cycle {request[2]} is before {found[-1][2]}, that of the last"
                )
            found.append(request)
    if not found:
        raise RequestError(f"{file}: no request in it; {_EXPECTED}")
    return Trace(*np.array(found, dtype=np.int64).T)


def _request(words: list[str], place: Callable[[str], int]) -> tuple[int, int, int]:
    """Address, write and arrival of one line; a ValueError without text where it is of no known kind."""
    first, second = words[0].upper(), words[1].upper() if len(words) > 1 else ""
    if len(words) == 2 and first in _READS | _WRITES:
        address = place(words[1]) if "," in words[1] else _number(words[1])
        return address, int(first in _WRITES), 0
    if len(words) in (2, 3) and second in _READS | _WRITES:
        # DRAMsim3 reads its addresses as hexadecimal, with or without 0x
        address = int(words[0], 16) if len(words) == 3 else _number(words[0])
        return address, int(second in _WRITES), _number(words[2]) if len(words) == 3 else 0
    raise ValueError


def _number(text: str) -> int:
    value = int(text, 0)
    if value < 0:
        raise ValueError(f"{text} is negative")
    return value


def _places(dram: Dram) -> Callable[[str], int]:
    """What turns places of levels, from the channel to the column, into an address of the memory."""
    organization = dram.organization
    fields = address_fields(dram.controller.address_order, organization)
    levels = [
        word for word, key in FIELDS.items() if getattr(organization, key) > 1 or word in ("ch", "ba", "ro", "co")
    ]

    def address(text: str) -> int:
        places = [_number(part) for part in text.split(",")]
        if len(places) != len(levels):
            names = ", ".join(FIELDS[word] for word in levels)
            raise ValueError(f"{len(places)} levels, and {dram.name} has {len(levels)}: {names}")
        for word, at in zip(levels, places, strict=True):
            count = getattr(organization, FIELDS[word])
            if at >= (organization.columns if word == "co" else count):
                raise ValueError(f"{FIELDS[word]} {at}: legal is 0 to {count - 1}")
        given = dict(zip(levels, places, strict=True))
        given["co"] %= organization.accesses_per_row
        access = sum((given.get(word, 0) >> low & (1 << bits) - 1) << at for word, at, bits, low in fields)
        return access * organization.access_bytes

    return address
