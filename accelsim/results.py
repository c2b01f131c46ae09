"""What a run found: a flat summary, and frames made when they are asked for.

Cells hold numbers (and the fixed words of `bound` and `status`); names carry the unit. `COLUMNS` is the
one dictionary of all columns, from which the table in the docs is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import RequestError
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.request import Request

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.report.plot import Plots

SCHEMA = 1
FRAMES = ("phases", "operators", "resources", "memory", "timeline")

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "summary": {
        "prefill_time_s": "time of the prompt pass, which yields the first token",
        "time_to_first_token_s": "equal to prefill_time_s for a single request",
        "decode_time_s": "time of the generate - 1 decode steps",
        "time_per_output_token_s": "decode_time_s / (generate - 1); NaN without decode steps",
        "total_time_s": "prefill and decode",
        "tokens_per_s": "batch x generate / total_time_s; batch x prompt / total_time_s for a model that generates nothing",
        "decode_tokens_per_s": "batch / time_per_output_token_s",
        "cycles": "total time in cycles of the chip's reference clock",
        "flops": "arithmetic of the graph, special operations counted as one",
        "dram_bytes": "bytes moved to and from device memory",
        "achieved_bandwidth_bytes_per_s": "dram_bytes / total_time_s",
        "energy_j": "all components",
        "energy_per_token_j": "energy_j / (batch x generate); per prompt token for a model that generates nothing",
        "energy_tensor_j": "matrix units",
        "energy_vector_j": "vector lanes and special functions, conversions included",
        "energy_register_j": "register files",
        "energy_shared_j": "shared memory",
        "energy_l2_j": "last-level cache",
        "energy_memory_j": "device memory",
        "energy_link_j": "links to other chips",
        "energy_static_j": "idle power times time",
        "average_power_w": "energy_j / total_time_s",
        "power_limit_w": "board limit",
        "power_excess_w": "average power above the limit in the worse phase, 0 if none",
        "weights_bytes": "weights in their storage formats, scales included",
        "peak_memory_bytes": "weights, KV cache at its longest and the largest working set of activations",
        "memory_capacity_bytes": "device memory",
        "fits": "peak_memory_bytes <= memory_capacity_bytes",
        "events": "SimPy events scheduled; 0 for roofline",
    },
    "phases": {
        "phase": "prefill or decode",
        "steps": "passes through the model",
        "time_s": "time of the phase",
        "cycles": "time in cycles of the reference clock",
        "flops": "arithmetic",
        "bytes": "bytes of all operators' tensors, each read and written once",
        "dram_bytes": "bytes moved to and from device memory",
        "achieved_flops_per_s": "flops / time_s",
        "achieved_bytes_per_s": "dram_bytes / time_s",
        "energy_j": "energy, static power included",
        "average_power_w": "energy_j / time_s",
        "peak_memory_bytes": "memory in use in this phase",
    },
    "operators": {
        "phase": "prefill or decode",
        "name": "operator, the same for equal layers",
        "kind": "kind of operator",
        "count": "executions in the phase",
        "flops": "arithmetic of all executions",
        "bytes": "weight, KV and activation bytes, each tensor once per execution",
        "weight_bytes": "bytes of weights read",
        "kv_bytes": "bytes of KV cache read and written",
        "activation_bytes": "bytes of activations read and written",
        "dram_bytes": "bytes that really move to and from device memory, repeated reads included",
        "intensity_flops_per_byte": "flops / bytes",
        "time_s": "time of all executions",
        "bound": "what set the pace for most of the time",
        "achieved_flops_per_s": "flops / time_s",
        "achieved_bytes_per_s": "dram_bytes / time_s",
        "energy_j": "dynamic energy of all executions",
        "priced_by": "rule that priced it",
        "status": "weakest status among the chip figures used",
    },
    "resources": {
        "resource": "hierarchical name",
        "unit": "unit of amount: B, clk (cycles of one of count units) or ps",
        "count": "equal units that it stands for",
        "busy_s": "time in which it had work",
        "utilization": "amount / (rate x total time)",
        "amount": "units served",
        "bytes": "bytes served; 0 for units",
        "energy_j": "energy spent on it",
    },
    "memory": {
        "phase": "prefill or decode",
        "weights_bytes": "weights",
        "kv_cache_bytes": "KV cache at the end of the phase",
        "activations_bytes": "largest working set",
        "peak_bytes": "sum of the three",
        "capacity_bytes": "device memory",
        "fits": "peak_bytes <= capacity_bytes",
    },
    "timeline": {
        "resource": "hierarchical name",
        "name": "kernel, or kernels joined by | where they shared it",
        "phase": "prefill or decode",
        "start_ps": "start of the first occurrence",
        "end_ps": "end of the first occurrence",
        "amount": "units served in one occurrence",
        "bytes": "bytes served in one occurrence",
        "energy_j": "energy of one occurrence",
        "repeat": "occurrences",
        "period_ps": "from one occurrence to the next",
    },
}
"""Frame -> column -> meaning. Units are in the names: s, ps, B as bytes, j, w."""

BOUNDS = (
    "compute", "vector", "memory", "cache", "sram", "link", "sync", "pipeline", "launch", "issue", "mode", "refresh", "host",
    "convert",
)  # fmt: skip
"""Words that `bound` may hold."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows of the frames of one run; the timeline is made only when it is read."""

    phases: Rows
    operators: Rows
    resources: Rows
    memory: Rows
    timeline: Callable[[], Rows]


