"""HBM-PIM as its description gives it: HBM2 pseudo-channels with a small processor beside every pair of banks.

Timings keep their JEDEC names and are in cycles of `tCK_ps`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from accelsim.spec.base import Count, Description, EnergyPerByte, EnergyPerOp, Name, Power, Size, Sourced, powers_of_two
from accelsim.spec.figures import Figures
from accelsim.spec.published import Published

Cycles = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Row = Annotated[int, Field(ge=0)]

DESCRIPTIVE: Final = (
    "organization.pseudo_channels", "organization.bus_bits", "organization.plain_capacity", "pim.scalars",
    "pim.commands", "timing.nWTRS", "timing.nRTPS", "timing.nCCDR", "timing.nREFIpb", "timing.nRFCpb", "timing.nXP",
    "timing.nCKE",
)  # fmt: skip
"""Figures that no kernel notices: those of a whole stack, and timings that the controller does not use."""

_BANKS = 16
_GROUPS = 4
_LANES = 16


class HbmPimOrganization(Figures):
    """What a stack is made of; the figures of a rank are those of the rank with PIM blocks.

    Attributes:
        pseudo_channels: of one stack.
        ranks: of a pseudo-channel; the first has the PIM blocks, refreshes of all of them take turns.
        bank_groups: of a rank.
        banks: of a bank group.
        rows: of a bank.
        row_bytes: one row of one bank.
        access_bytes: what one column command moves to or from one bank.
        bus_bits: data pins of one pseudo-channel.
        plain_capacity_bytes: capacity of a stack without PIM blocks, beside that of the PIM ranks; descriptive.
    """

    pseudo_channels: Count
    ranks: Annotated[int, Field(ge=1, le=2)]
    bank_groups: Count
    banks: Count
    rows: Count
    row_bytes: Size = Field(alias="row")
    access_bytes: Size = Field(alias="access")
    bus_bits: Count
    plain_capacity_bytes: Size | None = Field(default=None, alias="plain_capacity")

    @property
    def banks_per_rank(self) -> int:
        """Banks of one rank."""
        return self.bank_groups * self.banks

    @property
    def columns(self) -> int:
        """Bursts of one row."""
        return int(self.row_bytes) // int(self.access_bytes)

    @property
    def channel_bytes(self) -> int:
        """Capacity of the PIM rank of one pseudo-channel."""
        return self.banks_per_rank * self.rows * int(self.row_bytes)

    @model_validator(mode="after")
    def _fits_the_controller(self) -> Self:
        powers_of_two(self, ("pseudo_channels", "bank_groups", "banks", "rows", "row_bytes", "access_bytes"))
        if (self.bank_groups, self.bank_groups * self.banks) != (_GROUPS, _BANKS):
            raise ValueError(f"HBM2 has {_BANKS} banks in {_GROUPS} groups, on which its PIM modes rest")
        if self.columns < 2 * _GROUPS * 2:
            raise ValueError(f"a row of {self.columns} accesses holds no tile: at least {2 * _GROUPS * 2}")
        return self


class HbmPimBlocks(Figures):
    """The processors of one pseudo-channel.

    Attributes:
        blocks: one per pair of an even and an odd bank.
        lanes: elements that a block computes on at once, those of one access.
        element: format of the elements.
        grf_a: 256-bit registers that hold inputs.
        grf_b: 256-bit registers that hold results.
        scalars: scalars of the register file for multiplications, and as many for additions.
        commands: words of the command register file.
    """

    blocks: Count
    lanes: Count
    element: Literal["fp16"]
    grf_a: Count
    grf_b: Count
    scalars: Count
    commands: Count

    @model_validator(mode="after")
    def _one_machine(self) -> Self:
        if (self.blocks, self.lanes, self.grf_a, self.grf_b) != (8, _LANES, 8, 8):
            raise ValueError("micro-programs are written for 8 blocks of 16 lanes with 8 + 8 vector registers")
        return self


class HbmPimModes(Figures):
    """Rows and columns that stand for registers and modes instead of cells.

    Attributes:
        enter_row: opening it in banks 0, 1, 8 and 9 enters the all-bank mode.
        enter_column: column of those accesses.
        leave_row: closing it in banks 0 and 1 leaves that mode.
        register_row: row of the register window.
        park_row: row read in every bank before and after a kernel; the bit of rows that execute nothing.
        mode_column: column of the register that switches execution on and off.
        command_column: first column of the command registers.
        grf_a_column: first column of GRF_A.
        grf_b_column: first column of GRF_B.
        scalar_column: column of the scalar registers.
    """

    enter_row: Row
    enter_column: Row
    leave_row: Row
    register_row: Row
    park_row: Row
    mode_column: Row
    command_column: Row
    grf_a_column: Row
    grf_b_column: Row
    scalar_column: Row


class HbmPimTiming(Figures):
    """Delays in cycles; those below the line of `nWTRS` are printed by the source and used by no rule.

    Attributes:
        tCK_ps: the clock.
        nBL: cycles of the bus that one access takes.
        nCMD: from the controller to the DRAM.
        nRTRS: bus turnaround.
        nFAW: window of `activates_per_window` activations.
        activates_per_window: banks that may be opened within it.
        nREFI: from one refresh of a rank to its next.
        nRFC: of a refresh.
    """

    tCK_ps: float = Field(gt=0)
    nBL: Positive
    nCMD: Positive
    nRL: Positive
    nWL: Positive
    nCCDS: Positive
    nCCDL: Positive
    nRCDRD: Positive
    nRCDWR: Positive
    nRP: Positive
    nRAS: Positive
    nRC: Positive
    nRRDS: Positive
    nRRDL: Positive
    nWR: Positive
    nRTPL: Positive
    nWTRL: Positive
    nRTRS: Cycles
    nFAW: Positive
    activates_per_window: Count
    nREFI: Positive
    nRFC: Positive
    nWTRS: Positive
    nRTPS: Positive
    nCCDR: Positive
    nREFIpb: Positive
    nRFCpb: Positive
    nXP: Positive
    nCKE: Positive

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.nRC < self.nRAS:
            raise ValueError(
                f"nRC = {self.nRC} is below nRAS = {self.nRAS}: a row cycle holds the row's opening; write at least "
                f"{self.nRAS}, usually nRAS + nRP = {self.nRAS + self.nRP}"
            )
        if self.nRC < self.nRAS + self.nRP - 2:
            raise ValueError(
                f"nRC = {self.nRC} is more than two cycles below nRAS + nRP = {self.nRAS + self.nRP}: a row cannot be "
                "opened again before it was closed"
            )
        if self.nREFI <= 2 * self.nRFC:
            raise ValueError(f"nREFI = {self.nREFI} leaves no time between refreshes of nRFC = {self.nRFC} cycles")
        if self.nRL + self.nBL + self.nRTRS <= self.nWL:
            raise ValueError(f"nWL = {self.nWL} is beyond the read latency, nRL + nBL + nRTRS")
        return self


class HbmPimController(Figures):
    """The controller of one pseudo-channel.

    Attributes:
        queue: accesses among which it chooses.
    """

    queue: Annotated[int, Field(ge=16, le=4096)]


class HbmPimCosts(Sourced):
    """What counts beside a kernel's commands, each switchable; scope = peer counts refresh alone.

    Attributes:
        refresh: of all banks, as due.
        activation_window: the limit of nFAW; an ACT in all-bank mode counts every row that it opens.
        readout: the host reads the partial sums of a product.
        host_reduce: the host adds them up, at the rate of its vector lanes.
    """

    refresh: bool
    activation_window: bool
    readout: bool
    host_reduce: bool


class HbmPimEnergy(Figures):
    """Energies of the parts that a bit passes, of arithmetic and of standing by; figures of one pseudo-channel.

    Attributes:
        activate_j_per_byte: opening and closing a row, per byte of the row.
        column_j_per_byte: cells and sense amplifiers, per byte of an access.
        bank_to_group_j_per_byte: from the column decoder to the multiplexer of the bank group.
        group_to_io_j_per_byte: from there to the edge of the die.
        tsv_j_per_byte: through the stack.
        interface_j_per_byte: to the host, over the interposer.
        mac_j: one multiply-accumulate of one lane.
        register_j_per_byte: reading or writing a register of a PIM block.
        refresh_j: refreshing the banks of one rank once.
        background_w: clocks, periphery and standby currents.
    """

    activate_j_per_byte: EnergyPerByte = Field(alias="activate")
    column_j_per_byte: EnergyPerByte = Field(alias="column")
    bank_to_group_j_per_byte: EnergyPerByte = Field(alias="bank_to_group")
    group_to_io_j_per_byte: EnergyPerByte = Field(alias="group_to_io")
    tsv_j_per_byte: EnergyPerByte = Field(alias="tsv")
    interface_j_per_byte: EnergyPerByte = Field(alias="interface")
    mac_j: EnergyPerOp = Field(alias="mac")
    register_j_per_byte: EnergyPerByte = Field(alias="register")
    refresh_j: EnergyPerOp = Field(alias="refresh")
    background_w: Power = Field(alias="background")


class HbmPimPart(Description):
    """One stack of HBM-PIM.

    Attributes:
        name: also the file's stem.
        generation: the DRAM standard.
    """

    name: Name
    family: Literal["hbm-pim"]
    generation: str
    organization: HbmPimOrganization
    pim: HbmPimBlocks
    modes: HbmPimModes
    timing: HbmPimTiming
    controller: HbmPimController
    costs: HbmPimCosts
    energy: HbmPimEnergy
    published: tuple[Published, ...] = ()

    @property
    def clock_hz(self) -> float:
        """The clock whose cycles results are told in."""
        return 1e12 / self.timing.tCK_ps

    @property
    def flops_per_s(self) -> float:
        """Arithmetic of one stack: every lane a multiply-accumulate, 2 FLOP, per column command."""
        o, p = self.organization, self.pim
        return o.pseudo_channels * p.blocks * p.lanes * 2 * self.clock_hz / self.timing.nCCDL

    @property
    def internal_bytes_per_s(self) -> float:
        """What the PIM blocks of one stack read from their banks."""
        o = self.organization
        return o.pseudo_channels * self.pim.blocks * o.access_bytes * self.clock_hz / self.timing.nCCDL

    @property
    def external_bytes_per_s(self) -> float:
        """What the pins of one stack carry: an access per `nBL`."""
        o = self.organization
        return o.pseudo_channels * o.access_bytes * self.clock_hz / self.timing.nBL

    @property
    def capacity_bytes(self) -> float:
        """PIM ranks and plain dies of one stack."""
        return self.organization.pseudo_channels * self.organization.channel_bytes + (
            self.organization.plain_capacity_bytes or 0.0
        )

    @model_validator(mode="after")
    def _modes_lie_in_a_bank(self) -> Self:
        for name, value in self.modes:
            if name.endswith("row") and value >= self.organization.rows:
                raise ValueError(f"modes.{name} = {value:#x} lies beyond the {self.organization.rows} rows of a bank")
            if name.endswith("column") and value >= self.organization.columns:
                raise ValueError(
                    f"modes.{name} = {value:#x} lies beyond the {self.organization.columns} columns of a row"
                )
        return self
