"""A system: how many of one part stand beside which host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from accelsim.spec.base import Count, Description, Name


class System(Description):
    """Equal parts beside a host chip.

    Attributes:
        name: also the file's stem.
        part: name of the description of one part.
        count: how many units of the part: channels of GDDR6-AiM, pseudo-channels of HBM-PIM, DIMMs of UPMEM.
        reference_clock: the clock of the part whose cycles results are told in.
        host: name of the chip that sends commands and does what the parts cannot.
        changes: figures of the part, by dotted key, that are others in this system.
    """

    name: Name
    family: Literal["system"]
    part: Name
    count: Count
    reference_clock: Literal["tCK", "logic"]
    host: Name
    changes: dict[str, Any] = Field(default_factory=dict)

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same system with other values; keys that it does not have itself are figures of its part."""
        given = {**(overrides or {}), **more}
        own = {key: value for key, value in given.items() if key.split(".")[0] in type(self).model_fields}
        rest = {key: value for key, value in given.items() if key not in own}
        return super().with_({**own, "changes": {**self.changes, **rest}} if rest else own)

    def __hash__(self) -> int:
        return hash((self.name, self.part, self.count, self.host, tuple(self.changes)))
