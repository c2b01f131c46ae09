"""Cycles of GDDR6-AiM beside those of its public simulator."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.mapping.pim import aim_traces
from accelsim.spec.aim import AimPart
from accelsim.timing.aim.machine import run

SIMULATOR = "aim_simulator"


class Compared(NamedTuple):
    """One row of a reference and what we find.

    Attributes:
        simulator: who counted.
        kernel: what ran.
        reference: its cycles.
        ours: our cycles, in scope "peer".
    """

    simulator: str
    kernel: str
    reference: int
    ours: int

    @property
    def difference(self) -> float:
        """Ours above the reference, as a fraction."""
        return self.ours / self.reference - 1


def read(path: str | PathLike[str]) -> list[dict[str, str]]:
    """Rows of a CSV file with the columns simulator, device, kernel, shape, cycles, tCK_ns; # starts a comment.

    Raises:
        RequestError: no such file.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error}") from None
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def compare(rows: Iterable[Mapping[str, str]], part: str = "gddr6-aim") -> list[Compared]:
    """Every row of the public AiM simulator with ours; rows of others are left out.

    Raises:
        UnknownNameError: a row of a trace that is not known.
    """
    memory = catalog.chip(part)
    if not isinstance(memory, AimPart):
        raise RequestError(f"{part} is no GDDR6-AiM")
    return [
        Compared(
            SIMULATOR,
            row["shape"],
            int(row["cycles"]),
            run(aim_traces.named(row["shape"], memory), memory, aim_traces.CHANNELS, scope="peer").cycles,
        )
        for row in rows
        if row["simulator"] == SIMULATOR
    ]
