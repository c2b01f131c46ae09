"""Published figures of whole runs beside ours, whatever the family of hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from accelsim.simulation import simulate

Role = Literal["fit", "predict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A figure that somebody printed, and the run that stands for it.

    Attributes:
        what: the workload in words.
        model: its model.
        on: system.
        request: further keywords of `simulate`.
        figure: of the summary, such as "tokens_per_s".
        divide: what it is divided by: tokens, where a time per token was printed.
        published: the printed value, in the unit of the figure.
        within: largest error that the project asks for, as a fraction; None where it asks for none.
        role: "fit" where a constant comes from this row, else "predict".
        source: where it is printed.
    """

    what: str
    model: str
    on: str
    request: Mapping[str, Any]
    figure: str
    published: float
    divide: int = 1
    within: float | None
    role: Role
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """A case with our value."""

    case: Case
    ours: float

    @property
    def error(self) -> float:
        """Ours over the published value, less one."""
        return self.ours / self.case.published - 1

    @property
    def met(self) -> bool | None:
        """Whether the error is within what is asked for; None where nothing is."""
        return None if self.case.within is None else abs(self.error) <= self.case.within


def row(case: Case, overrides: Mapping[str, object] | None = None) -> Row:
    """The case, computed anew.

    Args:
        case: the figure.
        overrides: dotted figures of the system to other values.
    """
    run = simulate(case.model, case.on, overrides=overrides, **case.request)
    return Row(case, float(run.summary[case.figure]) / case.divide)
