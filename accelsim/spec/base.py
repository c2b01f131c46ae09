"""The common part of every description: strictness, provenance and quantities with units."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from accelsim import units

Status = Literal["datasheet", "measured", "derived", "assumed"]
"""How far a number can be trusted: printed by the maker, measured, computed from such figures, or assumed."""

STATUSES: tuple[str, ...] = get_args(Status)


class Record(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sourced(Record):
    """A table of figures that says where they come from.

    `notes` may explain a figure that the source does not settle.
    """

    source: str = Field(min_length=3, description="where the figures of this table come from")
    status: Status = Field(description="datasheet, measured, derived or assumed")
    notes: str = ""


def _quantity(unit: str, *, zero: bool = False) -> Any:
    """An annotated float that reads text with a unit and must be positive (or zero, if allowed)."""

    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            try:
                return units.parse(value, unit)
            except units.UnitError as error:
                raise ValueError(str(error)) from None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected a quantity as text, for example {units.example(unit)!r}")
        if (info.context or {}).get("si"):
            return float(value)
        raise ValueError(f"has no unit: write it as text with one, for example {units.example(unit)!r}")

    bound = Field(ge=0) if zero else Field(gt=0)
    schema = {"type": "string", "description": f"a quantity in {unit}", "examples": [units.example(unit)]}
    return Annotated[float, BeforeValidator(read), bound, WithJsonSchema(schema)]


Bandwidth = _quantity("B/s")
Size = _quantity("B")
Frequency = _quantity("Hz")
Time = _quantity("s", zero=True)
Power = _quantity("W")
BytesPerClock = _quantity("B/clk")
FlopsPerClock = _quantity("FLOP/clk")
OpsPerClock = _quantity("op/clk")
EnergyPerByte = _quantity("J/B", zero=True)
EnergyPerFlop = _quantity("J/FLOP", zero=True)
EnergyPerOp = _quantity("J/op", zero=True)
Area = _quantity("m2")
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
