"""Sections of a kernel: a program, how long it is at its steady pace, and what it asks of each resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from accelsim.mapping.tsp.schedule import Program, Run, check


@dataclass(frozen=True)
class Section:
    """Something that a chip does without a break; one section ends before the next begins.

    Attributes:
        name: of the phase.
        program: the instructions, from cycle 0 on.
        steady: cycles in which the resource `pace` works without a gap.
        pace: the resource that sets the pace.
        wait: the resource that stands for the rest of the cycles: ways through the slices, or between chips.
        units: busy cycles per resource of one chip, all of its units together; `pace` among them.
        vector: bytes of a vector.
        rule: what priced it.
    """

    name: str
    program: Program
    steady: int
    pace: str
    wait: str
    units: Mapping[str, int]
    vector: int
    rule: str

    def __post_init__(self) -> None:
        check(self.program, self.name)

    @property
    def cycles(self) -> int:
        """From the first instruction to the last result on the last tile."""
        return self.program.cycles

    @cached_property
    def sram_bytes(self) -> int:
        """Bytes out of and into memory slices of one chip."""
        return self.vector * sum(run.steps.count for run in self.program.runs if is_memory(run))

    @cached_property
    def hop_bytes(self) -> int:
        """Bytes times hops of one chip's streams."""
        return self.vector * sum(
            run.steps.count * abs(give.reach - run.place)
            for run in self.program.runs
            for give in run.gives
            if give.direction
        )

    @cached_property
    def link_bytes(self) -> int:
        """Bytes that one chip sends."""
        return self.vector * sum(
            run.steps.count for run in self.program.runs for give in run.gives if not give.direction
        )


def is_memory(run: Run) -> bool:
    """Whether a run reads or writes a memory slice."""
    return ".mem" in run.unit


def side_name(side: int) -> str:
    """Hemisphere as in names of units."""
    return "E" if side > 0 else "W"
