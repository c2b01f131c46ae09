"""Sections of a kernel: a program, how long it is at its steady pace, and what it asks of each resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from accelsim.mapping.tsp.schedule import Program, Run, check
from accelsim.spec.tsp import TspPart
from accelsim.timing.tsp.floorplan import Floorplan


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


def memory_port(part: TspPart, side: int, number: int) -> tuple[int, str]:
    """Place and unit of one of a hemisphere's memory ports; even numbers for reads, odd ones for writes.

    Tensors may lie in any slice: these are taken from the middle of the hemisphere on, a mean way.
    """
    mem = Floorplan.of(part).mem
    index = (number // part.mem.banks + mem // 2) % mem + 1
    return side * index, f"{side_name(side)}.mem{index}.{number % part.mem.banks}"


def side_name(side: int) -> str:
    """Hemisphere as in names of units."""
    return "E" if side > 0 else "W"
