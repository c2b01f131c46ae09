"""The common part of every description: strictness, provenance and quantities with units."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from accelsim import units
from accelsim.errors import UnitError

Status = Literal["datasheet", "measured", "derived", "assumed"]
"""How far a number can be trusted: printed by the maker, measured, computed from such figures, or assumed."""

STATUSES: tuple[str, ...] = get_args(Status)


class Record(BaseModel):
    """A frozen record that refuses unknown keys and takes no value for another type's (no "132" for 132)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, data: Any) -> Any:
        # strict records hold tuples, TOML and JSON give lists
        if isinstance(data, Mapping):
            return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return data


class Sourced(Record):
    """A table of figures that says where they come from.

    `notes` may explain a figure that the source does not settle.
    """

    source: str = Field(min_length=3, description="where the figures of this table come from")
    status: Status = Field(description="datasheet, measured, derived or assumed")
    notes: str = ""


class Description(Sourced):
    """A whole description: a record that remembers the keys it was read from, so that they can be overridden."""

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        record = handler(data)
        if isinstance(data, Mapping):
            record._raw = deepcopy(dict(data))
        return record

    @property
    def raw(self) -> dict[str, Any]:
        """The description as nested keys, in the user's spelling and with units; a copy."""
        return deepcopy(self._raw)

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same record with other values for some keys; its name stays.

        Args:
            overrides: dotted keys as in the file (`memory.bandwidth`, `peak.0.rate`). Plain numbers are
                SI; text carries its unit.
            more: further top-level keys.

        Raises:
            UnknownNameError: a key that the description does not have.
            DescriptionError: a value that is not allowed.
        """
        from accelsim.spec import read  # it reads these records, so that it stands above this module

        raw = read.apply(self._raw, {**(overrides or {}), **more}, type(self))
        return read.validate(type(self), raw, origin=f"{self._raw.get('name', 'record')} with overrides", si=True)

    def __eq__(self, other: object) -> bool:
        """Equal figures make equal records, however they were spelt."""
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a field that is written with a unit; `unit` is the canonical one."""

    unit: str


def _quantity(unit: str, *, zero: bool = False) -> Any:
    """An annotated float that reads text with a unit and must be positive (or zero, if allowed)."""

    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            try:
                return units.parse(value, unit)
            except UnitError as error:
                raise ValueError(str(error)) from None
        wanted = f'for example "{units.example(unit)}"'
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected {units.meaning(unit)} as text, {wanted}")
        if (info.context or {}).get("si"):
            return value
        raise ValueError(f"has no unit: expected {units.meaning(unit)} as text, {wanted}")

    bound = Field(ge=0) if zero else Field(gt=0)
    schema: dict[str, Any] = {
        "type": "string",
        "description": units.meaning(unit),
        "examples": [units.example(unit)],
    }
    return Annotated[float, BeforeValidator(read), bound, WithJsonSchema(schema), Quantity(unit)]


Bandwidth = _quantity("B/s")
Size = _quantity("B")
Frequency = _quantity("Hz")
Time = _quantity("s", zero=True)
Power = _quantity("W")
BytesPerClock = _quantity("B/clk")
FlopsPerClock = _quantity("FLOP/clk")
OpsPerClock = _quantity("op/clk")
FlopRate = _quantity("FLOP/s")
OpRate = _quantity("op/s")
EnergyPerByte = _quantity("J/B", zero=True)
EnergyPerFlop = _quantity("J/FLOP", zero=True)
EnergyPerOp = _quantity("J/op", zero=True)
Area = _quantity("m2")
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
