"""What is on the die of a chip, sold or not: enough to say how large it is."""

from __future__ import annotations

from pydantic import Field

from accelsim.spec.base import Area, Bandwidth, Count, Name, Size
from accelsim.spec.figures import Figures


class Die(Figures):
    """The die that a chip is cut from, beyond what the chip is sold with.

    Attributes:
        process: of the foundry, of `arch/processes`.
        spare_sms: SMs on the die that this chip does not use.
        spare_l2_bytes: the same for the last-level cache.
        spare_interfaces: the same for HBM stacks, or 32-bit channels of GDDR.
        issue_ports: warp schedulers of one SM, or SIMD units.
        lanes_fp32, lanes_fp64, lanes_int32: lanes of one SM; one that does two kinds is counted for both.
        local_bytes: L1 and shared memory of one SM, all of it.
        links_bytes_per_s: links to other chips on the die, one direction, PCIe left out.
        pcie_lanes: of the host's link.
    """

    process: Name
    spare_sms: int = Field(default=0, ge=0)
    spare_l2_bytes: Size | None = Field(default=None, alias="spare_l2")
    spare_interfaces: int = Field(default=0, ge=0)
    issue_ports: Count
    lanes_fp32: int = Field(ge=0)
    lanes_fp64: int = Field(ge=0)
    lanes_int32: int = Field(ge=0)
    local_bytes: Size = Field(alias="local")
    links_bytes_per_s: Bandwidth | None = Field(default=None, alias="links")
    pcie_lanes: Count = 16


class PublishedDie(Figures):
    """A die whose area is known as a whole; its parts are not counted.

    Attributes:
        process: of the foundry, of `arch/processes`.
        area_m2: published.
    """

    process: Name
    area_m2: Area = Field(alias="area")
