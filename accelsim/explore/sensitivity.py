"""Which axis a figure hangs on: indices of Sobol by sampling, and exact shares of variance on full grids.

A first-order index is the share of the variance of the output that an axis explains alone; a total one adds all that
it explains together with others. Sampling is that of Saltelli et al., Computer Physics Communications 181 (2010) 259:
two samples A and B, and for every axis A with that axis from B; first-order indices by their estimator (b) of Table 2,
total ones by Jansen's, (f) there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, UnknownNameError
from accelsim.explore.design import expand
from accelsim.explore.driver import Progress
from accelsim.explore.sweep import Sweep

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

LEAST: Final = 64
"""Fewer base points say nothing."""


def saltelli(axes: int, count: int, seed: int = 0) -> Floats:
    """Points of the unit cube, [(axes + 2) x count, axes]: A, B, and for every axis A with that axis from B.

    Args:
        axes: dimensions.
        count: base points, a power of two: those of a scrambled Sobol sequence.
        seed: of the scrambling.

    Raises:
        RequestError: no axis, or a count that is no power of two of at least `LEAST`.
    """
    if axes < 1 or count < LEAST or count & (count - 1):
        raise RequestError(f"{axes} axes, count = {count}: expected an axis, and a power of two of at least {LEAST}")
    from scipy.stats import qmc

    base = np.asarray(qmc.Sobol(2 * axes, rng=seed).random(count))
    first, second = base[:, :axes], base[:, axes:]
    mixed = []
    for axis in range(axes):
        one = first.copy()
        one[:, axis] = second[:, axis]
        mixed.append(one)
    return np.concatenate([first, second, *mixed])


def indices(values: Floats, axes: int) -> tuple[Floats, Floats]:
    """First-order and total indices, [axes] each, of an output at the points of `saltelli`.

    Raises:
        RequestError: an output that is not a number everywhere, or does not vary.
    """
    missing = int(np.isnan(values).sum())
    if missing:
        raise RequestError(
            f"{missing:,} of {len(values):,} points have no value (infeasible or failed): narrow the axes until all do"
        )
    parts = values.reshape(axes + 2, -1)
    centre = parts[:2].mean()
    first, second, mixed = parts[0] - centre, parts[1] - centre, parts[2:] - centre
    variance = float(parts[:2].var())
    if variance <= (1e-12 * centre) ** 2:
        raise RequestError("the output is the same at all points: nothing to explain")
    alone = (second * (mixed - first)).mean(axis=1) / variance
    total = ((first - mixed) ** 2).mean(axis=1) / (2 * variance)
    return alone, total


def of_function(function: Callable[[Floats], Floats], axes: int, count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """The indices of a function of points of the unit cube, [points, axes] -> [points]."""
    return indices(function(saltelli(axes, count, seed)), axes)


def sobol(
    sweep: Sweep,
    output: str,
    *,
    count: int = 1024,
    seed: int = 0,
    workers: int | None = None,
    cluster: str | None = None,
    store: str | Path | None = None,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> pd.DataFrame:
    """Sobol indices of a sweep's axes: every axis drawn from independently, between its ends or from its values.

    The points go through the sweep's machinery and store, so that none is computed twice.

    Args:
        sweep: its axes, evenly distributed (`log_range` in the logarithm); `zip`, `when` and constraints over inputs
            would make axes depend on each other and are refused.
        output: a metric, or a derived column of the sweep.
        count: base points, a power of two; (axes + 2) x count points are evaluated.
        seed: of the points.
        workers: as in `Sweep.run`.
        cluster: likewise.
        timeout_s: likewise.
        progress: likewise.
        store: likewise; `NAME-sobol.sqlite` beside the sweep's own by default.

    Returns:
        A row per axis: axis, first_order, total; `attrs` has output, points, variance's square root as a share of the
        mean.

    Raises:
        RequestError: dependent axes, an unknown output, points without a value.
    """
    import pandas as pd

    spec = sweep.spec
    names = list(spec.axes)
    if spec.zip or any(axis.when or axis.derive for axis in spec.axes.values()) or spec.parameters:
        raise RequestError("Sobol indices need axes that do not depend on each other: no zip, when, derive, parameters")
    cube = saltelli(len(names), count, seed)
    drawn = Sweep.of(f"{sweep.name}-sobol", spec.model_copy(update={"constraints": {}}))
    drawn.design = expand(drawn.spec, cube)
    drawn.run(workers=workers, cluster=cluster, store=store, timeout_s=timeout_s, progress=progress)
    frame = drawn.load(store)
    check(frame, output)
    values = frame.set_index("key")[output].reindex(drawn.keys).to_numpy(dtype=float)
    alone, total = indices(values, len(names))
    made = pd.DataFrame({"axis": names, "first_order": alone, "total": total})
    made.attrs = {"output": output, "points": len(values), "spread": float(values.std() / abs(values.mean()))}
    return made


def check(frame: pd.DataFrame, output: str) -> None:
    """Refuses what cannot be explained.

    Raises:
        UnknownNameError: no such column, with the nearest.
        RequestError: one that holds no numbers.
    """
    if output not in frame.columns:
        raise UnknownNameError("column", output, map(str, frame.columns), "output")
    if frame[output].dtype.kind not in "fiu":
        raise RequestError(f"output {output!r} holds no numbers: name a metric or a derived column")


def _reason(frame: pd.DataFrame) -> str:
    """Why the first point that is not ok is not."""
    if "reason" not in frame or (frame["status"] == "ok").all():
        return ""
    return f", such as: {str(frame.loc[frame['status'] != 'ok', 'reason'].iloc[0]).splitlines()[0]}"


def grid(frame: pd.DataFrame, output: str, axes: list[str] | None = None) -> pd.DataFrame:
    """The exact decomposition of an output's variance over a full grid: no sampling, no error.

    Args:
        frame: of a sweep; every combination of the axes' values once, all of them ok.
        output: a column of numbers.
        axes: columns; those of the sweep by default.

    Returns:
        A row per axis: axis, first_order, total.

    Raises:
        RequestError: a grid with holes, or an output that is not a number everywhere.
    """
    import pandas as pd

    check(frame, output)
    names = [name for name in axes or frame.attrs["axes"] if frame[name].nunique() > 1]
    if not names:
        raise RequestError("no axis has two values: nothing can explain anything")
    sizes = [frame[name].nunique() for name in names]
    table = frame[[*names, output]]
    if len(table) != np.prod(sizes) or table.duplicated(names).any():
        raise RequestError(f"{len(table):,} rows are no full grid of {' x '.join(map(str, sizes))} values of {names}")
    values = table.sort_values(names)[output].to_numpy(dtype=float).reshape(sizes)
    if np.isnan(values).any():
        raise RequestError(
            f"{int(np.isnan(values).sum()):,} points have no {output}{_reason(frame)}\n  try: leave out the values "
            "of the axes at which that happens"
        )
    variance = values.var()
    if variance <= (1e-12 * values.mean()) ** 2:
        raise RequestError(f"{output} is the same at all points: nothing to explain")
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        others = tuple(other for other in range(len(names)) if other != place)
        alone = values.mean(axis=others).var() / variance if others else 1.0
        rows.append({"axis": name, "first_order": alone, "total": 1 - values.mean(axis=place).var() / variance})
    return pd.DataFrame(rows)
