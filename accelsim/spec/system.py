"""A system: how many of one part stand beside which host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from accelsim.spec.assembly import Assembly
from accelsim.spec.base import Count, Name, Size
from accelsim.spec.device import Native


class System(Assembly):
    """Equal parts beside a host chip.

    Attributes:
        name: also the file's stem.
        part: name of the description of one part.
        count: how many units of the part: channels of GDDR6-AiM, pseudo-channels of HBM-PIM, DIMMs of UPMEM.
        reference_clock: the clock of the part whose cycles results are told in.
        host: name of the chip that sends commands and does what the parts cannot.
        memory: the parts "replaces" the host's own memory, or stand "beside" it and hold weights alone.
        link: name of the host's link that leads to parts beside it; None if the part's description has its own way.
        placement: "best" gives each operator to whoever is faster; "host" and "pim" to that one wherever it can.
            "host" is the baseline: as many ordinary parts, with the same bandwidth at their pins.
        concurrent_access: the host reaches a channel while its units compute (dual row buffers, as in NeuPIMs);
            otherwise either waits for the other.
        ordinary_capacity_bytes: memory of as many parts without units; None if it is the same.
        native: formats that a run uses where it names none; None if they are the units' own.
        host_changes: figures of that host, by dotted key, that are others in this system; for no other host.
        changes: figures of the part, by dotted key, that are others in this system.
    """

    name: Name
    family: Literal["system"]
    part: Name
    count: Count
    reference_clock: Literal["tCK", "logic"]
    host: Name
    memory: Literal["replaces", "beside"] = "replaces"
    link: str | None = None
    placement: Literal["best", "host", "pim"] = "best"
    concurrent_access: bool = False
    ordinary_capacity_bytes: Size | None = Field(default=None, alias="ordinary_capacity")
    native: Native | None = None
    host_changes: dict[str, Any] = Field(default_factory=dict)
    changes: dict[str, Any] = Field(default_factory=dict)

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same system with other values; keys that it does not have itself are figures of its part."""
        given = {**(overrides or {}), **more}
        if given.get("host", self.host) != self.host:
            given = {"host_changes": {}, **given}
        return super().with_(given)

    def __hash__(self) -> int:
        return hash((self.name, self.part, self.count, self.host, self.placement, tuple(self.changes)))
