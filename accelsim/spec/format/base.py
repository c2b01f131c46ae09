"""What every number format is to the simulator: a name, the bits of a code, and the bits stored per element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from accelsim.errors import AccelsimError
from accelsim.spec.base import Description, Name

Lookup = Callable[[str], "Format"]
"""Finds the record of a format by its name, or raises an AccelsimError."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What stands behind one stored element, as far as software cares that packs and unpacks it.

    Attributes:
        element: the format of its code; None where that has no name of its own.
        scales: products with a scale, or differences to a zero point, before the element can be added to its
            neighbours; a scale of the whole tensor or channel is applied to sums and does not count.
        outliers: share of elements that need a second way of decoding.
    """

    element: Format | None
    scales: int = 0
    outliers: float = 0.0


class Format(Description):
    """A storage format; `kind` selects the record, one class per kind.

    Attributes:
        name: the field's own word in snake_case, such as `fp8_e4m3` or `mxfp4`.
        kind: which record this is; also the folder of its file and the names of its modules in `numerics`.
        scaled: whether encoding yields scales, indices or anything else beside one code per element.
        bits: bits of one element's code.
        bits_per_element: bits stored per element, scales included; the limit for a long tensor.
        block: elements that share one scale; 1 where there is none, or one for a whole tensor or channel.
    """

    scaled: ClassVar[bool] = False

    name: Name
    kind: str

    if TYPE_CHECKING:  # a field in some kinds, derived in others

        @property
        def bits(self) -> int:
            """Bits of one element's code."""
            raise AttributeError

    @property
    def bits_per_element(self) -> float:
        """Bits stored per element of a long tensor, scales included."""
        return float(self.bits)

    @property
    def bytes_per_element(self) -> float:
        """Bytes stored per element, scales included."""
        return self.bits_per_element / 8

    @property
    def block(self) -> int:
        """Elements that share one scale; 1 where there is none, or one for a whole tensor or channel."""
        return 1

    @property
    def structure(self) -> Structure:
        """The element, and what is done with it after it was decoded."""
        return Structure(self)

    def definition(self) -> dict[str, Any]:
        """What makes this format differ from others: all keys but its name and where they come from.

        Two formats with equal definitions are one format under two names. Formats that it names are given
        by their own definitions.
        """
        return {
            key: _definition(getattr(self, key))
            for key in type(self).model_fields
            if key not in ("name", "source", "status", "notes")
        }

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same format with other values for some keys; see `Description.with_`.

        Formats that it names may be replaced by any that need no file; `catalog.format_` takes all names.
        """
        from accelsim.spec import read  # it reads these records, so that it stands above this module
        from accelsim.spec.format.names import from_name

        own: dict[str, Format] = {}
        for key, value in self._raw.items():
            for spelt, record in zip(_several(value), _several(getattr(self, key, None)), strict=False):
                if isinstance(spelt, str) and isinstance(record, Format):
                    own[spelt] = record
        raw = read.apply(self._raw, {**(overrides or {}), **more}, type(self))
        origin = f"{self.name} with overrides"
        return read.validate(
            type(self), raw, origin=origin, si=True, formats=lambda name: own.get(name) or from_name(name)
        )


def _several(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _definition(value: object) -> object:
    if isinstance(value, Format):
        return value.definition()
    return [_definition(item) for item in value] if isinstance(value, tuple) else value


def _refer(value: object, info: ValidationInfo) -> object:
    if isinstance(value, Format):
        return value
    if not isinstance(value, str):
        raise ValueError('must be the name of a format, such as "fp4_e2m1"')
    from accelsim.spec.format.names import from_name  # names makes records of all kinds, this one's too

    lookup: Lookup = (info.context or {}).get("formats") or from_name
    try:
        return lookup(value)
    except AccelsimError as error:
        raise ValueError(" ".join(str(error).split())) from None


Reference = Annotated[
    Format,
    BeforeValidator(_refer),
    PlainSerializer(lambda record: record.name, return_type=str),
    WithJsonSchema({"type": "string", "description": "name of a format", "examples": ["fp4_e2m1"]}),
]
"""Another format, written as its name."""

Bits = Annotated[int, Field(ge=1, le=64)]
Length = Annotated[int, Field(ge=1, le=1 << 30, description="elements")]


def bare(record: Format, role: str) -> Format:
    """A format that has a code per element and nothing beside it, as elements and scales must be.

    Raises:
        ValueError: the format carries scales of its own.
    """
    if record.scaled:
        raise ValueError(f"{role} {record.name!r} carries scales of its own: name a format without, such as fp4_e2m1")
    return record
