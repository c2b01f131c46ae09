"""The bar of a sweep: rate, remaining time, failures and the best so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelsim.explore.driver import Progress as State
    from accelsim.explore.sweep import Sweep


def line(state: State, objective: str) -> str:
    """What stands behind the bar."""
    rate = state.done / state.elapsed_s if state.elapsed_s > 0 else 0.0
    parts = [f"{rate:,.0f} points/s" if rate >= 10 else f"{rate:.2g} points/s"]
    if state.failures:
        parts.append(f"{state.failures} failed")
    if infeasible := state.counts.get("infeasible", 0):
        parts.append(f"{infeasible} infeasible")
    if objective and not isnan(state.best):
        parts.append(f"best {objective} {state.best:.4g}")
    return ", ".join(parts)


@contextmanager
def bar(described: Sweep) -> Iterator[Callable[[State], None] | None]:
    """What a sweep reports to: a bar where stderr is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    objective = next(iter(described.spec.objectives), "")
    with Progress(*columns, TextColumn("{task.fields[line]}"), console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(described.name, total=None, line="")

        def report(state: State) -> None:
            done = state.known + state.done
            drawn.update(task, total=state.total, completed=done, line=line(state, objective))

        yield report
