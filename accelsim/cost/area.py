"""How large the die of a chip is, part by part.

Arithmetic is counted in cells (`accelsim.cost.gates`), memories in bits, the rest in what makes it large: issue ports,
bytes per clock into the network, stacks and channels of memory, GB/s of links. What a unit of each takes is known for
one process (`Parts` of its description); logic scales to others by the density of logic, memories by their cell, PHYs
do not scale. There is one set of constants for all dies, and none for what is left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from accelsim import catalog
from accelsim.cost import gates, model
from accelsim.cost.arithmetic import accumulator, float_adder, float_multiplier, multiply_accumulate
from accelsim.cost.fit import fit
from accelsim.cost.operand import operand
from accelsim.cost.terms import Style
from accelsim.errors import RequestError
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip
from accelsim.spec.node import Node
from accelsim.spec.process import Parts, Process
from accelsim.spec.tsp import TspPart

PARTS: Final = (
    "arithmetic", "registers", "local memory", "issue", "network", "L2", "memory PHY", "memory controller", "link PHY",
    "link controller", "PCIe",
)  # fmt: skip
"""Names of the parts, the first four of which are in SMs."""
CORES: Final = PARTS[:4]
_FACTORS_FROM: Final = "45nm"
_PCIE: Final = {"pcie3": 1.0, "pcie4": 1.0, "pcie5": 0.64 / 0.48}
_STACK_BITS, _CHANNEL_BITS = 1024, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is on a die.

    Attributes:
        process: of the foundry.
        sms: SMs, or compute units.
        macs: multiply-adds of the matrix unit of one SM, by format of the operands.
        lanes_fp32, lanes_fp64, lanes_int32: vector lanes of one SM.
        issue_ports: schedulers of one SM, or SIMD units.
        register_bytes: of one SM.
        local_bytes: L1 and shared memory of one SM.
        port_bytes_per_clock: of one SM into the network.
        l2_bytes: last-level cache.
        stacks: HBM interfaces of 1,024 bits.
        channels: GDDR channels of 32 bits.
        links_bytes_per_s: links to other chips, one direction.
        pcie: name of the host's link, such as `pcie4`.
        pcie_lanes: of it.
    """

    process: Process
    sms: int
    macs: Mapping[str, float]
    lanes_fp32: int
    lanes_fp64: int
    lanes_int32: int
    issue_ports: int
    register_bytes: float
    local_bytes: float
    port_bytes_per_clock: float
    l2_bytes: float
    stacks: float = 0
    channels: float = 0
    links_bytes_per_s: float = 0
    pcie: str = "pcie4"
    pcie_lanes: int = 16


@dataclass(frozen=True, slots=True)
class DieArea:
    """A die and its parts.

    Attributes:
        process: of the foundry.
        parts_m2: areas by the names of `PARTS`; of a die that is published as a whole, that alone, as "die".
    """

    process: Process
    parts_m2: Mapping[str, float]

    @property
    def total_m2(self) -> float:
        """The whole die."""
        return sum(self.parts_m2.values())

    @property
    def cores_m2(self) -> float:
        """All SMs."""
        return sum(self.parts_m2.get(name, 0.0) for name in CORES)


def of(chip: Chip | str) -> DieArea:
    """The area of a chip's die, or of one chip of a system; spare SMs, cache and interfaces of the die included.

    Raises:
        RequestError: a chip whose description has no `[die]`.
    """
    record = catalog.chip(chip) if isinstance(chip, str) else chip
    if isinstance(record, ModelSystem):
        record = catalog.part(record)
    if isinstance(record, TspPart) and record.die is not None:
        return DieArea(catalog.process(record.die.process), {"die": record.die.area_m2})
    return area(inventory(record))


def inventory(chip: Chip | str) -> Inventory:
    """What is on the die that a chip is cut from.

    Raises:
        RequestError: a chip whose description has no `[die]`.
    """
    record = catalog.chip(chip) if isinstance(chip, str) else chip
    if not isinstance(record, GpuChip) or record.die is None:
        raise RequestError(
            f"{record.name}: its description has no [die] (process, issue_ports, lanes, spare parts), from which areas "
            "follow; try a100-sxm-80gb, h100-sxm, groq-tsp or another chip of one die"
        )
    die, memory = record.die, record.memory
    bits = memory.stacks * memory.pins
    hbm = memory.standard.startswith("hbm")
    interfaces = bits / (_STACK_BITS if hbm else _CHANNEL_BITS) + die.spare_interfaces
    host = next((link.name for link in record.link if link.name in _PCIE), "pcie4")
    return Inventory(
        process=catalog.process(die.process),
        sms=record.sm.count + die.spare_sms,
        macs=_macs(record),
        lanes_fp32=die.lanes_fp32,
        lanes_fp64=die.lanes_fp64,
        lanes_int32=die.lanes_int32,
        issue_ports=die.issue_ports,
        register_bytes=record.sm.registers_bytes,
        local_bytes=die.local_bytes,
        port_bytes_per_clock=record.sm.l2_port_bytes_per_clock,
        l2_bytes=record.l2.capacity_bytes + (die.spare_l2_bytes or 0.0),
        stacks=interfaces if hbm else 0,
        channels=0 if hbm else interfaces,
        links_bytes_per_s=die.links_bytes_per_s or 0.0,
        pcie=host,
        pcie_lanes=die.pcie_lanes,
    )


