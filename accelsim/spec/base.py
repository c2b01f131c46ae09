"""The common part of every description: strictness, provenance and quantities with units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import core_schema

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


def plain(value: object) -> object:
    """A number of numpy, such as a cell of a frame, as Python's own; anything else as it is."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


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
                SI; text carries its unit. Numbers of numpy are as good as Python's.
            more: further top-level keys.

        Raises:
            UnknownNameError: a key that the description does not have.
            DescriptionError: a value that is not allowed.
        """
        from accelsim.spec import read  # it reads these records, so that it stands above this module

        given = {key: plain(value) for key, value in {**(overrides or {}), **more}.items()}
        raw = read.apply(self._raw, given, type(self))
        return read.validate(type(self), raw, origin=f"{self._raw.get('name', 'record')} with overrides", si=True)

    def __eq__(self, other: object) -> bool:
        """Equal figures make equal records, however they were spelt."""
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a float that is written as text with a unit and must be positive (or zero, where that is allowed).

    Attributes:
        unit: the canonical unit, one of `units.CANONICAL`.
        zero: whether zero is allowed.
    """

    unit: str
    zero: bool = False

    def read(self, value: object, info: ValidationInfo) -> object:
        """The value in the canonical unit; plain numbers pass where the context says `si`."""
        if isinstance(value, str):
            try:
                return units.parse(value, self.unit)
            except UnitError as error:
                raise ValueError(str(error)) from None
        wanted = f'expected {units.meaning(self.unit)} as text, for example "{units.example(self.unit)}"'
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(wanted)
        if (info.context or {}).get("si"):
            return value
        raise ValueError(f"has no unit: {wanted}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        positive = core_schema.float_schema(gt=None if self.zero else 0, ge=0 if self.zero else None, strict=True)
        return core_schema.with_info_before_validator_function(self.read, positive)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": units.meaning(self.unit), "examples": [units.example(self.unit)]}


Bandwidth = Annotated[float, Quantity("B/s")]
Size = Annotated[float, Quantity("B")]
Frequency = Annotated[float, Quantity("Hz")]
Time = Annotated[float, Quantity("s", zero=True)]
Power = Annotated[float, Quantity("W")]
BytesPerClock = Annotated[float, Quantity("B/clk")]
FlopsPerClock = Annotated[float, Quantity("FLOP/clk")]
OpsPerClock = Annotated[float, Quantity("op/clk")]
FlopRate = Annotated[float, Quantity("FLOP/s")]
OpRate = Annotated[float, Quantity("op/s")]
EnergyPerByte = Annotated[float, Quantity("J/B", zero=True)]
EnergyPerFlop = Annotated[float, Quantity("J/FLOP", zero=True)]
EnergyPerOp = Annotated[float, Quantity("J/op", zero=True)]
Area = Annotated[float, Quantity("m2")]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


def powers_of_two(record: Record, keys: Iterable[str]) -> None:
    """Refuse sizes that addresses cannot be cut into.

    Raises:
        ValueError: the first of these fields that is not a power of two.
    """
    for key in keys:
        value = int(getattr(record, key))
        if value & (value - 1):
            name = type(record).model_fields[key].alias or key
            raise ValueError(f"{name} = {value} is not a power of two, which addresses need: 1, 2, 4, 8, ...")
