"""Two frames of results side by side: which points both have, what became of them, and how far figures moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore.batches import METRICS
from accelsim.explore.costs import COSTS

if TYPE_CHECKING:
    import pandas as pd

_STATE: Final = ("key", "status", "reason")


@dataclass(frozen=True, slots=True)
class FrameComparison:
    """How the second of two frames differs from the first.

    Attributes:
        axes: columns by which points were matched.
        inputs: a row per input that differs between the frames: input, a, b.
        both: points that both have.
        only_a: points of the first alone.
        only_b: points of the second alone.
        statuses: points whose status differs: axes, status_a, status_b.
        metrics: a row per metric that differs anywhere: metric, points (where it does), median, least and most ratio
            b / a over all that both have, at (the point of the largest change).
        equal: metrics that are the same, bit for bit, at all points that both have.
        versions: code that computed the rows of each.
    """

    axes: tuple[str, ...]
    inputs: pd.DataFrame
    both: int
    only_a: int
    only_b: int
    statuses: pd.DataFrame
    metrics: pd.DataFrame
    equal: tuple[str, ...]
    versions: tuple[tuple[str, ...], tuple[str, ...]]

    def lines(self) -> list[str]:
        """What to know first, a sentence each."""
        said = [f"{self.both:,} points in both, {self.only_a:,} only in the first, {self.only_b:,} only in the second"]
        if self.versions[0] != self.versions[1] and all(self.versions):
            said.append(f"other code: {', '.join(self.versions[0])} -> {', '.join(self.versions[1])}")
        if len(self.statuses):
            said.append(f"{len(self.statuses):,} points have another status")
        if not len(self.metrics):
            said.append(f"all {len(self.equal)} metrics are the same, bit for bit")
        else:
            said.append(f"{len(self.metrics)} metrics differ, {len(self.equal)} are the same, bit for bit")
        return said


def compare_frames(a: pd.DataFrame, b: pd.DataFrame) -> FrameComparison:
    """Compares the results of two sweeps, or of one at two times; points are matched by the axes that both have.

    Args:
        a: rows as `accelsim.load` gives them, or as they are read from an export.
        b: others.

    Raises:
        RequestError: no axis or no metric in common, or several points of one frame with the same values.
    """
    import pandas as pd

    axes = [name for name in _axes(a) if name in _axes(b)]
    if not axes:
        raise RequestError(f"no axis in common: {', '.join(_axes(a)) or 'none'} and {', '.join(_axes(b)) or 'none'}")
    plain = [_plain(frame, axes) for frame in (a, b)]
    for side, frame in zip(("first", "second"), plain, strict=True):
        if frame.duplicated(axes).any():
            one = frame[frame.duplicated(axes)].iloc[0]
            where = ", ".join(f"{name} = {one[name]}" for name in axes)
            raise RequestError(f"the {side} has several points with {where}: what tells them apart is not in both")
    metrics = [name for name in a.columns if name in b.columns and name in (*METRICS, *COSTS)]
    metrics += [name for name in _derived(a) if name in _derived(b)]
    if not metrics:
        raise RequestError("no metric in common: these are no results of sweeps")
    merged = plain[0].merge(plain[1], on=axes, how="outer", suffixes=("_a", "_b"), indicator="_in")
    both = merged[merged["_in"] == "both"]
    changed = both[both["status_a"] != both["status_b"]][[*axes, "status_a", "status_b"]].reset_index(drop=True)
    rows, equal = [], []
    for name in metrics:
        row = _moved(both, name, axes)
        if row is None:
            equal.append(name)
        else:
            rows.append(row)
    counts = merged["_in"].value_counts()
    return FrameComparison(
        axes=tuple(axes),
        inputs=pd.DataFrame(_inputs(a, b, axes), columns=["input", "a", "b"]),
        both=len(both),
        only_a=int(counts["left_only"]),
        only_b=int(counts["right_only"]),
        statuses=changed,
        metrics=pd.DataFrame(rows, columns=["metric", "points", "median", "least", "most", "at"]),
        equal=tuple(equal),
        versions=(_versions(a), _versions(b)),
    )


def _axes(frame: pd.DataFrame) -> list[str]:
    """Columns of the axes: as the sweep has them, or what stands before the metrics of an export."""
    if "axes" in frame.attrs:
        return list(frame.attrs["axes"])
    names = [str(name) for name in frame.columns]
    first = next((place for place, name in enumerate(names) if name in (*METRICS, *COSTS)), 0)
    return [name for name in names[:first] if name not in _STATE]


def _derived(frame: pd.DataFrame) -> list[str]:
    """Numeric columns between the metrics and the bookkeeping."""
    names = [str(name) for name in frame.columns]
    if METRICS[-1] not in names:
        return []
    rest = names[names.index(METRICS[-1]) + 1 :]
    rest = rest[: rest.index("elapsed_s")] if "elapsed_s" in rest else rest
    return [name for name in rest if frame[name].dtype.kind in "fiu"]


def _plain(frame: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """A frame whose axes match others: names as text, absent values as one mark."""
    made = frame.copy()
    if "status" not in made:
        made["status"] = "ok"
    made["status"] = made["status"].astype(str)
    for name in axes:
        if made[name].dtype.kind not in "iuf":
            made[name] = made[name].astype(str)
        else:
            made[name] = made[name].astype(float)
    return made


def _moved(both: pd.DataFrame, name: str, axes: list[str]) -> tuple[Any, ...] | None:
    """How a metric moved over the points that both have; None if it is the same at all of them."""
    a, b = (both[f"{name}_{side}"].to_numpy(dtype=float) for side in "ab")
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not differs.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(a == b, 1.0, b / a)
    known = np.isfinite(ratio) & (ratio > 0)
    if not known.any():
        return name, int(differs.sum()), float("nan"), float("nan"), float("nan"), ""
    far = np.where(known, np.abs(np.log(np.where(known, ratio, 1.0))), -1.0)
    worst = both.iloc[int(far.argmax())]
    where = ", ".join(f"{axis} = {_text(worst[axis])}" for axis in axes)
    return name, int(differs.sum()), *(float(f(ratio[known])) for f in (np.median, np.min, np.max)), where


def _inputs(a: pd.DataFrame, b: pd.DataFrame, axes: list[str]) -> list[tuple[str, str, str]]:
    """What is fixed in the frames and not the same; an axis of one that the other has not."""
    sides: list[Mapping[str, Any]] = [dict(frame.attrs.get("fixed", {})) for frame in (a, b)]
    for side, frame in zip(sides, (a, b), strict=True):
        extra = {name: f"{frame[name].nunique()} values" for name in _axes(frame) if name not in axes}
        side |= extra  # type: ignore[operator]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    known = all("fixed" in frame.attrs for frame in (a, b))
    rows = []
    for key in keys:
        first, second = (side.get(key, "(default)" if known else "?") for side in sides)
        if first != second:
            rows.append((key, str(first), str(second)))
    return rows


def _versions(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted({str(v) for v in frame["model_version"]})) if "model_version" in frame else ()


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
