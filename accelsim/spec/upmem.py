"""UPMEM's processing-in-memory DIMM as its description gives it: DRAM processing units (DPUs) with a bank each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from accelsim.spec.base import Bandwidth, Count, Description, Frequency, Name, Power, Size
from accelsim.spec.figures import Figures
from accelsim.spec.published import Published

Cycles = Annotated[float, Field(ge=0)]


class Dimm(Figures):
    """One module.

    Attributes:
        chips: memory chips of one DIMM.
        dpus_per_chip: DPUs of one chip.
        ranks: ranks of one DIMM; the host writes and reads all DPUs of a rank at once.
        mram_bytes: the DRAM bank of one DPU.
        chip_w: power of one chip with all its DPUs busy.
    """

    chips: Count
    dpus_per_chip: Count
    ranks: Count
    mram_bytes: Size = Field(alias="mram")
    chip_w: Power = Field(alias="chip_power")

    @property
    def dpus(self) -> int:
        """DPUs of one DIMM."""
        return self.chips * self.dpus_per_chip


class Dpu(Figures):
    """One processing unit.

    Attributes:
        frequency_hz: its clock.
        stages: stages of its pipeline.
        revolver: cycles from one instruction of a tasklet to its next one.
        threads: tasklets that the hardware holds.
        tasklets: tasklets that kernels use.
        wram_bytes: scratchpad that instructions work on.
    """

    frequency_hz: Frequency = Field(alias="frequency")
    stages: Count
    revolver: Count
    threads: Count
    tasklets: Count
    wram_bytes: Size = Field(alias="wram")

    @model_validator(mode="after")
    def _tasklets_exist(self) -> Self:
        if self.tasklets > self.threads:
            raise ValueError(f"tasklets = {self.tasklets}: the hardware holds 1 to {self.threads}")
        return self


class Dma(Figures):
    """The engine between the bank (MRAM) and the scratchpad (WRAM).

    Attributes:
        read_setup: cycles before the first byte of a read.
        write_setup: cycles before the first byte of a write.
        cycles_per_byte: of both directions.
        issue: cycles around a transfer in a loop of transfers.
        largest_bytes: largest transfer.
        block_bytes: transfer that kernels use.
    """

    read_setup: Cycles
    write_setup: Cycles
    cycles_per_byte: Annotated[float, Field(gt=0)]
    issue: Cycles
    largest_bytes: Size = Field(alias="largest")
    block_bytes: Size = Field(alias="block")

    def read_cycles(self, size: float) -> float:
        """Cycles of one read."""
        return self.read_setup + self.cycles_per_byte * size + self.issue

    def write_cycles(self, size: float) -> float:
        """Cycles of one write."""
        return self.write_setup + self.cycles_per_byte * size + self.issue


class Loops(Figures):
    """Instructions around the arithmetic of one element.

    Attributes:
        load: for an operand in the scratchpad.
        store: for a result.
        address: of an operand or result.
        control: counting and branching.
        clamp: comparing with zero and choosing.
    """

    load: Cycles
    store: Cycles
    address: Cycles
    control: Cycles
    clamp: Cycles


class Arithmetic(Figures):
    """Instructions of one operation in one format; what the hardware lacks is software.

    Attributes:
        format: the format.
        bytes: of one element.
        add: instructions of an addition.
        multiply: instructions of a multiplication.
    """

    format: Name
    bytes: Count
    add: Cycles
    multiply: Cycles


class HostLink(Figures):
    """What the host moves to and from one rank.

    Attributes:
        write_bytes_per_s: different data to all DPUs of a rank.
        read_bytes_per_s: from all DPUs of a rank.
        broadcast_bytes_per_s: the same data to all DPUs of a rank, counted at the DPUs.
    """

    write_bytes_per_s: Bandwidth = Field(alias="write")
    read_bytes_per_s: Bandwidth = Field(alias="read")
    broadcast_bytes_per_s: Bandwidth = Field(alias="broadcast")


class UpmemPart(Description):
    """One UPMEM DIMM."""

    name: Name
    family: Literal["upmem"]
    generation: str
    native: Name
    dimm: Dimm
    dpu: Dpu
    dma: Dma
    loop: Loops
    arithmetic: tuple[Arithmetic, ...] = Field(min_length=1)
    host_link: HostLink
    published: tuple[Published, ...] = ()

    @property
    def formats(self) -> dict[str, Arithmetic]:
        """Arithmetic by format."""
        return {row.format: row for row in self.arithmetic}

    @property
    def stream_bytes_per_s(self) -> float:
        """What the banks of one DIMM deliver to their DPUs in the largest transfers."""
        cycles = self.dma.read_cycles(self.dma.largest_bytes)
        return self.dimm.dpus * self.dma.largest_bytes * self.dpu.frequency_hz / cycles

    @property
    def instructions_per_s(self) -> float:
        """Instructions of all DPUs of one DIMM, one per cycle each."""
        return self.dimm.dpus * self.dpu.frequency_hz

    @property
    def capacity_bytes(self) -> float:
        """Banks of one DIMM."""
        return self.dimm.dpus * self.dimm.mram_bytes

    @model_validator(mode="after")
    def _native_exists(self) -> Self:
        if self.native not in self.formats:
            raise ValueError(f"native = {self.native!r} has no row in arithmetic: {', '.join(self.formats)}")
        if self.dma.block_bytes > self.dma.largest_bytes:
            raise ValueError(f"dma.block = {self.dma.block_bytes:g} B is above dma.largest")
        return self
