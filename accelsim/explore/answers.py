"""What a search for crossovers came to: brackets with both sides, in numbers, as a frame and in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

TIE: Final = "a tie"
"""Stands for the best design where none is better than all others."""

NOBODY: Final = "nobody"
"""Stands for the best design where none can run."""


@dataclass(frozen=True, slots=True)
class Side:
    """All designs at one value of the axis.

    Attributes:
        at: the value, SI.
        best: the best design, or `TIE` or `NOBODY`.
        values: design -> its figure; NaN if it has none.
        reasons: design -> why it has none.
    """

    at: int | float
    best: str
    values: Mapping[str, float]
    reasons: Mapping[str, str]

    @property
    def state(self) -> tuple[str, frozenset[str]]:
        """What must be the same for nothing to have changed: who is best, and who cannot run."""
        return self.best, frozenset(self.reasons)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Two neighbours between which something changes.

    Attributes:
        below: at the lower value.
        above: at the higher value.
    """

    below: Side
    above: Side

    @property
    def kind(self) -> str:
        """Either "crossover", another design is best, or "limit", only the set of those that can run is another."""
        return "crossover" if self.below.best != self.above.best else "limit"


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens along the axis, the other axes being fixed.

    Attributes:
        along: column of the axis.
        case: the other axes: column -> value.
        sides: all that was evaluated, in the order of the axis.
    """

    along: str
    case: Mapping[str, Any]
    sides: tuple[Side, ...]

    @property
    def brackets(self) -> tuple[Bracket, ...]:
        """Where something changes, in the order of the axis."""
        pairs = itertools.pairwise(self.sides)
        return tuple(Bracket(low, high) for low, high in pairs if low.state != high.state)

    @property
    def crossovers(self) -> tuple[Bracket, ...]:
        """Where another design becomes the best."""
        return tuple(bracket for bracket in self.brackets if bracket.kind == "crossover")

    def text(self) -> str:
        """Who is best where, and who cannot run from where on, in a line."""
        turns = self.crossovers
        first, last = self.sides[0].at, self.sides[-1].at
        if not turns:
            said = [f"{self.sides[0].best} throughout, {self.along} {_text(first)} to {_text(last)}"]
        else:
            said = [f"{turns[0].below.best} up to {self.along} {_text(turns[0].below.at)}"]
            for bracket, following in itertools.pairwise(turns):
                said.append(f"{bracket.above.best} from {_text(bracket.above.at)} to {_text(following.below.at)}")
            said.append(f"{turns[-1].above.best} from {_text(turns[-1].above.at)} on")
        for bracket in self.brackets:
            low, high, at = bracket.below.reasons, bracket.above.reasons, _text(bracket.above.at)
            said += [f"{name} not from {at} on: {_first(high[name])}" for name in high if name not in low]
            said += [f"{name} only from {at} on: {_first(low[name])}" for name in low if name not in high]
        for name in self.sides[0].values:
            if all(name in side.reasons for side in self.sides):
                said.append(f"{name} nowhere: {_first(self.sides[0].reasons[name])}")
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Crossovers:
    """The answers for all combinations of the other axes.

    Attributes:
        metric: what was compared.
        along: column of the axis.
        contenders: the designs.
        answers: one for each combination of the other axes.
        points: that were needed, those of the store included.
    """

    metric: str
    along: str
    contenders: tuple[str, ...]
    answers: tuple[Answer, ...]
    points: int

    def frame(self) -> pd.DataFrame:
        """A row per bracket; one of kind "none" where nothing changes, from the first value to the last.

        Columns: those of the other axes; kind ("crossover", "limit", "none"); below and above, the bracket's ends in SI
        units; best_below and best_above; and of every design its figure at both: NAME_below, NAME_above.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for answer in self.answers:
            found = [(one.kind, one.below, one.above) for one in answer.brackets]
            if not found:
                found = [("none", answer.sides[0], answer.sides[-1])]
            for kind, low, high in found:
                row: dict[str, Any] = {**answer.case, "kind": kind, "below": low.at, "above": high.at}
                row |= {"best_below": low.best, "best_above": high.best}
                for name in self.contenders:
                    row |= {f"{name}_below": low.values[name], f"{name}_above": high.values[name]}
                rows.append(row)
        made = pd.DataFrame(rows)
        made.attrs = {"metric": self.metric, "along": self.along, "contenders": list(self.contenders)}
        return made


def _first(reason: str) -> str:
    return reason.splitlines()[0]


def _text(value: int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