def area(die: Inventory) -> DieArea:
    """The areas of a die's parts."""
    process, parts = die.process, parts_of(die.process)
    logic, _ = scales(process)
    per_sm = {
        "arithmetic": arithmetic_m2(die) / parts.utilization * logic,
        "registers": die.register_bytes * 8 * process.sram.cell_m2 / parts.register_efficiency,
        "local memory": die.local_bytes * 8 * process.sram.cell_m2 / parts.local_efficiency,
        "issue": die.issue_ports * parts.issue_m2 * logic,
    }
    links = die.links_bytes_per_s / 1e9
    lanes = die.pcie_lanes * _PCIE[die.pcie]
    return DieArea(
        process,
        {name: value * die.sms for name, value in per_sm.items()}
        | {
            "network": die.sms * die.port_bytes_per_clock * parts.network_m2 * logic,
            "L2": die.l2_bytes * 8 * process.sram.cell_m2 / parts.l2_efficiency,
            "memory PHY": die.stacks * parts.hbm_phy_m2 + die.channels * parts.gddr_phy_m2,
            "memory controller": (
                die.stacks * parts.hbm_controller_m2 + die.channels * parts.gddr_controller_m2
            ) * logic,
            "link PHY": links * parts.link_phy_m2,
            "link controller": links * parts.link_controller_m2 * logic,
            "PCIe": lanes * (parts.pcie_phy_m2 + parts.pcie_controller_m2 * logic),
        },
    )  # fmt: skip


def parts_of(process: Process) -> Parts:
    """Areas of parts, on the process that they are known for."""
    found = process if process.scales_from is None else catalog.process(process.scales_from)
    if found.parts is None:
        raise RequestError(f"process {process.name}: scales_from names {found.name}, which has no parts of its own")
    return found.parts


def scales(process: Process) -> tuple[float, float]:
    """Area of logic, and of a memory cell, over those on the process whose parts are known."""
    if process.scales_from is None:
        return 1.0, 1.0
    known = catalog.process(process.scales_from)
    logic = known.logic.density_mtr_per_mm2 / process.logic.density_mtr_per_mm2
    return logic, process.sram.cell_m2 / known.sram.cell_m2


def arithmetic_m2(die: Inventory) -> float:
    """Cells of the matrix unit and the lanes of one SM, on the node of the process whose parts are known."""
    node = catalog.node(die.process.node)
    matrix = sum(count * mac_m2(name, node) for name, count in die.macs.items())
    lanes = die.lanes_fp32 * _float_lane_m2(24, 8, node) + die.lanes_fp64 * _float_lane_m2(53, 11, node)
    integer = gates.multiplier(32, 32) + gates.adder(32)
    return matrix + lanes + die.lanes_int32 * integer.area_m2(node.cells)


@cache
def mac_m2(format_: str, node: Node) -> float:
    """A multiply-add of a matrix unit: products in groups of 16, aligned and added once, into fp32."""
    record = catalog.format_(format_)
    form = operand(record)
    into = accumulator("int32" if model.natural_accumulator(record, record) == "int32" else "dot16")
    factor = _factors(node)
    return sum(
        term.gates.area_m2(node.cells) * factor[term.style] / term.per for term in multiply_accumulate(form, form, into)
    )


def _float_lane_m2(significand: int, exponent: int, node: Node) -> float:
    factor = _factors(node)
    product, total = float_multiplier(significand, exponent), float_adder(significand, exponent)
    return product.area_m2(node.cells) * factor["multiply"] + total.area_m2(node.cells) * factor["add"]


def _factors(node: Node) -> dict[Style, float]:
    """Area of floating-point units over that of their cells: the node's, or those of 45 nm, which alone has them."""
    own = fit(node).area_factor
    return own if "multiply" in own else fit(catalog.node(_FACTORS_FROM)).area_factor


def _macs(chip: GpuChip) -> dict[str, float]:
    """Multiply-adds of the matrix unit per SM and clock in 16 bits; narrower formats use the same cells."""
    rows = {
        row.operands[0]: row.flops_per_clock / 2
        for row in chip.peak
        if row.sparsity == "dense" and row.operands[0] == row.operands[1]
    }
    wide = [name for name in ("fp16", "bf16") if name in rows]
    return {wide[0]: rows[wide[0]]} if wide else {}
