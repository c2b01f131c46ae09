"""Cycles of a DPU: instructions of its tasklets through the pipeline, and transfers of its DMA engine."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from accelsim.spec.upmem import UpmemPart


@dataclass(frozen=True, slots=True)
class Work:
    """What the busiest DPU does.

    Attributes:
        instructions: of all its tasklets.
        longest: of the tasklet that has most.
        reads: transfers from the bank, and their bytes in all.
        writes: transfers to the bank, and their bytes in all.
        tasklets: tasklets that have work.
    """

    instructions: float
    longest: float
    reads: tuple[int, float]
    writes: tuple[int, float]
    tasklets: int


@dataclass(frozen=True, slots=True)
class Cycles:
    """What bounds a DPU, in cycles.

    Attributes:
        issue: all instructions, one per cycle.
        tasklet: the longest tasklet, an instruction per turn of the revolver, and its transfers.
        dma: all transfers, one after the other.
        total: the largest of them, and the pipeline's length once.
    """

    issue: float
    tasklet: float
    dma: float
    total: int


def cycles(part: UpmemPart, work: Work) -> Cycles:
    """How long a DPU takes.

    The pipeline issues one instruction per cycle, and a tasklet one per `revolver` cycles, so that fewer tasklets than
    that leave it empty in turn. Transfers go one after the other; a tasklet waits for its own, others go on.
    """
    dma = part.dma
    moved = 0.0
    for (count, size), setup in ((work.reads, dma.read_setup), (work.writes, dma.write_setup)):
        moved += count * (setup + dma.issue) + size * dma.cycles_per_byte
    tasklet = work.longest * part.dpu.revolver + moved / max(1, work.tasklets)
    longest = max(work.instructions, tasklet, moved)
    return Cycles(work.instructions, tasklet, moved, ceil(longest) + part.dpu.stages - 1)
