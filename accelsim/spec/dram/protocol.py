"""Commands of a DRAM standard and the timing constraints between them, as data."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, field_validator, model_validator

from accelsim.errors import did_you_mean
from accelsim.spec.base import Count, Record, Sourced
from accelsim.spec.dram import expression

Level = Literal["channel", "pseudo_channel", "rank", "bank_group", "bank"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""Levels of the hierarchy, outermost first. Rows and columns have no timing of their own."""

Action = Literal["activate", "precharge", "read", "write", "refresh", "compute"]

OPTIONAL: Final = ("nFAW", "n32AW", "nREFI", "nREFIpb", "nRFC", "nRFCpb", "nRREFD")
"""Parameters that a sheet may leave out or set to 0: constraints that read one are then not there."""


class Command(Record):
    """A DRAM command.

    Attributes:
        name: as the standard has it: ACT, PRE, RD, ...
        level: what it addresses: one bank, or all banks of a rank, pseudo-channel or channel.
        does: what it does to the banks that it addresses.
        auto_precharge: a read or write that closes its row.
        cycles: how long it occupies its command bus.
    """

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9_]*$")]
    level: Level = "bank"
    does: Action
    auto_precharge: bool = False
    cycles: Count = 1

    @property
    def column(self) -> bool:
        """Whether it travels on the column command bus, where rows and columns have buses of their own."""
        return self.does in ("read", "write", "compute")


class Constraint(Record):
    """A least distance between commands.

    Attributes:
        level: the two commands address the same node of this level; with `sibling`, two nodes of one parent.
        preceding: the earlier command.
        following: the later command.
        latency: cycles from the earlier to the later one, over the parameters of the timing.
        window: it counts from the window-th last command of `preceding` (4 for the four-activate window).
        sibling: whether it holds between different nodes of the level.
    """

    level: Level
    preceding: Annotated[tuple[str, ...], Field(min_length=1)]
    following: Annotated[tuple[str, ...], Field(min_length=1)]
    latency: int | str
    window: Annotated[int, Field(ge=1, le=64)] = 1
    sibling: bool = False

    @field_validator("latency")
    @classmethod
    def _is_expression(cls, latency: int | str) -> int | str:
        if isinstance(latency, str):
            expression.names(latency)
        return latency

    @property
    def names(self) -> frozenset[str]:
        """Parameters that the latency reads."""
        return expression.names(self.latency) if isinstance(self.latency, str) else frozenset()

    def __str__(self) -> str:
        window = f", every {self.window}th" if self.window > 1 else ""
        where = f"other {self.level}" if self.sibling else self.level
        return f"{self.latency} ({'/'.join(self.preceding)} to {'/'.join(self.following)}, {where}{window})"


class Protocol(Sourced):
    """What a controller and a device say to each other.

    Attributes:
        command_bus: one command per cycle and channel, or one row and one column command (HBM).
        commands: the command set.
        constraints: the timing table.
    """

    command_bus: Literal["shared", "row_and_column"]
    commands: tuple[Command, ...]
    constraints: tuple[Constraint, ...]

    def index(self, name: str) -> int:
        """The number of a command; -1 if there is none of that name."""
        return next((at for at, command in enumerate(self.commands) if command.name == name), -1)

    def find(self, does: Action, level: Level = "bank", auto_precharge: bool = False) -> int:
        """The number of the command that does something at a level; -1 if there is none."""
        wanted = (does, level, auto_precharge)
        found = (at for at, c in enumerate(self.commands) if (c.does, c.level, c.auto_precharge) == wanted)
        return next(found, -1)

    @model_validator(mode="after")
    def _complete(self) -> Protocol:
        known = {command.name: command for command in self.commands}
        problems = ["two commands have one name"] if len(known) < len(self.commands) else []
        for does in ("activate", "precharge", "read", "write"):
            if self.find(does) < 0:
                problems.append(f"no command of one bank does {does!r}")
        for at, constraint in enumerate(self.constraints):
            for name in (*constraint.preceding, *constraint.following):
                if name not in known:
                    problems.append(f"constraint {at} names the unknown command {name!r}{did_you_mean(name, known)}")
                elif LEVELS.index(known[name].level) < LEVELS.index(constraint.level):
                    problems.append(
                        f"constraint {at} at level {constraint.level} names {name}, which addresses a whole "
                        f"{known[name].level}: give it that level"
                    )
        if problems:
            raise ValueError("; ".join(problems))
        return self