@dataclass(frozen=True)
class Run:
    """The outcome of one simulation.

    Attributes:
        request: what was asked, names resolved.
        summary: flat dictionary of numbers; see `COLUMNS["summary"]`. NaN where nothing was run.
        tables: rows behind the frames.
        infeasible: why nothing was run, or None.
        warnings: what the reader should know, a sentence each.
    """

    request: Request
    summary: Mapping[str, float]
    tables: Tables
    infeasible: Infeasible | None = None
    warnings: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the run took place."""
        return self.infeasible is None

    @property
    def status(self) -> str:
        """ "ok" or "infeasible"."""
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
        """A row per resource."""
        return self._frame("resources")

    @cached_property
    def memory(self) -> pd.DataFrame:
        """A row per phase."""
        return self._frame("memory")

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """A row per interval of a resource; recurring ones once, with `repeat` and `period_ps`."""
        return self._frame("timeline")

    @property
    def plot(self) -> Plots:
        """Pictures: `.roofline()`, `.breakdown()`, `.timeline()`."""
        from accelsim.report.plot import Plots  # matplotlib, only where a picture is drawn

        return Plots(self)

    def rows(self, frame: str) -> Rows:
        """The rows of a frame without pandas."""
        if frame not in FRAMES:
            raise RequestError(f"no frame {frame!r}: there are {', '.join(FRAMES)}")
        content = getattr(self.tables, frame)
        return list(content() if callable(content) else content)

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd  # a second of import time, only where a frame is asked for

        return pd.DataFrame(self.rows(name), columns=list(COLUMNS[name]))

    def to_dict(self, *, timeline: bool = False) -> dict[str, Any]:
        """Everything as one JSON-ready dictionary; NaN becomes None."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "status": self.status,
            "request": asdict(self.request),
            "summary": dict(self.summary),
            "infeasible": asdict(self.infeasible) if self.infeasible else None,
            "warnings": list(self.warnings),
        }
        for name in FRAMES:
            if name != "timeline" or timeline:
                document[name] = self.rows(name)
        return _without_nan(document)

    def write(self, path: str | Path) -> list[Path]:
        """Exports by suffix: `.json` (everything), or `.csv` / `.parquet` (one file per frame beside it).

        A file appears under its name only when it is complete.

        Returns:
            The files written.
        """
        target = Path(path)
        if target.suffix == ".json":
            return [_atomic(target, lambda p: p.write_text(json.dumps(self.to_dict(timeline=True), indent=1), "utf-8"))]
        if target.suffix not in (".csv", ".parquet"):
            raise RequestError(f"cannot export to {target.name!r}: allowed are .json, .csv and .parquet")
        written = []
        for name in FRAMES:
            frame = getattr(self, name)
            file = target.with_name(f"{target.stem}-{name}{target.suffix}")
            if target.suffix == ".csv":
                written.append(_atomic(file, lambda p, f=frame: f.to_csv(p, index=False)))
            else:
                written.append(_atomic(file, lambda p, f=frame: f.to_parquet(p, index=False)))
        return written


def _atomic(target: Path, write: Callable[[Path], Any]) -> Path:
    """Writes beside the target and renames, so that an interruption leaves no broken file."""
    partial = target.with_name(target.name + ".partial")
    try:
        write(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value.item() if hasattr(value, "item") else value
