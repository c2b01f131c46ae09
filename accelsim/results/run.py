"""The result of a simulation: rows inside, pandas outside, pictures and files on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from importlib import import_module
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from accelsim.errors import RequestError, did_you_mean
from accelsim.results.columns import COLUMNS, FRAMES, Rows, kind, unit
from accelsim.results.export import export, json_ready
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.request import Request
from accelsim.units import show

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.report.plot import Plots

SCHEMA = 1
"""Version of the exported documents; it grows when a column changes its meaning or goes away."""

_TYPES: Final[Mapping[str, Literal["str", "bool", "float64", "int64"]]] = MappingProxyType(
    {"text": "str", "bool": "bool", "float": "float64", "int": "int64"}
)


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows of the frames of one run; the timeline is made only when it is read."""

    phases: Rows
    operators: Rows
    resources: Rows
    memory: Rows
    timeline: Callable[[], Rows]


@dataclass(frozen=True, repr=False)
class Run:
    """The outcome of one simulation.

    Attributes:
        request: what was asked, names resolved.
        summary: flat read-only mapping of numbers; see `COLUMNS["summary"]`. NaN where nothing was run.
        tables: rows behind the frames.
        infeasible: why nothing was run, or None.
        warnings: what the reader should know, a sentence each.
        detail: what else an evaluation wants to hand on; not exported.
        roofs: peak rates that bound this run: "memory" in B/s, all others ("vector", and one for each pair
            of operand formats, such as "bf16 x bf16") in FLOP/s.
    """

    request: Request
    summary: Mapping[str, float]
    tables: Tables
    infeasible: Infeasible | None = None
    warnings: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    roofs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", MappingProxyType(dict(self.summary)))

    def __repr__(self) -> str:
        asked = self.request
        head = f"{asked.model} on {asked.chip}"
        if self.infeasible is not None:
            return f"<Run {head}: infeasible, {self.infeasible.reason}>"
        figures = self.summary
        said = [show(figures["total_time_s"], "s")]
        if asked.generate:
            said = [f"first token after {show(figures['time_to_first_token_s'], 's')}"]
            if isfinite(figures["time_per_output_token_s"]):
                said.append(f"{show(figures['time_per_output_token_s'], 's')} per token")
            said.append(f"{figures['tokens_per_s']:.4g} tokens/s")
        if isfinite(figures["energy_j"]):
            said.append(show(figures["energy_j"], "J"))
        sizes = f"batch {asked.batch}, prompt {asked.prompt}, generate {asked.generate}"
        return f"<Run {head}, {sizes}, {asked.fidelity}: {', '.join(said)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # a worker process hands runs back: the timeline goes as rows, since what makes them holds the whole engine
        tables = Tables(
            self.tables.phases, self.tables.operators, self.tables.resources, self.tables.memory,
            partial(list, self.rows("timeline")),
        )  # fmt: skip
        content = (dict(self.summary), tables, self.infeasible, self.warnings, dict(self.detail), dict(self.roofs))
        return Run, (self.request, *content)

    @property
    def ok(self) -> bool:
        """Whether the run took place."""
        return self.infeasible is None

    @property
    def status(self) -> str:
        """Either "ok" or "infeasible"."""
        return "ok" if self.ok else "infeasible"

    @cached_property
    def phases(self) -> pd.DataFrame:
        """A row per phase."""
        return self._frame("phases")

    @cached_property
    def operators(self) -> pd.DataFrame:
        """A row per phase and operator."""
        return self._frame("operators")

    @cached_property
    def resources(self) -> pd.DataFrame:
        """A row per resource; none where nothing is known about resources."""
        return self._frame("resources")

    @cached_property
    def memory(self) -> pd.DataFrame:
        """A row per phase, also for a run that does not fit."""
        return self._frame("memory")

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """A row per interval of a resource; recurring ones once, with `repeat` and `period_ps`. Empty for roofline."""
        return self._frame("timeline")

    @property
    def plot(self) -> Plots:
        """Pictures: `.roofline()`, `.breakdown()`, `.timeline()`.

        Raises:
            RequestError: the run did not take place, so there is nothing to draw.
        """
        # by name, since pictures stand above results: nothing here depends on matplotlib until one is drawn
        plots: Plots = import_module("accelsim.report.plot").Plots(self)
        return plots

    def rows(self, frame: str) -> Rows:
        """The rows of a frame without pandas, each with exactly the frame's columns."""
        if frame not in FRAMES:
            raise RequestError(f"no frame {frame!r}: there are {', '.join(FRAMES)}{did_you_mean(frame, FRAMES)}")
        content = getattr(self.tables, frame)
        return list(content() if callable(content) else content)

    def summary_frame(self) -> pd.DataFrame:
        """One row: the request, the status and the summary; rows of several runs make a table."""
        import pandas as pd

        row = {**asdict(self.request), "status": self.status, **self.summary}
        return pd.DataFrame([row], columns=list(row))

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd  # a second of import time, only where a frame is asked for

        frame = pd.DataFrame(self.rows(name), columns=list(COLUMNS[name]))
        for column in COLUMNS[name]:
            dtype = _TYPES[kind(name, column)]
            if dtype == "int64" and frame[column].isna().any():
                dtype = "float64"  # a count that is not known is NaN, which integers cannot say
            frame[column] = frame[column].astype(dtype)
        units = {column: unit(column) for column in COLUMNS[name] if unit(column)}
        frame.attrs = {"schema": SCHEMA, "frame": name, "units": units}
        return frame

    def to_dict(self, *, timeline: bool = False) -> dict[str, Any]:
        """Everything as one dictionary that JSON can hold; NaN and infinities become None."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "status": self.status,
            "request": asdict(self.request),
            "summary": self.summary,
            "roofs": self.roofs,
            "infeasible": asdict(self.infeasible) if self.infeasible else None,
            "warnings": self.warnings,
            **{name: self.rows(name) for name in FRAMES if name != "timeline" or timeline},
        }
        ready: dict[str, Any] = json_ready(document)
        return ready

    def write(self, path: str | Path) -> list[Path]:
        """Exports by suffix: `.json` (everything), or `.csv` / `.parquet` (NAME-summary, NAME-phases, ...).

        No file appears under its name before all are complete.

        Returns:
            The files written.

        Raises:
            RequestError: another suffix, a folder that is not there, or Parquet without pyarrow.
        """
        return export(self, path)
