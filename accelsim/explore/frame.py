"""Results as pandas: a row per point in the order of the sweep, columns with fixed types."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore import expression
from accelsim.explore.batches import METRICS
from accelsim.explore.schema import BOOKKEEPING
from accelsim.explore.store import Store
from accelsim.results.columns import TRUTH, WHOLE, unit

if TYPE_CHECKING:
    import pandas as pd

STATUSES: Final = ("ok", "infeasible", "failed", "crashed", "timeout")
MEETS: Final = "meets_constraints"
"""Column that says whether constraints over results hold; there if the sweep has such."""

SUFFIXES: Final = (".csv", ".parquet")


def frame_of(store: Store) -> pd.DataFrame:
    """The planned points of a store that have a row.

    Columns are: key, status and reason; the axes, in SI units, under their dotted keys or names; `area_mm2` and
    `cost_usd` if the sweep names one of them; the metrics of `run.summary`; derived columns; `meets_constraints` where
    results are constrained; and bookkeeping: elapsed_s, worker, attempt, finished_at, model_version, reused (a row of
    other code that was accepted). Metrics of points that are not ok are NaN, `fits` is then false.

    Raises:
        StoreError: the store cannot be read.
    """
    import pandas as pd

    about = store.about()
    rows = store.rows()
    names = list(about.get("axes", ()))
    columns: dict[str, Any] = {}
    first = list(zip(*rows, strict=True)) if rows else [()] * (5 + len(BOOKKEEPING) + len(METRICS))
    keys, axes, used, status, reason = first[:5]
    columns["key"] = pd.array(list(keys), dtype="str")
    columns["status"] = pd.Categorical(list(status), categories=list(STATUSES))
    columns["reason"] = pd.array(list(reason), dtype="str")
    cells = json.loads(f"[{','.join(axes)}]")
    for place, name in enumerate([*names, *about.get("costs", ())]):
        columns[name] = _axis([row[place] for row in cells])
    ok = np.asarray([word == "ok" for word in status], dtype=bool)
    metrics = first[5 + len(BOOKKEEPING) :]
    for name, values in zip(METRICS, metrics, strict=True):
        columns[name] = _metric(name, values, ok)
    count = len(rows)
    fixed = about.get("fixed", {})
    for name, text in about.get("derived", {}).items():
        columns[name] = _derived(expression.value(text, {**fixed, **_plain(columns)}, count), ok)
    outputs = about.get("outputs", {})
    if outputs:
        held = ok.copy()
        for text in outputs.values():
            held &= expression.truth(text, {**fixed, **_plain(columns)}, count)
        columns[MEETS] = held
    for name, values in zip(BOOKKEEPING, first[5 : 5 + len(BOOKKEEPING)], strict=True):
        columns[name] = _book(name, values)
    columns["reused"] = np.asarray([key != row for key, row in zip(keys, used, strict=True)], dtype=bool)
    frame = pd.DataFrame(columns)
    frame.attrs = {
        "sweep": about.get("name", store.path.stem),
        "axes": names,
        "fixed": fixed,
        "objectives": about.get("objectives", {}),
        "axis_units": about.get("axis_units", {}),
        "units": {name: unit(name) for name in METRICS if unit(name)},
    }
    return frame


def _plain(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(values) for name, values in columns.items()}


def _axis(values: list[Any]) -> Any:
    """Whole numbers, numbers, truths, or names as categories; absent is NaN."""
    import pandas as pd

    there = [value for value in values if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if there and all(isinstance(value, bool) for value in there):
        return np.asarray(values, dtype=bool) if len(there) == len(values) else pd.Categorical(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        if len(there) == len(values) and all(isinstance(value, int) for value in there):
            return _whole(there)
        return np.asarray([math.nan if value is None else value for value in values], dtype=float)
    return pd.Categorical(values, categories=list(dict.fromkeys(there)))


def _whole(values: Sequence[int]) -> Any:
    """int64; where that is too narrow, uint64 or Python's own numbers."""
    if not values or -(1 << 63) <= min(values) <= max(values) < 1 << 63:
        return np.asarray(values, dtype=np.int64)
    return np.asarray(values, dtype=np.uint64 if 0 <= min(values) <= max(values) < 1 << 64 else object)


def _metric(name: str, values: Sequence[Any], ok: Any) -> Any:
    if name in TRUTH:
        return np.asarray([bool(value) for value in values], dtype=bool)
    if name in WHOLE["summary"] and ok.all() and None not in values:
        return _whole([int(value) for value in values])
    return np.asarray(values, dtype=float)  # None becomes NaN, and a number beyond 64 bits, kept as text, a float


def _derived(values: Any, ok: Any) -> Any:
    return values & ok if values.dtype == bool else np.where(ok, values.astype(float), np.nan)


def _book(name: str, values: Sequence[Any]) -> Any:
    import pandas as pd

    if name == "attempt":
        return np.asarray(values, dtype=np.int64)
    if name in ("worker", "model_version"):
        return pd.Categorical(list(values))
    return np.asarray(values, dtype=float)


def export(frame: pd.DataFrame, path: str | Path) -> Path:
    """Writes a frame as CSV or Parquet, by the suffix; the file appears when it is complete.

    Raises:
        RequestError: another suffix, a folder that is not there, or Parquet without pyarrow.
    """
    from functools import partial
    from importlib.util import find_spec

    from accelsim.results.export import write_whole

    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise RequestError(f"cannot export to {target.name!r}: allowed are names that end in {', '.join(SUFFIXES)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise RequestError('Parquet needs pyarrow: pip install "accelsim[parquet]", or export to .csv')
    write = partial(frame.to_csv, index=False) if suffix == ".csv" else partial(frame.to_parquet, index=False)
    write_whole({target: write})
    return target
