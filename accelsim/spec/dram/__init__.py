"""What describes a DRAM; `accelsim.timing.dram` brings it to life."""

from __future__ import annotations

from accelsim.spec.dram.energy import Components, Currents, Energy
from accelsim.spec.dram.organization import FIELDS, Organization, address_fields
from accelsim.spec.dram.protocol import LEVELS, OPTIONAL, Action, Command, Constraint, Level, Protocol
from accelsim.spec.dram.record import Controller, Dram, Refresh, Selected, Timing

__all__ = [
    "FIELDS", "LEVELS", "OPTIONAL", "Action", "Command", "Components", "Constraint", "Controller", "Currents", "Dram",
    "Energy", "Level", "Organization", "Protocol", "Refresh", "Selected", "Timing", "address_fields",
]  # fmt: skip
