"""Energy of DRAM commands: from data-sheet currents, or from energies per bit of each part."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from accelsim.spec.base import EnergyPerByte, Power, Quantity, Sourced

Voltage = Annotated[float, Quantity("V")]
Current = Annotated[float, Quantity("A")]


class Currents(Sourced):
    """Supply voltage and currents of one device, by their JEDEC names.

    Energy of a command is what it draws above standby, times the devices of a rank:
    ACT with its PRE: VDD (IDD0 tRC - IDD3N tRAS - IDD2N tRP); RD: VDD (IDD4R - IDD3N) tBL; WR with IDD4W;
    REF: VDD (IDD5AB - IDD3N) tRFC; REFpb with IDD5PB and tRFCpb. Standby: VDD IDD3N while a bank is open, else
    VDD IDD2N. Source of the formulas: DRAMsim3 2981759, configuration.cc.

    Attributes:
        cycle_ns: nanoseconds for which a clock cycle is counted here, where a reference does not use tCK.
    """

    vdd_v: Voltage = Field(alias="VDD")
    idd0_a: Current = Field(alias="IDD0")
    idd2n_a: Current = Field(alias="IDD2N")
    idd3n_a: Current = Field(alias="IDD3N")
    idd4r_a: Current = Field(alias="IDD4R")
    idd4w_a: Current = Field(alias="IDD4W")
    idd5ab_a: Current = Field(alias="IDD5AB")
    idd5pb_a: Current | None = Field(default=None, alias="IDD5PB")
    interface_j_per_byte: EnergyPerByte = Field(alias="interface")
    cycle_ns: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _above_standby(self) -> Currents:
        for name, current in (("IDD4R", self.idd4r_a), ("IDD4W", self.idd4w_a), ("IDD5AB", self.idd5ab_a)):
            if current < self.idd3n_a:
                raise ValueError(f"{name} is below the active standby current IDD3N: it includes it")
        return self


class Components(Sourced):
    """Energies of the parts that a bit passes, per bit or byte moved; activation per bit of the whole row.

    A refresh command refreshes rows / 8192 of every bank that it addresses, at the energy of an activation each.

    Attributes:
        standby_w: power of one rank (of a pseudo-channel) without commands.
    """

    activate_j_per_byte: EnergyPerByte = Field(alias="activate")
    array_j_per_byte: EnergyPerByte = Field(alias="array")
    bank_to_group_j_per_byte: EnergyPerByte = Field(alias="bank_to_group")
    group_to_io_j_per_byte: EnergyPerByte = Field(alias="group_to_io")
    tsv_j_per_byte: EnergyPerByte = Field(alias="tsv")
    interface_j_per_byte: EnergyPerByte = Field(alias="interface")
    standby_w: Power = Field(alias="standby")


class Energy(Sourced):
    """Energy of a memory: one of the two accounts.

    Attributes:
        currents: IDD values.
        components: energies per bit.
    """

    currents: Currents | None = None
    components: Components | None = None

    @model_validator(mode="after")
    def _one(self) -> Energy:
        if (self.currents is None) == (self.components is None):
            raise ValueError("give either [energy.currents] or [energy.components]")
        return self
