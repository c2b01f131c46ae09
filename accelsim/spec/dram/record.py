"""A DRAM as its description gives it: protocol, organisations, timings, controller and energy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from accelsim import units
from accelsim.errors import UnitError, did_you_mean
from accelsim.spec.base import Count, Description, Name, Record, Sourced
from accelsim.spec.dram import preset
from accelsim.spec.dram.energy import Energy
from accelsim.spec.dram.organization import Organization, address_fields
from accelsim.spec.dram.protocol import OPTIONAL, Protocol

Refresh = Literal["all_bank", "per_bank", "off"]
_SPARE: Final = 0.01
_SLACK: Final = 2
_NEEDED: Final = ("nCL", "nCWL", "nBL", "nRAS", "nRC", "nRP")


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, Mapping) else value


Parameters = Annotated[
    tuple[tuple[str, int | str], ...],
    BeforeValidator(_pairs),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["integer", "string"]}}),
]


class Timing(Sourced):
    """A speed bin: the clock and the JEDEC parameters.

    A parameter is a number of cycles or a time ("13.75 ns"), which is rounded up to whole cycles unless it exceeds
    one by less than a hundredth. Those of `protocol.OPTIONAL` may be absent or 0, which means the same.

    Attributes:
        tck_ps: the clock of the command bus.
        given: name and value of every parameter, as written.
        assumed: parameters that have no source; also the clock (`tCK_ps`), or all (`cycles`).
    """

    name: str
    tck_ps: float = Field(gt=0, alias="tCK_ps")
    given: Parameters = Field(alias="cycles")
    assumed: tuple[str, ...] = ()

    @property
    def cycles(self) -> dict[str, int]:
        """Every parameter in cycles."""
        return {name: self._cycles(value) for name, value in self.given}

    def _cycles(self, value: int | str) -> int:
        if isinstance(value, int):
            return value
        return math.ceil(units.parse(value, "s") * units.PS_PER_S / self.tck_ps - _SPARE)

    @model_validator(mode="after")
    def _consistent(self) -> Timing:
        try:
            cycles = self.cycles
        except UnitError as error:
            raise ValueError(f"a parameter is a number of cycles or a time: {error}") from None
        problems = [f"{name} = {value} is negative" for name, value in cycles.items() if value < 0]
        problems += [f"{name} is missing" for name in _NEEDED if name not in cycles]
        problems += [
            f"assumed names {name!r}, which is no parameter{did_you_mean(name, cycles)}"
            for name in self.assumed
            if name not in (*cycles, "tCK_ps", "cycles")
        ]
        if problems:
            raise ValueError("; ".join(problems))
        nRC, nRAS, nRP = cycles["nRC"], cycles["nRAS"], cycles["nRP"]
        if nRC < nRAS:
            problems.append(f"nRC = {nRC} is below nRAS = {nRAS}: legal is {nRAS + nRP - _SLACK} or more")
        elif nRC < nRAS + nRP - _SLACK:
            problems.append(
                f"nRC = {nRC} is more than two cycles below nRAS + nRP = {nRAS + nRP}: "
                f"legal is {nRAS + nRP - _SLACK} or more"
            )
        nREFI, nRFC = cycles.get("nREFI", 0), cycles.get("nRFC", 0)
        if nREFI and nRFC >= nREFI:
            problems.append(f"nRFC = {nRFC} does not end before the next refresh: legal is less than nREFI = {nREFI}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class Controller(Sourced):
    """The memory controller of one channel.

    Attributes:
        address_order: levels from the highest address bits down; see `organization.address_fields`.
        page: whether rows stay open, or every access closes its row.
        queues: a command queue per bank, or per rank.
        command_queue: entries of a command queue.
        transaction_queue: reads waiting before the command queues, and as many writes.
        write_drain_above: writes that are drained when the command queues are empty; a full buffer drains at once.
        row_hit_cap: reads and writes of an open row after which a waiting row conflict may close it.
        refresh: all banks of a rank at once, bank after bank, or none.
        requests_per_cycle: requests that the front end hands over per cycle, in order, to all channels together.
    """

    address_order: str
    page: Literal["open", "closed"]
    queues: Literal["per_bank", "per_rank"]
    command_queue: Annotated[int, Field(ge=1, le=256)]
    transaction_queue: Annotated[int, Field(ge=1, le=4096)]
    write_drain_above: Annotated[int, Field(ge=0)]
    row_hit_cap: Count
    refresh: Refresh
    requests_per_cycle: Count


class Selected(Record):
    """Names of the presets that are in use."""

    organization: str
    timing: str


class Dram(Description):
    """A DRAM standard with its presets.

    Attributes:
        name: such as `hbm3`; also the file's stem.
        standard: the name that the field uses.
        selected: the presets in use; others by `with_({"selected.timing": "3200C"})`.
    """

    name: Name
    standard: str
    selected: Selected
    protocol: Protocol
    organizations: tuple[Organization, ...] = Field(alias="organization", min_length=1)
    timings: tuple[Timing, ...] = Field(alias="timing", min_length=1)
    controller: Controller
    energy: Energy

    @property
    def organization(self) -> Organization:
        """The organisation in use."""
        return next(o for o in self.organizations if o.name == self.selected.organization)

    @property
    def timing(self) -> Timing:
        """The timing in use."""
        return next(t for t in self.timings if t.name == self.selected.timing)

    @property
    def peak_bytes_per_s(self) -> float:
        """Bytes that all data buses carry, one burst after another."""
        buses = self.organization.channels * self.organization.pseudo_channels
        return buses * self.organization.access_bytes / (self.timing.cycles["nBL"] * self.timing.tck_ps * 1e-12)

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same record with other values; `timing.nRAS` and `organization.banks` are of the presets in use.

        Raises:
            UnknownNameError: a key that the description, or that preset, does not have.
            DescriptionError: a value that is not allowed.
        """
        named = preset.paths(self._raw, {**(overrides or {}), **more})
        if not (absent := preset.absent(self._raw, named)):
            return super().with_(named)
        same = self.model_copy()
        same._raw = absent
        return super(Dram, same).with_(named)

    @model_validator(mode="after")
    def _fits_together(self) -> Dram:
        problems = []
        for kind, chosen, presets in (
            ("organization", self.selected.organization, [o.name for o in self.organizations]),
            ("timing", self.selected.timing, [t.name for t in self.timings]),
        ):
            if chosen not in presets:
                known = ", ".join(presets)
                problems.append(f"selected.{kind} is {chosen!r}{did_you_mean(chosen, presets)}; presets: {known}")
            if len(set(presets)) < len(presets):
                problems.append(f"two {kind}s have one name")
        problems += [p for timing in self.timings for p in _unknown(timing, self.protocol)]
        for organization in self.organizations:
            try:
                address_fields(self.controller.address_order, organization)
            except ValueError as error:
                problems.append(f"controller.address_order with organization {organization.name}: {error}")
        problems += _unsupported(self.controller, self.protocol, self.energy)
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _unknown(timing: Timing, protocol: Protocol) -> list[str]:
    """Parameters that the constraints read and the timing lacks."""
    cycles: dict[str, Any] = dict(timing.given)
    wanted = sorted({name for constraint in protocol.constraints for name in constraint.names} - {*cycles, *OPTIONAL})
    return [
        f"timing {timing.name} has no {name}, which a constraint reads{did_you_mean(name, cycles)}" for name in wanted
    ]


def _unsupported(controller: Controller, protocol: Protocol, energy: Energy) -> list[str]:
    """What the controller is asked for and the command set cannot do."""
    problems = []
    if controller.page == "closed" and -1 in (
        protocol.find("read", "bank", True),
        protocol.find("write", "bank", True),
    ):
        problems.append('controller.page = "closed" needs a read and a write with auto_precharge')
    refreshes = {c.level for c in protocol.commands if c.does == "refresh"}
    if controller.refresh == "per_bank" and "bank" not in refreshes:
        problems.append('controller.refresh = "per_bank" needs a refresh command of level bank')
    if controller.refresh == "all_bank" and "rank" not in refreshes:
        problems.append(
            'controller.refresh = "all_bank" needs a refresh command of level rank, pseudo_channel or channel'
        )
    if controller.refresh == "per_bank" and energy.currents and energy.currents.idd5pb_a is None:
        problems.append('controller.refresh = "per_bank" needs energy.currents.IDD5PB')
    return problems
