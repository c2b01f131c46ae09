"""A process node as its description gives it: what basic operations cost there, and how large its cells are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from accelsim.spec.base import Area, Description, EnergyPerByte, EnergyPerOp, Name, Size, Sourced
from accelsim.spec.figures import Figures

OperationName = Literal["add", "multiply"]


class Operation(Figures):
    """What one operation of one format costs in a unit of its own, result rounded to the same format.

    Attributes:
        name: add or multiply.
        format: name of the format of both operands.
        energy_j: energy of one operation.
        area_m2: area of the unit; absent where no source has it.
    """

    name: OperationName
    format: Name
    energy_j: EnergyPerOp = Field(alias="energy")
    area_m2: Area | None = Field(default=None, alias="area")


class Cells(Figures):
    """Areas of standard cells, from which larger structures are added up.

    Attributes:
        full_adder_m2: sum and carry of three bits.
        half_adder_m2: sum and carry of two bits.
        mux_m2: one of two bits.
        xor_m2: exclusive or of two bits.
        and_m2: any simple gate of two inputs.
    """

    full_adder_m2: Area = Field(alias="full_adder")
    half_adder_m2: Area = Field(alias="half_adder")
    mux_m2: Area = Field(alias="mux")
    xor_m2: Area = Field(alias="xor")
    and_m2: Area = Field(alias="and")


class Sram(Sourced):
    """Energy of reading a small on-chip memory.

    Attributes:
        capacity_bytes: size of the memory.
        energy_per_byte: joules per byte read.
    """

    capacity_bytes: Size = Field(alias="capacity")
    energy_per_byte: EnergyPerByte = Field(alias="energy")


class Node(Description):
    """A process node.

    Attributes:
        name: such as `7nm`; also the file's stem.
        feature_nm: its name as a number, for sorting and for saying how far two nodes are apart.
        cells: areas of its cells.
        operation: costs of basic operations.
        sram: energies of small memories, descriptive.
    """

    name: Name
    feature_nm: float = Field(gt=0)
    cells: Cells
    operation: tuple[Operation, ...] = Field(min_length=1)
    sram: tuple[Sram, ...] = ()

    def find(self, name: OperationName, format_: str) -> Operation | None:
        """The figures of one operation of one format, if the node has them."""
        return next((row for row in self.operation if (row.name, row.format) == (name, format_)), None)

    @model_validator(mode="after")
    def _complete(self) -> Node:
        keys = [(row.name, row.format) for row in self.operation]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice:
            raise ValueError(f"{twice[0]} of {twice[1]} is described twice")
        needed = [("add", "int8"), ("multiply", "int8"), ("add", "fp16"), ("multiply", "fp16")]
        missing = [f"{name} of {format_}" for name, format_ in needed if (name, format_) not in keys]
        if missing:
            raise ValueError(f"costs are fitted to integers and fp16; missing: {', '.join(missing)}")
        return self
