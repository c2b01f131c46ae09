"""GDDR6-AiM as its description gives it: a GDDR6 channel with a multiply-accumulate unit beside every bank.

Timings keep their JEDEC names and are in cycles of `tCK_ps`; those that JEDEC does not know are explained here.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from accelsim.spec.base import Count, Description, EnergyPerByte, Name, Power, Size, Time, powers_of_two
from accelsim.spec.figures import Figures
from accelsim.spec.published import Published
from accelsim.units import PS_PER_S

Cycles = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class AimOrganization(Figures):
    """What a channel is made of.

    Attributes:
        channels: channels of one package.
        bank_groups: bank groups of one channel.
        banks: banks of one bank group.
        rows: rows of one bank.
        row_bytes: one row of one bank.
        access_bytes: what one column command moves to or from one bank.
        global_buffer_bytes: the vector that all multiply-accumulate units of a channel read.
        lanes: multipliers of one unit, as many as elements of an access.
        element: format of the elements.
        accumulators: results that one unit holds.
        lock_step_channels: channels that a device's command decoder drives, the width of its channel mask.
    """

    channels: Count
    bank_groups: Count
    banks: Count
    rows: Count
    row_bytes: Size = Field(alias="row")
    access_bytes: Size = Field(alias="access")
    global_buffer_bytes: Size = Field(alias="global_buffer")
    lanes: Count
    element: str
    accumulators: Count
    lock_step_channels: Count

    @property
    def banks_per_channel(self) -> int:
        """Banks of one channel."""
        return self.bank_groups * self.banks

    @property
    def columns(self) -> int:
        """Column commands that read a row once."""
        return int(self.row_bytes) // int(self.access_bytes)

    @property
    def channel_bytes(self) -> int:
        """Capacity of one channel."""
        return self.banks_per_channel * self.rows * int(self.row_bytes)

    @model_validator(mode="after")
    def _powers_of_two(self) -> Self:
        powers_of_two(self, ("bank_groups", "banks", "rows", "row_bytes", "access_bytes"))
        return self


class AimTiming(Figures):
    """Delays in cycles.

    Attributes:
        tCK_ps: the clock.
        nRCDRDMAC: ACT to the first multiply-accumulate.
        nRCDRDCP: ACT to a copy from a bank to the global buffer.
        nRCDWRCP: ACT to a copy from the global buffer to a bank.
        nRCDRDAF: ACT to an activation function.
        nRCDEWMUL: ACT to an element-wise product.
        nCLREG: read latency of accumulators and activation results.
        nCWLREG: write latency of accumulators.
        nCWLGB: write latency of the global buffer.
        nRTW: cycles between the end of a read burst and a write command, beyond the latencies.
        nWPRE: write preamble.
        nMODCH: from register access to bank access and back.
        nFAW: window of four activations; counts where a run asks for it.
        nRFC: refresh of all banks; counts where a run asks for it.
        nREFI: from one refresh to the next; counts where a run asks for it.
    """

    tCK_ps: Positive
    nBL: Positive
    nCL: Positive
    nCWL: Positive
    nCCDS: Positive
    nCCDL: Positive
    nRCDRD: Cycles
    nRCDWR: Cycles
    nRCDRDMAC: Cycles
    nRCDRDCP: Cycles
    nRCDWRCP: Cycles
    nRCDRDAF: Cycles
    nRCDEWMUL: Cycles
    nRP: Positive
    nRAS: Positive
    nRC: Positive
    nWR: Cycles
    nRTP: Cycles
    nRRDS: Cycles
    nRRDL: Cycles
    nWTRS: Cycles
    nWTRL: Cycles
    nCLREG: Cycles
    nCWLREG: Cycles
    nCWLGB: Cycles
    nRTW: Cycles
    nWPRE: Cycles
    nMODCH: Positive
    nFAW: Positive
    nRFC: Positive
    nREFI: Positive

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.nRC < self.nRAS:
            raise ValueError(
                f"nRC = {self.nRC} is below nRAS = {self.nRAS}: a row cycle holds the row's opening; write at least "
                f"{self.nRAS}, usually nRAS + nRP = {self.nRAS + self.nRP}"
            )
        if self.nREFI <= self.nRFC:
            raise ValueError(f"nREFI = {self.nREFI} leaves no time between refreshes of nRFC = {self.nRFC} cycles")
        return self


class AimController(Figures):
    """The queues between the command decoder and a channel.

    Attributes:
        queue: requests that wait at a channel, of each kind.
        write_high: share of the write queue above which writes go before reads.
        write_low: share below which reads go before writes again.
    """

    queue: Count
    write_high: Annotated[float, Field(gt=0, le=1)]
    write_low: Annotated[float, Field(ge=0, lt=1)]


class AimPower(Figures):
    """Power of one channel, and the times for which commands draw it.

    Attributes:
        active_standby_w: some row is open.
        precharge_standby_w: all rows are closed.
        activate_w: what one bank's activation and precharge draw for `row_cycle_s`.
        read_w: what a read draws for `burst_s`.
        write_w: what a write draws for `burst_s`.
        mac_reads: reads whose power an all-bank multiply-accumulate draws for `mac_s`.
        interface_j_per_byte: data pins.
        global_buffer_read_w: for one cycle.
        global_buffer_write_w: for one cycle.
        global_buffer_static_w: all the time.
        request_w: the controller, for one cycle of each request.
        command_w: its interface to the DRAM, for one cycle of each command.
        link_j_per_byte: PCIe or CXL to the host.
        refresh_rows: rows of every bank that one refresh opens.
    """

    active_standby_w: Power = Field(alias="active_standby")
    precharge_standby_w: Power = Field(alias="precharge_standby")
    activate_w: Power = Field(alias="activate")
    read_w: Power = Field(alias="read")
    write_w: Power = Field(alias="write")
    mac_reads: float = Field(gt=0)
    row_cycle_s: Time = Field(alias="row_cycle")
    burst_s: Time = Field(alias="burst")
    mac_s: Time = Field(alias="mac")
    interface_j_per_byte: EnergyPerByte = Field(alias="interface")
    global_buffer_read_w: Power = Field(alias="global_buffer_read")
    global_buffer_write_w: Power = Field(alias="global_buffer_write")
    global_buffer_static_w: Power = Field(alias="global_buffer_static")
    request_w: Power = Field(alias="request")
    command_w: Power = Field(alias="command")
    link_j_per_byte: EnergyPerByte = Field(alias="link")
    refresh_rows: Count


DESCRIPTIVE = frozenset({"organization.channels", "organization.accumulators"})
"""Figures that explain others: channels of a package, whose number a system gives, and results that a unit holds."""


class AimPart(Description):
    """One package of GDDR6-AiM."""

    name: Name
    family: Literal["gddr6-aim"]
    generation: str
    organization: AimOrganization
    timing: AimTiming
    controller: AimController
    power: AimPower
    published: tuple[Published, ...] = ()

    @property
    def flops_per_s(self) -> float:
        """Arithmetic of one package: every lane of every bank a multiply-accumulate, 2 FLOP, per column command."""
        o = self.organization
        return o.channels * o.banks_per_channel * o.lanes * 2 / self._seconds(self.timing.nCCDL)

    @property
    def internal_bytes_per_s(self) -> float:
        """What the units of one package read from their banks."""
        o = self.organization
        return o.channels * o.banks_per_channel * o.access_bytes / self._seconds(self.timing.nCCDL)

    @property
    def external_bytes_per_s(self) -> float:
        """What the pins of one package carry: an access of each channel per `nBL`."""
        return self.organization.channels * self.organization.access_bytes / self._seconds(self.timing.nBL)

    @property
    def capacity_bytes(self) -> float:
        """Banks of one package."""
        return float(self.organization.channels * self.organization.channel_bytes)

    def _seconds(self, cycles: int) -> float:
        return cycles * self.timing.tCK_ps / PS_PER_S
