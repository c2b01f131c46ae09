"""Two runs side by side: which inputs differ, which figures follow, and which operators made the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from accelsim.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.spec.chip import Chip

_PROSE: Final = frozenset({"name", "source", "status", "description", "note", "notes", "title"})
_MAIN: Final = ("time_to_first_token_s", "time_per_output_token_s", "total_time_s", "energy_per_token_j")
_EQUAL: Final = 1e-12


@dataclass(frozen=True, slots=True)
class RunComparison:
    """How the second of two runs differs from the first.

    Attributes:
        inputs: a row per input that differs: input, a, b.
        metrics: a row per figure of the summary that differs: metric, a, b, difference (b - a), ratio (b / a).
        operators: a row per operator of a phase whose time differs, the largest difference first: phase, name, kind,
            a_s, b_s, difference_s, share (of the phase's difference), bound_a, bound_b.
        same: figures of the summary that do not differ.
    """

    inputs: pd.DataFrame
    metrics: pd.DataFrame
    operators: pd.DataFrame
    same: int

    def lines(self) -> list[str]:
        """What to know first, a sentence each."""
        said = []
        for row in self.metrics.to_dict("records"):
            if row["metric"] in _MAIN and row["ratio"] > 0:
                ratio = float(row["ratio"])
                word = f"{1 / ratio:.3g} times less" if ratio < 1 else f"{ratio:.3g} times as much"
                said.append(f"{row['metric']}: {word} ({row['a']:.4g} -> {row['b']:.4g})")
        for phase, part in self.operators.groupby("phase", sort=False):
            shares = ", ".join(f"{row['name']} {row['share']:.0%}" for row in part.head(3).to_dict("records"))
            said.append(f"{phase}: {float(part['difference_s'].sum()):+.3g} s in operators, of it {shares}")
        both = self.operators[(self.operators["bound_a"] != "") & (self.operators["bound_b"] != "")]
        moved = both[both["bound_a"] != both["bound_b"]]
        if len(moved):
            one = moved.iloc[0]
            said.append(
                f"{len(moved)} operators have another bound, such as {one['name']} ({one['phase']}): "
                f"{one['bound_a']} -> {one['bound_b']}"
            )
        return said or ["nothing differs"]


def compare_runs(
    a: Mapping[str, Any], b: Mapping[str, Any], chips: tuple[Chip, Chip] | None = None
) -> RunComparison:  # fmt: skip
    """Compares two runs.

    Args:
        a: a run as `Run.to_dict` gives it, or `--json` and `--export` write it.
        b: another.
        chips: their chips, whose figures are then inputs as well.

    Raises:
        RequestError: one of them is no such document, or did not take place.
    """
    import pandas as pd

    for side, run in (("first", a), ("second", b)):
        if not {"request", "summary", "operators"} <= run.keys():
            raise RequestError(f"the {side} document is no run: expected what `accelsim run --export x.json` writes")
        if run.get("infeasible"):
            raise RequestError(f"the {side} run did not take place: {run['infeasible']['reason']}")
    inputs = _leaves(a["request"]), _leaves(b["request"])
    if chips is not None:
        for found, chip in zip(inputs, chips, strict=True):
            found |= _leaves(chip.model_dump())
    differing = [(key, inputs[0].get(key), inputs[1].get(key)) for key in dict.fromkeys([*inputs[0], *inputs[1]])
                 if inputs[0].get(key) != inputs[1].get(key)]  # fmt: skip
    figures = [name for name in a["summary"] if name in b["summary"]]
    changed = [row for name in figures if (row := _changed(name, a["summary"][name], b["summary"][name]))]
    operators = pd.DataFrame(
        _operators(a["operators"], b["operators"]),
        columns=["phase", "name", "kind", "a_s", "b_s", "difference_s", "share", "bound_a", "bound_b"],
    )
    return RunComparison(
        inputs=pd.DataFrame(differing, columns=["input", "a", "b"]),
        metrics=pd.DataFrame(changed, columns=["metric", "a", "b", "difference", "ratio"]),
        operators=operators,
        same=len(figures) - len(changed),
    )


def _leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value of all that is no prose; lists of tables by their place."""
    if isinstance(value, Mapping):
        return {k: v for key, item in value.items() if key not in _PROSE
                for k, v in _leaves(item, f"{prefix}.{key}" if prefix else str(key)).items()}  # fmt: skip
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return {k: v for place, item in enumerate(value) for k, v in _leaves(item, f"{prefix}.{place}").items()}
    return {prefix: value if not isinstance(value, list | tuple) else ", ".join(map(str, value))}


def _changed(name: str, first: Any, second: Any) -> tuple[Any, ...] | None:
    """A row of two figures, None if they are the same."""
    a, b = (math.nan if value is None else float(value) for value in (first, second))
    if a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= _EQUAL * max(abs(a), abs(b)):
        return None
    return name, a, b, b - a, b / a if a else math.nan


def _operators(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    sides = [_by_name(rows) for rows in (a, b)]
    rows = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        first, second = (side.get(key) for side in sides)
        kind = (first or second or {})["kind"]
        times = [float(one["time_s"]) if one else 0.0 for one in (first, second)]
        if abs(times[0] - times[1]) <= _EQUAL * max(times):
            continue
        bounds = [str(one["bound"]) if one else "" for one in (first, second)]
        rows.append((*key, kind, *times, times[1] - times[0], *bounds))
    totals: dict[str, float] = {}
    for row in rows:
        totals[row[0]] = totals.get(row[0], 0.0) + row[5]
    rows.sort(key=lambda row: -abs(row[5]))
    return [(*row[:6], row[5] / totals[row[0]] if totals[row[0]] else math.nan, *row[6:]) for row in rows]


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Operators by phase and name; those that stand more than once are added up."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = str(row["phase"]), str(row["name"])
        if key in found:
            found[key]["time_s"] += row["time_s"]
        else:
            found[key] = {name: row[name] for name in ("kind", "time_s", "bound")}
    return found
