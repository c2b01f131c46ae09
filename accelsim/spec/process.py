"""A manufacturing process as its description gives it: density, price of a wafer, and how large parts of a die are.

`Node` has what an operation costs at a feature size; this is what a foundry sells, which dies are made of.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from accelsim.spec.base import Area, Description, Name
from accelsim.spec.figures import Figures


class Logic(Figures):
    """Standard cells.

    Attributes:
        density_mtr_per_mm2: million transistors in a square millimetre of NAND gates and flip-flops, 0.6 to 0.4.
    """

    density_mtr_per_mm2: float = Field(gt=0, alias="density")


class Cell(Figures):
    """Static memory.

    Attributes:
        cell_m2: area of the high-density cell of six transistors, one bit.
    """

    cell_m2: Area = Field(alias="cell")


class Wafer(Figures):
    """What a wafer of 300 mm costs and yields.

    Attributes:
        price_usd: of a processed wafer, foundry's margin included.
        defects_per_cm2: that kill a die.
    """

    price_usd: float = Field(gt=0, alias="price")
    defects_per_cm2: float = Field(ge=0, alias="defects")


class Parts(Figures):
    """Areas of parts of a die on this process, from which other processes scale.

    Attributes:
        utilization: area of cells in that of a placed and routed block.
        register_efficiency: area of memory cells in that of a register file.
        local_efficiency: the same in a cache or shared memory of one SM.
        l2_efficiency: the same in the last-level cache, tags, controllers and wires to it included.
        issue_m2: of one issue port: scheduler, dispatch, operand collection, addresses, texture and special units.
        network_m2: of the network between SMs and L2, for each byte per clock of an SM's port.
        hbm_phy_m2, hbm_controller_m2: of one HBM stack of 1,024 bits.
        gddr_phy_m2, gddr_controller_m2: of 32 bits of GDDR.
        link_phy_m2, link_controller_m2: of links to other chips, for each GB/s of one direction.
        pcie_phy_m2, pcie_controller_m2: of one lane of PCIe 4.
    """

    utilization: float = Field(gt=0, le=1)
    register_efficiency: float = Field(gt=0, le=1)
    local_efficiency: float = Field(gt=0, le=1)
    l2_efficiency: float = Field(gt=0, le=1)
    issue_m2: Area = Field(alias="issue")
    network_m2: Area = Field(alias="network")
    hbm_phy_m2: Area = Field(alias="hbm_phy")
    hbm_controller_m2: Area = Field(alias="hbm_controller")
    gddr_phy_m2: Area = Field(alias="gddr_phy")
    gddr_controller_m2: Area = Field(alias="gddr_controller")
    link_phy_m2: Area = Field(alias="link_phy")
    link_controller_m2: Area = Field(alias="link_controller")
    pcie_phy_m2: Area = Field(alias="pcie_phy")
    pcie_controller_m2: Area = Field(alias="pcie_controller")


class Process(Description):
    """A process of a foundry.

    Attributes:
        name: such as `tsmc-n7`; also the file's stem.
        node: the node of `arch/nodes` whose cells arithmetic is counted in.
        logic: density of logic.
        sram: its memory cell.
        wafer: price and defects.
        parts: areas of parts, on the process that they are known for.
        scales_from: the process whose `parts` are scaled to this one.
    """

    name: Name
    node: Name = "7nm"
    logic: Logic
    sram: Cell
    wafer: Wafer
    parts: Parts | None = None
    scales_from: Name | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Process:
        if (self.parts is None) == (self.scales_from is None):
            raise ValueError("a process has parts of its own, or scales_from another, and not both")
        return self
