"""What cannot be done, as a result: the demand, the bound, what set each, and what would help."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A run that no schedule can satisfy.

    Attributes:
        kind: "capacity" (does not fit) or "unsupported" (no unit, no conversion, not built yet).
        reason: one sentence with the figures.
        demand: what was asked for, in `unit`; NaN where there is no number.
        bound: what there is, in `unit`.
        unit: unit of both.
        set_by: the inputs that set demand and bound.
        levers: changes that would make it fit, most useful first.
    """

    kind: str
    reason: str
    demand: float = float("nan")
    bound: float = float("nan")
    unit: str = ""
    set_by: tuple[str, ...] = ()
    levers: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"infeasible: {self.reason}"
        if self.levers:
            text += "\n  would fit: " if self.kind == "capacity" else "\n  try: "
            text += " · ".join(self.levers)
        return text
